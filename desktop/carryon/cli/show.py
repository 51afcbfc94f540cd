"""`carryon show`: everything that is known of one model, and every field of its file."""

import argparse
import json
from typing import Any

from carryon.app.library import checked_entry
from carryon.app.models import find
from carryon.base.paths import Home
from carryon.base.units import NOT_MEASURED, bytes_text
from carryon.cli.list import entry_json
from carryon.cli.loading import this_home
from carryon.hub.library.entry import Entry
from carryon.hub.library.metadata import MetadataLine, read_metadata
from carryon.hub.library.words import (
    KINDS,
    context_of,
    parameters_of,
    path_text,
    quant_text,
    template_text,
    when_text,
    where_text,
)

_EXAMPLES = """\
examples:
  carryon show qwen3-8b-Q4_K_M.gguf
  carryon show llama3.2:3b                 a name that “carryon list” shows
  carryon show acme/tiny-GGUF:Q4_K_M       what is here of a repository
  carryon show guide --json
"""
_LONGEST_VALUE = 60


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "show",
        help="show everything that is known of a model",
        description="Shows what a model is, where it came from, and every field of its file.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="a GGUF file, a name in the library, or 'guide'")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints what is known. A broken file is an error, with the reason."""
    entry = _entry(arguments.file, this_home())
    if entry.known.trouble:
        raise entry.known.trouble.error
    lines = read_metadata(entry.path)
    if arguments.json:
        fields = {one.key: one.value for one in lines}
        print(json.dumps(entry_json(entry) | {"metadata": fields}, indent=2, ensure_ascii=False))
    else:
        print(_report(entry, lines))
    return 0


def _entry(named: str, where: Home) -> Entry:
    file = find(named, where)
    return checked_entry(file.path, file.name, where)


def _report(entry: Entry, lines: tuple[MetadataLine, ...]) -> str:
    facts = [(name, value) for name, value in _facts(entry) if value not in ("", NOT_MEASURED)]
    wide = max(len(name) for name, _ in facts)
    keys = max((len(one.key) for one in lines), default=0)
    return "\n".join([
        entry.name, *(f"  {name.ljust(wide)}  {value}" for name, value in facts), "", "Fields of the file",
        *(f"  {one.key.ljust(keys)}  {_brief(one)}" for one in lines),
    ])  # fmt: skip


def _facts(entry: Entry) -> list[tuple[str, str]]:
    origin = entry.origin
    return [
        ("Kind", KINDS[entry.known.kind]),
        ("Architecture", entry.known.architecture),
        ("Parameters", parameters_of(entry)),
        ("Quant", quant_text(entry)),
        ("Size", bytes_text(entry.size_bytes)),
        ("Trained context", context_of(entry)),
        ("Chat template", template_text(entry)),
        ("Licence", entry.known.licence),
        ("Repository", entry.repo_id),
        ("Revision", origin.commit if origin else ""),
        ("SHA-256", entry.sha256 or ""),
        ("Where", where_text(entry)),
        ("Last used", when_text(entry.last_used_s)),
        *((("File" if number == 0 else ""), path_text(part)) for number, part in enumerate(entry.parts)),
        *(("Projector", path_text(one)) for one in entry.projectors),
    ]


def _brief(line: MetadataLine) -> str:
    """One line of it; --json has all."""
    first, _, rest = line.value.partition("\n")
    is_cut = bool(rest) or len(first) > _LONGEST_VALUE
    value = f"{first[:_LONGEST_VALUE]}…" if is_cut else first
    return f"{value}  ({line.kind})" if line.kind.startswith("list") else value
