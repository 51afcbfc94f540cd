"""`carryon quantize`: makes a smaller file of a model, or says to the byte how large it would be."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from carryon.app.models import find
from carryon.base.errors import BadInput
from carryon.base.jobs import drained
from carryon.base.log import start_log
from carryon.base.paths import Home
from carryon.base.units import bytes_text
from carryon.cli.loading import this_home, threads
from carryon.cli.progress_bar import show
from carryon.quantize.job import quantizing
from carryon.quantize.kinds import OFFERED, quant_of, storage_of
from carryon.quantize.request import Fallback, Override, Quantized, QuantizeRequest, QuantSize, size_json
from carryon.quantize.sizes import sizing

_DESCRIPTION = """\
Makes a smaller file of a GGUF model. The new file gets its name when it is whole, was
loaded and has answered; the source is never touched. Ctrl+C leaves nothing behind.
"""
_EXAMPLES = """\
examples:
  carryon quantize model-F16.gguf model-Q4_K_M.gguf Q4_K_M
  carryon quantize model-F16.gguf out.gguf Q4_K_M --dry-run       only the size
  carryon quantize model-F16.gguf out.gguf IQ2_XS --imatrix model.imatrix.gguf
  carryon quantize model-F16.gguf out.gguf Q4_K_M --tensor-type 'blk\\.\\d+\\.ffn_down=Q6_K'

types, the usual ones first:
  {types}

IQ1, IQ2, IQ3_XS, IQ3_XXS and Q2_K_S need an importance matrix: “carryon imatrix” makes one.
"""
_MOST_NAMED = 3


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "quantize",
        help="make a smaller file of a model",
        description=_DESCRIPTION,
        epilog=_EXAMPLES.format(types=_in_lines(OFFERED)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="IN", help="a GGUF file, best F16, BF16 or F32, or a name in the library")
    parser.add_argument("target", metavar="OUT", type=Path, help="the file to make")
    parser.add_argument("quant", metavar="TYPE", help="the quant type, such as Q4_K_M")
    parser.add_argument("--imatrix", type=Path, metavar="FILE", help="an importance matrix of this model")
    parser.add_argument(
        "--tensor-type", action="append", default=[], metavar="RE=TYPE",
        help="the type of tensors whose whole name fits; may be repeated, the first that fits counts",
    )  # fmt: skip
    parser.add_argument("--output-type", default="", metavar="TYPE", help="the type of the output matrix")
    parser.add_argument("--embedding-type", default="", metavar="TYPE", help="the type of the token embeddings")
    parser.add_argument("--pure", action="store_true", help="all matrices in one type, without the usual mix")
    parser.add_argument("--threads", type=threads, default=0, metavar="N", help="default: all")
    parser.add_argument("--requantize", action="store_true", help="take a source that is quantized already")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT where it is there already")
    parser.add_argument("--dry-run", action="store_true", help="write nothing, only say how large it would be")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Says the size, and makes the file unless only that was asked."""
    where = this_home()
    start_log(where.logs, "cli")
    request = _request(arguments, where)
    if arguments.dry_run:
        return _tell_size(arguments, _size(request))
    if request.target.exists() and not arguments.overwrite and not _is_source(request):
        raise BadInput(f"{request.target} is there already.", "Choose another name, or add --overwrite.")
    made = show(
        quantizing(request, where.logs / "quantize.log"), f"Quantizing {request.source.name} to {request.quant}"
    )
    _tell_end(arguments, made)
    return 0


def _request(arguments: argparse.Namespace, where: Home) -> QuantizeRequest:
    return QuantizeRequest(
        find(arguments.source, where).path, arguments.target, quant_of(arguments.quant), arguments.imatrix,
        _storage(arguments.output_type), _storage(arguments.embedding_type),
        tuple(_override(one) for one in arguments.tensor_type), arguments.threads, arguments.requantize, arguments.pure,
    )  # fmt: skip


def _storage(named: str) -> str:
    return storage_of(named) if named else ""


def _override(words: str) -> Override:
    pattern, separator, storage = words.rpartition("=")
    if not separator or not pattern:
        raise BadInput(f"“{words}” is no RE=TYPE.", r"Write it as in --tensor-type 'blk\.\d+\.ffn_down=Q6_K'.")
    return Override(pattern, storage_of(storage))


def _is_source(request: QuantizeRequest) -> bool:
    """The work itself says so in better words."""
    return request.target.exists() and request.target.samefile(request.source)


def _size(request: QuantizeRequest) -> QuantSize:
    (size,) = drained(sizing(request.source, [request.wish])) or (None,)
    if size is None:
        raise BadInput(
            f"{request.source.name} has rows that {request.quant} cannot store.", "Choose another type."
        )  # fmt: skip
    return size


def _tell_size(arguments: argparse.Namespace, size: QuantSize) -> int:
    if arguments.json:
        print(json.dumps(size_json(size), indent=2))
        return 0
    print(f"{size.quant}: {bytes_text(size.size_bytes)} ({size.size_bytes:,} bytes), {_bits(size.bits_per_weight)}")
    _tell_fallbacks(size.fallbacks)
    if size.needs_imatrix and not arguments.imatrix:
        print("It needs an importance matrix: “carryon imatrix” makes one.")
    if size.requantizes:
        print("The source is quantized already: the result is worse than one made of the original (--requantize).")
    return 0


def _tell_end(arguments: argparse.Namespace, made: Quantized) -> None:
    if arguments.json:
        print(json.dumps(_made_json(made), indent=2))
        return
    for notice in made.notices:
        print(f"carryon: {notice}", file=sys.stderr)
    print(f"Made {made.path}: {bytes_text(made.size_bytes)}, {_bits(made.bits_per_weight)}.")
    _tell_fallbacks(made.fallbacks)


def _made_json(made: Quantized) -> dict[str, Any]:
    size = QuantSize(made.quant, made.size_bytes, made.bits_per_weight, made.fallbacks)
    told = {key: value for key, value in size_json(size).items() if key not in ("needs_imatrix", "requantizes")}
    return {"path": str(made.path.absolute()), **told, "notices": list(made.notices)}


def _tell_fallbacks(fallbacks: tuple[Fallback, ...]) -> None:
    if not fallbacks:
        return
    named = ", ".join(f"{one.tensor} ({one.got} instead of {one.wanted})" for one in fallbacks[:_MOST_NAMED])
    more = f" and {len(fallbacks) - _MOST_NAMED} more" if len(fallbacks) > _MOST_NAMED else ""
    print(f"Rows that do not fit the type's blocks are stored in a larger one: {named}{more}.")


def _bits(bits: float) -> str:
    return f"{bits:.2f} bits per weight"


def _in_lines(names: tuple[str, ...], width: int = 80) -> str:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > width:
            lines.append("")
        lines[-1] += f"{name} "
    return "\n  ".join(line.strip() for line in lines)
