"""Quantizing as work: a process of its own writes a file beside the target, which gets its name when it is proven."""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from carryon.base.errors import BadFile, BadInput
from carryon.base.files import disk_errors, sync_folder
from carryon.base.jobs import Progress
from carryon.engine.task import command_of, running
from carryon.gguf.split import parts_of
from carryon.quantize import words
from carryon.quantize.request import Quantized, QuantizeRequest, size_of, wish_json, wish_of

_SUFFIX = ".quantizing.part"  # a download of the same name has its own


def part_of(target: Path) -> Path:
    """The unfinished file: what a kill or a power cut may leave, to be deleted at any time when nothing runs."""
    return target.with_name(target.name + _SUFFIX)


def quantizing(request: QuantizeRequest, log_path: Path) -> Generator[Progress | None, None, Quantized]:
    """Work that makes one file; progress is in its bytes, the note says at which tensor. An older file of the target's
    name is replaced at the end. Closing it ends the process and leaves nothing.

    Raises BadInput (an importance matrix is missing or another model's, source and target are one, the source is
    quantized already and `requantizes` is not set), BadFile, NoRoom, Unsupported, or the process's death in words.
    """
    wish = wish_json(request.wish)
    wish_of(wish)  # refuses names that nobody knows before anything starts
    _refuse_same(request.source, request.target)
    with _fresh_part(request.target) as part, _scratch() as folder:
        asked = {
            "source": str(request.source.absolute()),
            "part": str(part.absolute()),
            "folder": str(folder),
            "wish": wish,
            "n_threads": request.n_threads,
            "requantizes": request.requantizes,
        }
        result = yield from running(command_of("quantize"), asked, log_path)
        with disk_errors(request.target):
            part.replace(request.target)
            sync_folder(request.target.absolute().parent)
    size = size_of(result["size"])
    return Quantized(
        request.target, size.quant, size.size_bytes, size.bits_per_weight, result["n_tensors"], size.fallbacks,
        tuple(result["notices"]),
    )  # fmt: skip


def _refuse_same(source: Path, target: Path) -> None:
    """By what they are, not by their names: links of both kinds lead to the same bytes."""
    with disk_errors(source):
        parts = [one for one in parts_of(source) if one.exists()]
    with disk_errors(target):
        if target.is_dir():
            raise BadInput(f"{target} is a folder.", "Name the file that shall be made.")
        is_same = any(target.exists() and target.samefile(one) for one in parts)
    if is_same:
        raise BadInput(*words.same_file(target))
    if not parts:
        raise BadFile(f"{source} is not there.", "Check whether it was moved, renamed or deleted.")


@contextmanager
def _fresh_part(target: Path) -> Iterator[Path]:
    """An empty file that nobody else had, gone at the end unless it was renamed."""
    part = part_of(target)
    with disk_errors(target):
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # never written through a link that somebody laid there
        part.open("xb").close()
    try:
        yield part
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="carryon-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
