"""DeepSeek V4's caches in the terms of the others: an approximation, which a dry run of the engine corrects.

llama-kv-cache-dsv4.cpp of llama.cpp 0c1e57098: every layer keeps the keys of its last tokens, most keep besides one
compressed key for every 4 tokens (with an indexer's) or for every 128, and the state that compresses.
"""

from carryon.gguf.kept import Attention, Kept
from carryon.gguf.keys import Keys

_INDEXED_RATIO, _SPARSE_RATIO = 4, 128  # DSV4_CSA_RATIO, DSV4_HCA_RATIO
_USUAL_UBATCH = 512
_CELL_STEP = 256
_F16_BYTES, _F32_BYTES = 2, 4


def kept_by_deepseek4(keys: Keys, n_layers: int, n_extra: int) -> tuple[Kept, ...]:
    """The compressed keys are as exact as rows of whole numbers can be. The last tokens are counted with the state,
    as if kept in F16 at the usual ubatch: with another KV type that is a few MB too much.
    """
    ratios = keys.list_of("attention.compress_ratios", n_layers) or (0,) * n_layers
    return tuple(_kept(keys, ratio) if layer < n_layers - n_extra else Kept() for layer, ratio in enumerate(ratios))


def _kept(keys: Keys, ratio: int) -> Kept:
    n_heads, key = keys.number("attention.head_count"), keys.number("attention.key_length")
    window, indexer = keys.number("attention.sliding_window"), keys.number("attention.indexer.key_length")
    recent = _F16_BYTES * key * -(-(window + _USUAL_UBATCH) // _CELL_STEP) * _CELL_STEP
    if ratio == _INDEXED_RATIO:
        state = 2 * _F32_BYTES * 2 * ratio * 2 * (key + indexer)
        return Kept(Attention(n_heads, 1, -(-(key + indexer) // ratio), 0), recent + state)
    if ratio == _SPARSE_RATIO:
        state = 2 * _F32_BYTES * ratio * key
        return Kept(Attention(n_heads, 1, -(-key // ratio), 0), recent + state)
    return Kept(Attention(n_heads, 1, key, 0, window))
