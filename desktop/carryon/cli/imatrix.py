"""`carryon imatrix`: makes an importance matrix, which says which of a model's weights a text needs most."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from carryon.app.models import find
from carryon.base.errors import BadInput
from carryon.base.log import start_log
from carryon.cli.loading import layers_or_all, this_home, threads
from carryon.cli.progress_bar import counted, show
from carryon.quantize.job import making_imatrix
from carryon.quantize.request import ImatrixMade, ImatrixRequest

_DESCRIPTION = """\
Lets a model read a text and notes which of its weights matter. “carryon quantize
--imatrix” then spends its bits there; the smallest types need it. llama.cpp's
tools can read the file.
"""
_EXAMPLES = """\
examples:
  carryon imatrix model-F16.gguf text.txt --out model.imatrix.gguf
  carryon imatrix model-F16.gguf text.txt --out model.imatrix.gguf --chunks 100

The text should be like what the model will be used for, some hundred kilobytes of it.
"""


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "imatrix",
        help="find out which weights of a model matter",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a GGUF file, or a name in the library")
    parser.add_argument("text", metavar="TEXT", type=Path, help="a text file")
    parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="the file to make")
    parser.add_argument("--chunks", type=int, metavar="N", help="read only so many chunks (default: the whole text)")
    parser.add_argument("--ctx", type=int, default=512, metavar="N", help="tokens in a chunk (default: 512)")
    parser.add_argument("--threads", type=threads, default=0, metavar="N", help="default: all")
    parser.add_argument(
        "--gpu-layers", type=layers_or_all, default=0, metavar="all|N", help="layers on the GPU (default: 0)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE where it is there already")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Makes the file and says what the model thought of the text."""
    where = this_home()
    start_log(where.logs, "cli")
    model = find(arguments.model, where).path
    is_read = any(arguments.out.exists() and arguments.out.samefile(one) for one in (model, arguments.text)
                  if one.exists())  # fmt: skip
    if arguments.out.exists() and not arguments.overwrite and not is_read:
        raise BadInput(f"{arguments.out} is there already.", "Choose another name, or add --overwrite.")
    request = ImatrixRequest(
        model, arguments.text, arguments.out, arguments.chunks, arguments.ctx, arguments.threads, arguments.gpu_layers
    )
    work = making_imatrix(request, where.logs / "imatrix.log")
    _tell_end(arguments, show(work, f"Reading {arguments.text.name}", counted("tokens")))
    return 0


def _tell_end(arguments: argparse.Namespace, made: ImatrixMade) -> None:
    if arguments.json:
        print(json.dumps(_made_json(made), indent=2))
        return
    for notice in made.notices:
        print(f"carryon: {notice}", file=sys.stderr)
    print(f"Made {made.path} of {made.n_tokens:,} tokens; the text's perplexity is {made.perplexity:,.2f}.")


def _made_json(made: ImatrixMade) -> dict[str, Any]:
    return {
        "path": str(made.path.absolute()),
        "n_chunks": made.n_chunks,
        "n_tokens": made.n_tokens,
        "perplexity": made.perplexity,
        "notices": list(made.notices),
    }
