"""What the engine feeds a graph with beside the tokens: positions, rows to answer, cells to store in, masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from carryon.fit.cache import cells
from carryon.fit.placement import Load
from carryon.fit.remembered import per_family
from carryon.fit.spread import Span
from carryon.fit.working.anatomy import key_rotation_bytes, value_rotation_bytes
from carryon.gguf.shape import Attention, ModelShape

_F16, _F32, _I32, _I64 = 2, 4, 4, 8
_PER_LAYER_COPIES = {"gemma3n": 4}  # as the input and as what is looked up; Gemma 3n turns them about as well


@dataclass(frozen=True)
class CacheUse:
    """One cache of a model: for all layers that look back equally far."""

    window: int
    n_layers: tuple[int, ...]  # n_layers[i]: how many of the layers before i use it
    n_rows: int  # keys and values, or only keys (MLA)
    rotations: tuple[int, ...]  # bytes of the matrices that turn rows before they are quantized


@per_family
def cache_uses(shape: ModelShape) -> tuple[CacheUse, ...]:
    """The caches of a shape, the one without a window first."""
    heads = [layer.attention for layer in shape.layers]
    return tuple(_cache_use(window, heads) for window in sorted({one.window for one in heads if one}))


def input_bytes(shape: ModelShape, span: Span, load: Load) -> tuple[int, ...]:
    """Positions, rows to answer, and for each cache of the span where to store and what may be looked at."""
    found = [_I32 * load.n_tokens, _I32 * load.n_parallel]
    if per_layer := per_layer_bytes(shape):
        found.append(per_layer * load.n_tokens)
    for use in cache_uses(shape):
        if use.n_layers[span.end] > use.n_layers[span.first]:
            found += [_I64 * load.n_tokens] * use.n_rows
            found += use.rotations if load.kv_type.is_quantized else ()
            found.append(_F16 * load.n_tokens * cells(use.window, load.n_ctx, load.n_tokens))
    return tuple(found)


@per_family
def per_layer_bytes(shape: ModelShape) -> int:
    """Embeddings of a token for every layer (Gemma 3n and 4): looked up once, and kept until the last layer."""
    widths = (one.shape[0] for one in shape.input_tensors if one.name == "per_layer_token_embd.weight")
    return _F32 * next(widths, 0) * _PER_LAYER_COPIES.get(shape.architecture, 2)


def cache_cells(shape: ModelShape, load: Load) -> tuple[tuple[int, int], ...]:
    """Of each cache how far it looks back, and the cells of all sequences."""
    return tuple(
        (use.window, cells(use.window, load.n_ctx, load.n_tokens) * load.n_parallel) for use in cache_uses(shape)
    )


def _cache_use(window: int, heads: Sequence[Attention | None]) -> CacheUse:
    own = [one for one in heads if one and one.window == window]
    counts = accumulate((one is not None and one.window == window for one in heads), initial=0)
    key, value = own[0].key_length, own[0].value_length
    turned = (key_rotation_bytes(key), value_rotation_bytes(value)) if value else ()
    return CacheUse(window, tuple(counts), 2 if value else 1, tuple(size for size in turned if size))
