"""`carryon preflight`: what would come of converting a model, before a weight is read or downloaded."""

import argparse
import json
from pathlib import Path
from typing import Any

from carryon.app.workshop_source import source_of
from carryon.base.jobs import drained
from carryon.base.log import start_log
from carryon.cli import columns
from carryon.cli.loading import this_home, tokens
from carryon.cli.preflight_report import as_json, as_text
from carryon.cli.workshop_desk import desk

_DESCRIPTION = """\
Says what would come of converting and quantizing a model: whether it can be done and by
whom, memory, disk and time, the exact size of every type, and what fits this machine.
Of a repository only small files and the headers of its weights are fetched.
"""
_EXAMPLES = """\
examples:
  carryon preflight ./SmolLM2-135M-Instruct          a Hugging Face folder
  carryon preflight owner/name --ctx 16k             a repository on the Hub
  carryon preflight model-F16.gguf --json            a GGUF file
"""


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "preflight",
        help="say what would come of converting a model",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", help="a Hugging Face folder, owner/name[@REVISION], or a GGUF file")
    parser.add_argument("--ctx", type=tokens, metavar="N", help="context length in tokens (default: chosen)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the files would go (default: the library)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints what was found; that something is in the way is an answer too."""
    where = this_home()
    start_log(where.logs, "cli")
    with desk(where) as made:
        work = made.inspector.inspecting(source_of(arguments.source), arguments.ctx, arguments.out)
        found = drained(work)
    if arguments.json:
        print(json.dumps(as_json(found), indent=2, ensure_ascii=False))
    else:
        print(as_text(found, columns.width()))
    return 0
