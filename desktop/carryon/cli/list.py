"""`carryon list`: the models on this disk, Carryon's and those of other programs."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from carryon.app.library import scanned
from carryon.base.units import bytes_text
from carryon.cli import columns
from carryon.cli.loading import this_home
from carryon.hub.library.entry import Entry
from carryon.hub.library.scanning import Scan
from carryon.hub.library.words import PROGRAMS, path_text, quant_text, where_text

_DESCRIPTION = """\
Lists the models on this disk: Carryon's own, and in place those of the Hugging Face
cache, LM Studio, Ollama, Jan, GPT4All and of folders that were added in the window.
Nothing is copied. Every name can be given to “carryon run”, “fit” and “show”.
"""
_EXAMPLES = """\
examples:
  carryon list            the table
  carryon list --json     the same as JSON, sizes in bytes, unknown is null
"""
_HEADS = ("NAME", "QUANT", "SIZE", "WHERE")
_GAP = "  "
_SHORTEST_NAME = 12


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "list",
        help="list the models on this disk, those of other programs too",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints what is there; nothing is an answer too."""
    scan = scanned(this_home())
    if arguments.json:
        print(json.dumps({"models": [entry_json(one) for one in scan.listed]}, indent=2))
    else:
        print(_table(scan.listed, columns.width()) if scan.listed else _nothing(scan))
        for one in scan.looked:
            if one.trouble:
                print(f"carryon: {one.trouble.message} {one.trouble.hint}", file=sys.stderr)
    return 0


def entry_json(entry: Entry) -> dict[str, object]:
    """What programs need of an entry."""
    known, origin = entry.known, entry.origin
    return {
        "name": entry.name,
        "kind": known.kind.value,
        "quant": known.quant or None,
        "architecture": known.architecture or None,
        "parameters": known.n_params,
        "trained_context": known.n_ctx_train,
        "chat_template": known.has_template,
        "licence": known.licence or None,
        "size_bytes": entry.size_bytes,
        "where": entry.shelf.program.value,
        "paths": [path_text(one) for one in entry.parts],
        "projectors": [path_text(one) for one in entry.projectors],
        "other_names": list(entry.other_names),
        "repo": entry.repo_id or None,
        "revision": origin.commit if origin else None,
        "sha256": entry.sha256,
        "last_used_s": entry.last_used_s,
        "broken": known.trouble.message if known.trouble else None,
    }


def _table(entries: Sequence[Entry], width: int) -> str:
    """Columns as wide as their words; names give way to the width."""
    rows = [(one.name, quant_text(one), bytes_text(one.size_bytes), where_text(one)) for one in _in_order(entries)]
    widths = [max(len(row[column]) for row in (_HEADS, *rows)) for column in range(len(_HEADS))]
    others = sum(widths[1:]) + len(_GAP) * (len(_HEADS) - 1)
    widths[0] = max(_SHORTEST_NAME, min(widths[0], width - others))
    total = f"{len(entries)} model{'s' * (len(entries) != 1)}, {bytes_text(sum(one.size_bytes for one in entries))}"
    return "\n".join([*(_line(row, widths) for row in (_HEADS, *rows)), "", total])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, quant, size, where = row
    return _GAP.join(
        (columns.cut(name, widths[0]).ljust(widths[0]), quant.ljust(widths[1]), size.rjust(widths[2]), where)
    ).rstrip()


def _in_order(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda one: (one.name.lower(), str(one.path)))


def _nothing(scan: Scan) -> str:
    programs = dict.fromkeys(PROGRAMS[one.shelf.program] for one in scan.looked if one.shelf.program in PROGRAMS)
    return (
        f"There is no model on this disk yet. Looked into: {', '.join(programs)}.\n"
        "“carryon get owner/name” downloads one; “carryon run guide” needs none."
    )
