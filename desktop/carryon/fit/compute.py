"""The engine's working memory: the buffer that its graph needs on each device, by laying the graph out as it does."""

from dataclasses import dataclass
from itertools import accumulate

from carryon.fit.body import ROTATED, Batch, Work, body_of, peak_bytes
from carryon.fit.cache import cells
from carryon.fit.flow import Program, Width
from carryon.fit.graph import F32, embedding, handed_over
from carryon.fit.placement import Placement
from carryon.fit.remembered import per_shape
from carryon.fit.room import Backend, Rooms
from carryon.fit.spread import Span, Spread
from carryon.fit.storage import ALIGNMENT
from carryon.gguf.shape import Attention, ModelShape

_F16, _I32, _I64 = 2, 4, 8
_NOTHING = Width()
_PIPELINE_COPIES = 4  # GGML_SCHED_MAX_COPIES of ggml-backend.cpp


def compute_bytes(shape: ModelShape, spread: Spread, placement: Placement, rooms: Rooms) -> tuple[int, tuple[int, ...]]:
    """The RAM's compute buffer and that of every GPU of the rooms."""
    n_copies = _PIPELINE_COPIES if _is_pipelined(spread, placement, rooms) else 1
    gpus = [0] * len(spread.gpus)
    is_first = True
    for index, (span, room) in enumerate(zip(spread.gpus, rooms.gpus, strict=True)):
        if not span.is_empty:
            gpus[index] = peak_bytes(_gpu_work(shape, span, spread, placement, room.backend, n_copies, is_first))
            is_first = False
    return peak_bytes(_ram_work(shape, spread, placement, n_copies)), tuple(gpus)


def _is_pipelined(spread: Spread, placement: Placement, rooms: Rooms) -> bool:
    """Several GPUs, and nothing but the embedding in RAM: llama-context.cpp, cparams.pipeline_parallel."""
    n_devices = len(placement.gpus) or len(rooms.gpus)
    return n_devices > 1 and not spread.ram.n_layers and not spread.ram.has_output and not placement.n_cpu_experts


def _ram_work(shape: ModelShape, spread: Spread, placement: Placement, n_copies: int) -> Work:
    body, n_tokens = body_of(shape, placement.kv_type.is_quantized), placement.n_tokens
    programs = [embedding(shape.n_embd), *body.whole.between(0, spread.ram.end)]
    left: list[Program] = []
    if not spread.ram.has_output:
        programs.append(handed_over(shape.n_embd))
        left = body.experts.between(spread.ram.end, spread.n_cpu_experts)
    if spread.n_devices > 1:  # the inputs stay until the last of them has its copies
        programs, left = programs + left, []
    every = Span(0, shape.n_layers, has_output=True)
    inputs = (_I32 * n_tokens, *_inputs(shape, every, placement), F32 * n_tokens * shape.n_embd)
    batch = _batch(placement, Backend.CPU)
    return Work(tuple(programs), inputs, batch, n_copies, _tail(shape, spread.ram), tuple(left))


def _gpu_work(
    shape: ModelShape, span: Span, spread: Spread, placement: Placement, backend: Backend, n_copies: int, is_first: bool
) -> Work:
    body = body_of(shape, placement.kv_type.is_quantized)
    first = span.first
    programs: list[Program] = []
    if first and is_first:
        programs = [body.after_ram[first - 1]]
    elif first and span.n_layers:
        programs = [body.after_gpu[first]]
        first += 1
    parted = max(first, min(spread.n_cpu_experts, span.end))
    programs += body.without_experts.between(first, parted) + body.whole.between(parted, span.end)
    inputs = _inputs(shape, span, placement)
    batch = _batch(placement, backend)
    return Work(tuple(programs) or (handed_over(shape.n_embd),), inputs, batch, n_copies, _tail(shape, span))


def _tail(shape: ModelShape, span: Span) -> Width:
    return Width(per_output=F32 * shape.n_vocab) if span.has_output else _NOTHING


def _batch(placement: Placement, backend: Backend) -> Batch:
    return Batch(placement.n_tokens, placement.n_parallel, ALIGNMENT[backend])


def _inputs(shape: ModelShape, span: Span, placement: Placement) -> tuple[int, ...]:
    """Positions, the rows to answer, and for each cache of the span where to store and what may be looked at."""
    if not span.n_layers:
        return ()
    n_tokens = placement.n_tokens
    found = [_I32 * n_tokens, _I32 * placement.n_parallel]
    for use in cache_uses(shape):
        if use.n_layers[span.end] > use.n_layers[span.first]:
            found += [_I64 * n_tokens] * use.n_rows
            found += use.rotations if placement.kv_type.is_quantized else ()
            found.append(_F16 * n_tokens * cells(use.window, placement))
    return tuple(found)


@dataclass(frozen=True)
class CacheUse:
    """One cache of a model: for all layers that look back equally far."""

    window: int
    n_layers: tuple[int, ...]  # n_layers[i]: how many of the layers before i use it
    n_rows: int  # keys and values, or only keys (MLA)
    rotations: tuple[int, ...]  # bytes of the matrices that turn rows before they are quantized


@per_shape
def cache_uses(shape: ModelShape) -> tuple[CacheUse, ...]:
    """The caches of a shape, those without a window first."""
    heads = [layer.attention for layer in shape.layers]
    return tuple(_cache_use(window, heads) for window in sorted({one.window for one in heads if one}))


def _cache_use(window: int, heads: list[Attention | None]) -> CacheUse:
    own = [one for one in heads if one and one.window == window]
    counts = accumulate((one is not None and one.window == window for one in heads), initial=0)
    has_values = own[0].value_length > 0
    turned = (_key_rotation(own[0].key_length), _value_rotation(own[0].value_length)) if has_values else ()
    return CacheUse(window, tuple(counts), 1 + has_values, tuple(size for size in turned if size))


def _key_rotation(length: int) -> int:
    """build_input_k_rot: a Hadamard matrix of the largest power of two that divides the head; 0 below 64."""
    side = length & -length
    return F32 * side * side if side >= ROTATED else 0


def _value_rotation(length: int) -> int:
    """build_input_v_rot: always 64 wide."""
    return F32 * ROTATED * ROTATED if length % ROTATED == 0 else 0
