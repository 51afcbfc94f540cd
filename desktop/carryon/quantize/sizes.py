"""Exact sizes of quantized files before one is made: the quantizer's own dry run, in a process of its own."""

import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path

from carryon.base.jobs import Progress
from carryon.engine.reasons import Doing
from carryon.engine.task import command_of, running
from carryon.quantize.request import QuantSize, Wish, size_of, wish_json

_SLAB_BYTES, _LEAST_SLAB_BYTES, _LARGEST_SLAB_BYTES = 32 << 20, 64 << 20, 2 << 30


def slab_bytes(n_threads: int) -> int:
    """The memory that the quantizer works in beside the mapped source: rows as they are, as floats, and quantized.

    llama.cpp's default of 8 GiB would also tell of no progress for minutes.
    """
    return min(max(_SLAB_BYTES * n_threads, _LEAST_SLAB_BYTES), _LARGEST_SLAB_BYTES)


def sizing(source: Path, wishes: Iterable[Wish]) -> Generator[None, None, tuple[QuantSize, ...]]:
    """Work that tells what a model would weigh, in the order of the wishes; wishes that its rows cannot be stored in
    (a few old types) are left out. A header with a sparse tail is enough; of a model in several files name any.

    Raises BadFile, BadInput, Unsupported (tensors of an unknown type), the engine's refusal or its death.
    """
    content = [wish_json(one) for one in wishes]
    with tempfile.TemporaryDirectory(prefix="carryon-", ignore_cleanup_errors=True) as folder:
        asked = {"source": str(source.absolute()), "folder": folder, "wishes": content}
        work = running(command_of("quantize_sizes"), asked, Path(folder) / "sizes.log", Doing.PLANNING)
        result = yield from _silent(work)
    return tuple(size_of(one) for one in result["sizes"] if one is not None)


def _silent(
    work: Generator[Progress | None, None, dict[str, list[dict[str, object] | None]]],
) -> Generator[None, None, dict[str, list[dict[str, object] | None]]]:
    """The same work with heartbeats in the place of its progress."""
    try:
        while True:
            next(work)
            yield None
    except StopIteration as end:
        result: dict[str, list[dict[str, object] | None]] = end.value
        return result
    finally:
        work.close()
