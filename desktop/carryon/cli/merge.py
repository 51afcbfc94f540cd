"""`carryon merge`: a LoRA adapter becomes part of its base model, or a GGUF adapter file beside it."""

import argparse
import json
from pathlib import Path
from typing import Any

from carryon.app.workshop_list import Order, SourceKind
from carryon.app.workshop_places import settled
from carryon.app.workshop_run import working
from carryon.app.workshop_source import source_of
from carryon.base.errors import BadFile, BadInput
from carryon.base.log import start_log
from carryon.cli.loading import this_home
from carryon.cli.workshop_desk import Screen, begun, desk
from carryon.convert.adapter import open_adapter
from carryon.convert.adapter_file import prepare_adapter
from carryon.convert.checkpoint import open_checkpoint
from carryon.convert.run import Means, written

_DESCRIPTION = """\
Adds a LoRA adapter that PEFT has saved to its base model and writes one GGUF file: in full
precision, straight to the type that is asked for, and never into a quantized base. With
--adapter-only it writes the adapter alone, to be loaded beside a GGUF of the base.
"""
_EXAMPLES = """\
examples:
  carryon merge ./Qwen3-8B ./my-lora --out qwen3-mine-F16.gguf
  carryon merge owner/name ./my-lora --to q4_k_m --out mine.gguf
  carryon merge ./Qwen3-8B ./my-lora --adapter-only --out my-lora.gguf
"""
_USUAL = "F16"  # bfloat16 would round away a fifth of a small change


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "merge",
        help="merge a LoRA adapter into its base model",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", metavar="BASE", help="the base's Hugging Face folder, or owner/name[@REVISION]")
    parser.add_argument("adapter", type=Path, metavar="ADAPTER", help="the adapter's folder (adapter_config.json)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the .gguf file")
    parser.add_argument("--to", default=_USUAL, metavar="TYPE", help=f"its type (default: {_USUAL})")
    parser.add_argument("--adapter-only", action="store_true", help="write the adapter alone, not merged")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Merges, and prints where the file is."""
    start_log(this_home().logs, "cli")
    out = arguments.out.expanduser().absolute()
    if out.suffix.lower() != ".gguf" or out.is_dir():
        raise BadInput(f"{arguments.out} is no name of a GGUF file.", "Name a file that ends in .gguf.")
    open_adapter(arguments.adapter)  # what is wrong with it is said before anything is fetched
    make = _adapter_alone if arguments.adapter_only else _merged
    path, notices = make(arguments, out)
    told = {"path": str(path), "size_bytes": path.stat().st_size, "notices": list(notices)}
    print(json.dumps(told, indent=2, ensure_ascii=False) if arguments.json else path)
    return 0


def _merged(arguments: argparse.Namespace, out: Path) -> tuple[Path, tuple[str, ...]]:
    source = source_of(arguments.base, arguments.adapter.expanduser().absolute())
    if source.kind is SourceKind.GGUF:
        raise BadInput(
            f"{source.name} is a GGUF file, and an adapter is merged into the original model only.",
            "Name the folder or the repository that it was made from.",
        )
    order = settled(Order(source, (arguments.to,), out.parent, out.stem, file_name=out.name))
    with desk(this_home()) as made, Screen() as screen:
        id = begun(order, made.bench)
        files = screen.shown(working(id, order, made.bench))
        return files[0], made.bench.store.notices(id)


def _adapter_alone(arguments: argparse.Namespace, out: Path) -> tuple[Path, tuple[str, ...]]:
    if out.exists():
        raise BadFile(f"{out.name} is in {out.parent} already, and is not overwritten.", "Choose another name.")
    recipe = prepare_adapter(open_checkpoint(Path(arguments.base)), open_adapter(arguments.adapter))
    with Screen() as screen:
        done = screen.shown(written(recipe, out, Means()))
    return done.path, done.warnings
