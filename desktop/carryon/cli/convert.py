"""`carryon convert`: makes GGUF files of a Hugging Face folder or repository, and goes on where the last try ended."""

import argparse
import json
from pathlib import Path
from typing import Any

from carryon.app.workshop_list import Order, Source, SourceKind
from carryon.app.workshop_places import settled
from carryon.app.workshop_run import working
from carryon.app.workshop_source import source_of
from carryon.base.errors import BadInput
from carryon.base.log import start_log
from carryon.cli.loading import this_home
from carryon.cli.workshop_desk import Screen, begun, desk

_DESCRIPTION = """\
Makes GGUF files of a model in Hugging Face's format: F32, F16, BF16 and Q8_0 in one pass,
every other type by way of a file in between, which is removed unless it shall stay. A
file appears under its name when it was opened, counted and tried. Ctrl+C keeps what is
whole; the same command goes on from there.
"""
_EXAMPLES = """\
examples:
  carryon convert ./SmolLM2-135M-Instruct --out smollm2.gguf
  carryon convert owner/name --to q4_k_m q8_0 --out ~/models
  carryon convert ./model --to iq3_xxs --imatrix imatrix.gguf --out model.gguf

“carryon preflight SRC” says before what will come of it.
"""
_USUAL = "Q4_K_M"


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "convert",
        help="make GGUF files of a model in Hugging Face's format",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", help="a Hugging Face folder, or owner/name[@REVISION] on the Hub")
    parser.add_argument("--to", nargs="+", default=[_USUAL], metavar="TYPE", help=f"the types (default: {_USUAL})")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE|FOLDER", help="a .gguf file, or a folder")
    parser.add_argument("--name", metavar="NAME", help="what the model is called (default: as its folder)")
    parser.add_argument("--keep-middle", action="store_true", help="keep the file that K-quants are made from")
    parser.add_argument("--imatrix", type=Path, metavar="FILE", help="an importance matrix")
    parser.add_argument("--imatrix-text", type=Path, metavar="FILE", help="make one from this text")
    parser.add_argument("--measure", action="store_true", help="measure what every type loses")
    parser.add_argument(
        "--fetch-converter", action="store_true", help="fetch llama.cpp's own converter where Carryon's cannot do it"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Converts, and prints where the files are."""
    where = this_home()
    start_log(where.logs, "cli")
    order = settled(_order(arguments, source_of(arguments.source)))
    with desk(where) as made, Screen() as screen:
        id = begun(order, made.bench)
        files = screen.shown(working(id, order, made.bench))
        notices = made.bench.store.notices(id)
    if arguments.json:
        told = [{"path": str(one), "size_bytes": one.stat().st_size} for one in files]
        print(json.dumps({"files": told, "notices": list(notices)}, indent=2, ensure_ascii=False))
    else:
        print("\n".join(map(str, files)))
    return 0


def _order(arguments: argparse.Namespace, source: Source) -> Order:
    if source.kind is SourceKind.GGUF:
        raise BadInput(f"{source.name} is a GGUF file already.", "“carryon quantize” makes another type of it.")
    out = arguments.out.expanduser().absolute()
    is_file = out.suffix.lower() == ".gguf" and not out.is_dir()
    for given in (arguments.imatrix, arguments.imatrix_text):
        if given is not None and not given.is_file():
            raise BadInput(f"{given} is not there.", "Name a file.")
    return Order(
        source, tuple(arguments.to), out.parent if is_file else out, arguments.name or source.name,
        keeps_middle=arguments.keep_middle, imatrix=_whole(arguments.imatrix),
        imatrix_text=_whole(arguments.imatrix_text), measures=arguments.measure,
        may_fetch_converter=arguments.fetch_converter, file_name=out.name if is_file else "",
    )  # fmt: skip


def _whole(path: Path | None) -> Path | None:
    return path.absolute() if path else None
