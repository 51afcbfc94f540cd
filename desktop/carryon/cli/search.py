"""`carryon search`: models on the Hub, or the quants of one of them."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from carryon.app.hub_access import HubAccess
from carryon.base.errors import BadInput
from carryon.base.jobs import drained
from carryon.base.log import start_log
from carryon.base.settings import SettingsFile
from carryon.base.units import bytes_text
from carryon.cli import columns
from carryon.cli.loading import this_home
from carryon.hub.names import Reference
from carryon.hub.quants import GgufFiles, gguf_files
from carryon.hub.repo import Format, FoundModel, Gate, QuantFiles, Repo, Sort
from carryon.hub.repository import opening
from carryon.hub.search import SearchWish, pasted, searching
from carryon.hub.search_words import GATES, count_text, day_text, licence_text, params_text
from carryon.hub.site import Site

_DESCRIPTION = """\
Searches the Hub for models that run as they are (GGUF). With the name or the address of
one repository it shows its quants instead. Nothing is downloaded; “carryon get” does that.
"""
_EXAMPLES = """\
examples:
  carryon search qwen3 8b                         the first twenty
  carryon search coder --author bartowski --sort downloads
  carryon search llama --safetensors              models that must be converted first
  carryon search Qwen/Qwen3-8B-GGUF               the quants of this one
  carryon search qwen3 --json                     the same as JSON, unknown is null
"""
_HEADS = ("NAME", "PARAMS", "DOWNLOADS", "UPDATED", "LICENCE")
_GAP = "  "
_SHORTEST_NAME = 24
_LONGEST_LICENCE = 14
_MOST = 100


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "search",
        help="search the Hub for models",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("query", metavar="QUERY", nargs="*", help="words, a name like owner/name, or an address")
    parser.add_argument("--author", default="", metavar="NAME", help="only repositories of this owner")
    parser.add_argument(
        "--sort", choices=[one.value for one in Sort], default=Sort.TRENDING.value, help="what comes first"
    )
    parser.add_argument("--limit", type=_limit, default=20, metavar="N", help="at most so many (default: 20)")
    parser.add_argument("--safetensors", action="store_true", help="models that must be converted before they run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints what was found; nothing is an answer too."""
    where = this_home()
    start_log(where.logs, "cli")
    site, text = HubAccess(where, SettingsFile(where.settings)).site(), " ".join(arguments.query)
    reference = pasted(site, text)
    if reference:
        _show_repository(site, reference, is_json=arguments.json)
    else:
        _show_models(site, _wish(arguments, text), arguments.limit, is_json=arguments.json)
    return 0


def _limit(word: str) -> int:
    if not word.isascii() or not word.isdigit() or not 1 <= int(word) <= _MOST:
        raise argparse.ArgumentTypeError(f"“{word}” is no number from 1 to {_MOST}")
    return int(word)


def _wish(arguments: argparse.Namespace, text: str) -> SearchWish:
    if not text and not arguments.author:
        raise BadInput("There is nothing to search for.", "Type some words, or an owner with --author.")
    kind = Format.SAFETENSORS if arguments.safetensors else Format.GGUF
    return SearchWish(text, arguments.author, format=kind, sort=Sort(arguments.sort))


def _show_models(site: Site, wish: SearchWish, limit: int, *, is_json: bool) -> None:
    models = drained(searching(site, wish, n=limit)).models[:limit]
    if is_json:
        print(json.dumps({"models": [model_json(one) for one in models]}, indent=2))
    elif models:
        print(table(models, columns.width()))
    else:
        print(f"Nothing was found on {site.host}. Try fewer or other words, or --safetensors.")


def _show_repository(site: Site, reference: Reference, *, is_json: bool) -> None:
    repo = drained(opening(site, reference))
    files = gguf_files(repo.files)
    print(json.dumps(repository_json(repo, files), indent=2) if is_json else repository_text(repo, files))


def model_json(found: FoundModel) -> dict[str, object]:
    """What programs need of a line."""
    return {
        "repo": found.repo_id,
        "formats": sorted(one.value for one in found.formats),
        "parameters": found.n_params,
        "trained_context": found.n_ctx_train,
        "architecture": found.architecture or None,
        "downloads": found.downloads,
        "likes": found.likes,
        "updated": found.updated or None,
        "task": found.task or None,
        "licence": found.licence or None,
        "gated": None if found.gate is Gate.OPEN else found.gate.value,
        "base_model": found.base_model or None,
    }


def repository_json(repo: Repo, files: GgufFiles) -> dict[str, object]:
    """A repository with its quants."""
    quants = [
        {"quant": one.quant or None, "size_bytes": one.size_bytes, "files": [file.path for file in one.files]}
        for one in files.quants
    ]
    projectors = [{"path": one.path, "size_bytes": one.size_bytes} for one in files.projectors]
    return {**model_json(repo.found), "revision": repo.commit, "quants": quants, "projectors": projectors}


def table(models: Sequence[FoundModel], width: int) -> str:
    """Columns as wide as their words; names give way to the width. A star marks what not everybody may download."""
    rows = [_cells(one) for one in models]
    widths = [max(len(row[column]) for row in (_HEADS, *rows)) for column in range(len(_HEADS))]
    others = sum(widths[1:]) + len(_GAP) * (len(_HEADS) - 1)
    widths[0] = max(_SHORTEST_NAME, min(widths[0], width - others))
    lines = [_line(row, widths) for row in (_HEADS, *rows)]
    if any(one.gate is not Gate.OPEN for one in models):
        lines += ["", "* needs a token, and its owner's consent"]
    return "\n".join(lines)


def repository_text(repo: Repo, files: GgufFiles) -> str:
    """The quants with their sizes, and how to get one."""
    lines = [f"{repo.repo_id}, {licence_text(repo.found.licence)}"]
    if repo.found.gate is not Gate.OPEN:
        lines.append(f"Not open to everybody: {GATES[repo.found.gate]}.")
    if not files.quants:
        converted = "It must be converted before it runs." if Format.SAFETENSORS in repo.found.formats else ""
        return "\n".join([*lines, f"It has no GGUF file. {converted}".strip()])
    widest = max(len(one.quant or one.first.path) for one in files.quants)
    lines += ["", *(_quant_line(one, widest) for one in files.quants), ""]
    if files.incomplete:
        lines += [f"Not whole, and therefore left out: {', '.join(files.incomplete)}.", ""]
    return "\n".join([*lines, f"carryon get {repo.repo_id}:{files.quants[-1].quant or files.quants[-1].first.path}"])


def _quant_line(one: QuantFiles, widest: int) -> str:
    parts = f"  in {len(one.files)} parts" if len(one.files) > 1 else ""
    return f"  {(one.quant or one.first.path).ljust(widest)}  {bytes_text(one.size_bytes).rjust(8)}{parts}"


def _cells(found: FoundModel) -> tuple[str, ...]:
    name = found.repo_id + (" *" if found.gate is not Gate.OPEN else "")
    licence = licence_text(found.licence)
    if len(licence) > _LONGEST_LICENCE:
        licence = f"{licence[: _LONGEST_LICENCE - 1]}…"
    return name, params_text(found.n_params), count_text(found.downloads), day_text(found.updated), licence


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, params, downloads, updated, licence = row
    cells = (columns.cut(name, widths[0]).ljust(widths[0]), params.rjust(widths[1]), downloads.rjust(widths[2]))
    return _GAP.join((*cells, updated.ljust(widths[3]), licence)).rstrip()
