"""The engine's working memory: compute buffers by closed form, and how far the forms can be off."""

from carryon.fit.placement import Placement
from carryon.fit.spread import Spread
from carryon.gguf.shape import ModelShape

_F32 = 4


def compute_bytes(shape: ModelShape, spread: Spread, placement: Placement) -> tuple[int, tuple[int, ...]]:
    """The RAM's compute buffer and that of every GPU of the rooms."""
    graph = _graph_bytes(shape, placement)
    inputs = _mask_bytes(placement) + _F32 * placement.n_tokens * shape.n_embd
    if not spread.n_devices:
        return graph, (0,) * len(spread.gpus)
    ram = graph if spread.ram.n_layers else inputs
    return ram, tuple(0 if span.is_empty else graph for span in spread.gpus)


def _graph_bytes(shape: ModelShape, placement: Placement) -> int:
    wide = 3 * max(shape.n_ff, shape.n_experts_used * shape.n_ff_expert) + 4 * shape.n_embd
    logits = _F32 * shape.n_vocab * placement.n_parallel + 8 * placement.n_tokens * shape.n_embd
    return max(_F32 * placement.n_tokens * wide + _mask_bytes(placement), logits)


def _mask_bytes(placement: Placement) -> int:
    """Half floats, a row of the whole cache for every token."""
    return 2 * placement.n_ctx_each * placement.n_tokens
