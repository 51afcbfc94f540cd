"""Quantizing as work: a process of its own writes a file beside the target, which gets its name when it is proven."""

from collections.abc import Generator
from pathlib import Path

from carryon.base.errors import BadFile, BadInput
from carryon.base.files import disk_errors
from carryon.base.jobs import Progress
from carryon.engine.reasons import Doing
from carryon.engine.task import command_of, running
from carryon.gguf.split import parts_of
from carryon.quantize import words
from carryon.quantize.request import (
    ImatrixMade,
    ImatrixRequest,
    Quantized,
    QuantizeRequest,
    imatrix_json,
    size_of,
    wish_json,
    wish_of,
)
from carryon.quantize.unfinished import fresh_part, give_name, scratch


def quantizing(request: QuantizeRequest, log_path: Path) -> Generator[Progress | None, None, Quantized]:
    """Work that makes one file; progress is in its bytes, the note says at which tensor. An older file of the target's
    name is replaced at the end. Closing it ends the process and leaves nothing.

    Raises BadInput (an importance matrix is missing or another model's, source and target are one, the source is
    quantized already and `requantizes` is not set), BadFile, NoRoom, Unsupported, or the process's death in words.
    """
    wish = wish_json(request.wish)
    wish_of(wish)  # refuses names that nobody knows before anything starts
    _refuse_same(request.source, request.target)
    with fresh_part(request.target) as part, scratch() as folder:
        asked = {
            "source": str(request.source.absolute()),
            "part": str(part.absolute()),
            "folder": str(folder),
            "wish": wish,
            "n_threads": request.n_threads,
            "requantizes": request.requantizes,
        }
        result = yield from running(command_of("quantize"), asked, log_path, Doing.MAKING)
        give_name(part, request.target)
    size = size_of(result["size"])
    return Quantized(
        request.target, size.quant, size.size_bytes, size.bits_per_weight, result["n_tensors"], size.fallbacks,
        tuple(result["notices"]),
    )  # fmt: skip


def making_imatrix(request: ImatrixRequest, log_path: Path) -> Generator[Progress | None, None, ImatrixMade]:
    """Work that makes an importance matrix; progress is in tokens, the note tells the perplexity so far. Closing it
    ends the process and leaves nothing.

    Raises BadInput (the text is too short), BadFile, NoRoom, Unsupported, or the process's death in words.
    """
    for one in (request.model, request.text):
        _refuse_same(one, request.target)
    with fresh_part(request.target) as part:
        result = yield from running(command_of("imatrix"), imatrix_json(request, part), log_path, Doing.MAKING)
        give_name(part, request.target)
    return ImatrixMade(
        request.target, result["n_chunks"], result["n_tokens"], result["perplexity"], tuple(result["notices"])
    )


def _refuse_same(source: Path, target: Path) -> None:
    """By what they are, not by their names: links of both kinds lead to the same bytes."""
    with disk_errors(source):
        parts = [one for one in parts_of(source) if one.exists()]
    with disk_errors(target):
        is_same = any(target.exists() and target.samefile(one) for one in parts)
    if is_same:
        raise BadInput(*words.same_file(target))
    if not parts:
        raise BadFile(f"{source} is not there.", "Check whether it was moved, renamed or deleted.")
