"""How fast a loaded model reads and writes, and what it holds while it does: as a chat has it, one answer at a time."""

import statistics
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial

from carryon.base.errors import EngineError
from carryon.worker.capi import L
from carryon.worker.devices import Device
from carryon.worker.llama import Context, Model
from carryon.worker.memory import memory_per_device
from carryon.worker.parameters import Sizing

N_CTX = 1024
N_READ, N_WRITE = 512, 64  # llama-bench reads 512 too; 64 words are enough where each takes the same time
_REPETITIONS = 3
_PATIENCE_S = 3.0  # for reading and for writing each: a slow model is measured by less


@dataclass(frozen=True)
class Timing:
    """Tokens per second, None where they were not wanted; bytes of all devices together."""

    memory_bytes: int
    prefill_tokens_per_s: float | None = None
    decode_tokens_per_s: float | None = None


def timing(
    model: Model,
    tokens: Sequence[int],
    n_threads: int,
    *,
    wants_speed: bool,
    devices: Sequence[Device],
    lines: Callable[[], list[str]],
) -> Generator[None, None, Timing]:
    """Work that measures one model with tokens of the text; `lines` is what the engine logged since it was loaded.

    Raises LoadFailed, EngineError.
    """
    context = Context(model, Sizing(N_CTX, n_threads))
    try:
        memory_bytes = sum(one.total_bytes for one in memory_per_device(model, context, devices, lines()))
        if not wants_speed:
            return Timing(memory_bytes)
        read = (list(tokens) * (N_READ // len(tokens) + 1))[:N_READ]
        _seconds(context, lambda: context.decode(read[:8], 0, wants_logits=True))  # wakes threads and caches
        prefill = yield from _reading(context, read)
        decode = yield from _writing(context, read)
        return Timing(memory_bytes, prefill, decode)
    finally:
        context.free()


def _reading(context: Context, tokens: Sequence[int]) -> Generator[None, None, float]:
    """The median of some repetitions."""
    began_s, times = time.monotonic(), list[float]()
    while not times or (len(times) < _REPETITIONS and time.monotonic() - began_s < _PATIENCE_S):
        context.clear()
        times.append(_seconds(context, lambda: context.decode(tokens, 0, wants_logits=True)))
        yield None
    return len(tokens) / statistics.median(times)


def _writing(context: Context, tokens: Sequence[int]) -> Generator[None, None, float]:
    """Token by token behind what was read."""
    spent_s, count = 0.0, 0
    while count < N_WRITE and spent_s < _PATIENCE_S:
        spent_s += _seconds(context, partial(context.decode_one, tokens[count], len(tokens) + count))
        count += 1
        yield None
    return count / spent_s


def _seconds(context: Context, call: Callable[[], int]) -> float:
    """What one decode takes to its true end: a GPU answers before it is done."""
    began_s = time.perf_counter()
    failed = call()
    L.llama_synchronize(context.handle)
    if failed:
        raise EngineError("The engine stopped while its speed was measured.", "The log says what it found.")
    return time.perf_counter() - began_s
