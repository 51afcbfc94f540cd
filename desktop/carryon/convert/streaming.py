"""The rows of a plan's tensors, read and encoded by several threads; what they make comes out in the file's order.

A work item is about a million values. Only a few items are ahead of what was taken, so memory stays what it is
however large a tensor, a stack of experts or a model may be.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from carryon.base.errors import Unsupported
from carryon.convert.checkpoint import Number
from carryon.convert.encode import BY_NUMPY, Bytes, Encoded, Halves, encode, to_floats
from carryon.convert.forms import GgmlType
from carryon.convert.plan import Computed, Made, Packed, Part, Stored, Tensor, n_rows
from carryon.convert.write import TensorInfo

BLOCK_VALUES = 1 << 20  # some milliseconds of work and a few megabytes for a block
MOST_THREADS = 8  # more of them would wait for the disk, and for each other
AHEAD = 4  # items beside those that the threads are at
HEARTBEAT_S = 0.1
SMALLER_STEP = {GgmlType.F32: "Look for another copy of this model.", GgmlType.BF16: "Convert to F32 instead."}

Item = Callable[[], Encoded]


@dataclass(frozen=True)
class Piece:
    """The next bytes of the file, and the tensor that they belong to."""

    tensor: TensorInfo
    content: memoryview
    is_finite: bool


def pieces(
    tensors: Sequence[tuple[TensorInfo, Tensor]], halves: Halves = BY_NUMPY, n_threads: int = 0
) -> Generator[Piece | None, None, None]:
    """Work that gives every tensor's bytes in their order, and None while it waits for the next of them.

    Raises Unsupported where a number is too large for its form.
    """
    n_threads = n_threads or threads_here()
    items = _items(tensors, halves)
    pool = ThreadPoolExecutor(n_threads, "convert")
    ahead: deque[tuple[TensorInfo, Future[Encoded]]] = deque()
    try:
        while _fill(ahead, items, pool, n_threads + AHEAD):
            info, future = ahead.popleft()
            encoded = yield from _waiting(future)
            yield Piece(info, encoded.content.reshape(-1).data, encoded.is_finite)
    finally:
        pool.shutdown(cancel_futures=True)


def threads_here() -> int:
    """How many threads a conversion uses on this machine."""
    n_here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(n_here, MOST_THREADS)


def _fill(
    ahead: deque[tuple[TensorInfo, Future[Encoded]]],
    items: Iterator[tuple[TensorInfo, Item]],
    pool: ThreadPoolExecutor,
    most: int,
) -> bool:
    """Whether any item is left."""
    while len(ahead) < most and (item := next(items, None)):
        ahead.append((item[0], pool.submit(item[1])))
    return bool(ahead)


def _waiting(future: "Future[Encoded]") -> Generator[None, None, Encoded]:
    while not future.done():
        try:
            future.result(HEARTBEAT_S)
        except TimeoutError:
            yield None
    return future.result()


def _items(tensors: Sequence[tuple[TensorInfo, Tensor]], halves: Halves) -> Iterator[tuple[TensorInfo, Item]]:
    for info, tensor in tensors:
        for item in _items_of(info, tensor, halves):
            yield info, item


def _items_of(info: TensorInfo, tensor: Tensor, halves: Halves) -> Iterator[Item]:
    match tensor:
        case Made():
            yield _Rows(tensor.values.reshape(-1).view(np.uint8), Number.F32, info.form, tensor.name, halves)
        case Packed():
            for packed in tensor.blocks():
                yield _Ready(packed)
        case Computed():
            for floats in tensor.blocks():
                rows = np.ascontiguousarray(floats).reshape(-1, info.shape[-1]).view(np.uint8)
                yield _Rows(rows, Number.F32, info.form, tensor.name, halves)
        case Stored():
            for part in tensor.parts:
                step = max(1, BLOCK_VALUES * n_rows(part.source.shape) // max(1, part.source.n_values))
                for start in range(0, part.n_rows, step):
                    stop = min(start + step, part.n_rows)
                    yield _PartRows(part, start, stop, tensor.plus_one, info.form, halves)


@dataclass(frozen=True)
class _Ready:
    """Bytes that are in their form already."""

    content: Bytes

    def __call__(self) -> Encoded:
        return Encoded(np.ascontiguousarray(self.content).view(np.uint8), is_finite=True)


@dataclass(frozen=True)
class _Rows:
    """Rows that are at hand, to be encoded."""

    rows: Bytes
    number: Number
    form: GgmlType
    source_name: str
    halves: Halves

    def __call__(self) -> Encoded:
        try:
            encoded = encode(self.rows, self.number, self.form, self.halves)
        except FloatingPointError as error:
            raise Unsupported(
                f"{self.source_name} holds numbers that are too large for {self.form.name}.",
                SMALLER_STEP.get(self.form, "Convert to BF16 or F32 instead."),
            ) from error
        return Encoded(np.ascontiguousarray(encoded.content), encoded.is_finite)


@dataclass(frozen=True)
class _PartRows:
    """Some rows of one source, to be read and encoded."""

    part: Part
    start: int
    stop: int
    plus_one: bool
    form: GgmlType
    halves: Halves

    def __call__(self) -> Encoded:
        source = self.part.source
        rows, number = self.part.read(self.start, self.stop), source.number
        if self.plus_one:
            rows, number = (to_floats(rows, number, self.halves) + np.float32(1)).view(np.uint8), Number.F32
        return _Rows(rows, number, self.form, source.name, self.halves)()
