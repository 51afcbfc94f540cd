"""What a chat remembers: the KV cache and the recurrent state of every device, to the byte."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from carryon.fit.placement import CONTEXT_PADDING, Load, Placement, padded
from carryon.fit.remembered import per_family
from carryon.fit.room import Backend, Rooms
from carryon.fit.spread import Span, Spread
from carryon.fit.storage import aligned, row_padding_bytes
from carryon.gguf.quants import KvType
from carryon.gguf.shape import Attention, LayerShape, ModelShape


@dataclass(frozen=True)
class _Sums:
    """The cache of a shape in one type on one kind of device; sums[i] = bytes of the layers before layer i."""

    by_window: tuple[tuple[int, tuple[int, ...]], ...]  # window -> bytes per cell of the layers with that window
    fixed: tuple[int, ...]  # padding that does not grow with the context
    recurrent: tuple[int, ...]  # per sequence


def cells(window: int, n_ctx: int, n_tokens: int) -> int:
    """The tokens that a layer keeps of each sequence; llama-kv-cache-iswa.cpp, with swa_full off."""
    return padded(min(n_ctx, window + n_tokens), CONTEXT_PADDING) if window else n_ctx


@per_family
def cache_sums(shape: ModelShape, load: Load, backend: Backend) -> tuple[int, ...]:
    """The bytes of the first 0, 1, 2 ... layers of a shape together, with such a context on such a device."""
    known = _sums(shape, load.kv_type, backend)
    fixed = zip(known.fixed, known.recurrent, strict=True)
    sums = [padding + recurrent * load.n_parallel for padding, recurrent in fixed]
    for window, per_cell in known.by_window:
        n_cells = cells(window, load.n_ctx, load.n_tokens) * load.n_parallel
        sums = [one + n_cells * each for one, each in zip(sums, per_cell, strict=True)]
    return tuple(sums)


@per_family
def _sums(shape: ModelShape, kv_type: KvType, backend: Backend) -> _Sums:
    """Walks all layers, once."""
    windows = sorted({layer.attention.window for layer in shape.layers if layer.attention})
    return _Sums(
        by_window=tuple(
            (window, _running(_cell_bytes(one, window, kv_type) for one in shape.layers)) for window in windows
        ),
        fixed=_running(_padding_bytes(layer.attention, kv_type, backend) for layer in shape.layers),
        recurrent=_running(layer.recurrent_bytes for layer in shape.layers),
    )


def cache_bytes(shape: ModelShape, spread: Spread, placement: Placement, rooms: Rooms) -> tuple[int, tuple[int, ...]]:
    """The RAM's cache and that of every GPU: a layer's cache lies where the layer lies."""
    load = placement.load
    gpus = [
        _between(cache_sums(shape, load, room.backend), span) if span.end else 0
        for span, room in zip(spread.gpus, rooms.gpus, strict=True)
    ]
    ram = _between(cache_sums(shape, load, Backend.CPU), spread.ram) if spread.ram.end else 0
    return ram, tuple(gpus)


def _between(sums: tuple[int, ...], span: Span) -> int:
    return sums[span.end] - sums[span.first]


def rows(attention: Attention) -> tuple[int, ...]:
    """The numbers of a token's key row and of its value row; MLA keeps no values."""
    lengths = (attention.key_length, attention.value_length)
    return tuple(attention.n_kv_heads * length for length in lengths if length)


def _cell_bytes(layer: LayerShape, window: int, kv_type: KvType) -> int:
    """The bytes of one token in a layer, 0 where the layer has another window."""
    if layer.attention is None or layer.attention.window != window:
        return 0
    return sum(kv_type.ggml.size_bytes(row) for row in rows(layer.attention))


def _padding_bytes(attention: Attention | None, kv_type: KvType, backend: Backend) -> int:
    """A cache has a multiple of 256 cells, so nothing but a row's padding can break the alignment."""
    if attention is None:
        return 0
    return sum(aligned(row_padding_bytes(kv_type.ggml, row, backend), backend) for row in rows(attention))


def _running(sizes: Iterable[int]) -> tuple[int, ...]:
    return tuple(accumulate(sizes, initial=0))
