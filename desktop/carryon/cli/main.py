"""The command line: finds the command, and turns our errors into one sentence and an exit code."""

import argparse
import sys
from collections.abc import Sequence

from carryon import __version__
from carryon.base.errors import AppError, BadFile, BadInput, ContextFull, EngineRefused, Unsupported
from carryon.cli import bench, fit, machine, serve
from carryon.cli import run as run_command

BAD_INPUT = 2
FAILED = 1
INTERRUPTED = 130  # the shell's convention for Ctrl+C
_INPUT_ERRORS = (BadInput, BadFile, ContextFull, EngineRefused, Unsupported)


def run(words: Sequence[str]) -> int:
    """Runs one command: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    arguments = _parser().parse_args(words)
    try:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="carryon",
        description="Runs a large language model on your own machine. Without a command the window opens.",
        epilog="MODEL is a GGUF file, a name in the library, or 'guide', the small model that comes with Carryon.",
    )
    parser.add_argument("--version", action="version", version=f"carryon {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (run_command, serve, bench, fit, machine):
        command.add_parser(commands)
    return parser
