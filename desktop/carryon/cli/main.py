"""The command line: finds the command, and turns our errors into one sentence and an exit code."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from carryon import __version__
from carryon.base.errors import AppError, BadFile, BadInput, ContextFull, EngineRefused, Unsupported

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130  # the shell's convention for Ctrl+C
_COMMANDS = (  # each a module of this package
    "run", "serve", "fit", "bench", "machine", "search", "get", "list", "show", "rm",
    "best", "preflight", "convert", "quantize", "imatrix", "evaluate", "merge",
)  # fmt: skip
_INPUT_ERRORS = (BadInput, BadFile, ContextFull, EngineRefused, Unsupported)


def run(words: Sequence[str]) -> int:
    """Runs one command: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    try:
        arguments = _parser(words).parse_args(words)
        return int(arguments.run(arguments))
    except AppError as error:
        print(f"carryon: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, _INPUT_ERRORS) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        return FAILED


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """With the one command that is asked for, which alone is imported; else with all of them."""
    parser = argparse.ArgumentParser(
        prog="carryon",
        description="Runs a large language model on your own machine. Without a command the window opens.",
        epilog="MODEL is a GGUF file, a name in the library, or 'guide', the small model that comes with Carryon.",
    )
    parser.add_argument("--version", action="version", version=f"carryon {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in words[:1] if words[:1] and words[0] in _COMMANDS else _COMMANDS:
        import_module(f"carryon.cli.{name}").add_parser(commands)
    return parser
