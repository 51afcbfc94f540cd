"""What each layer of a model remembers: its part of the KV cache, its window, its recurrent state, as llama.cpp has it.

Sources: llama-hparams.cpp, llama-model.cpp (load_hparams, create_memory), models/*.cpp and the llama-kv-cache*.cpp of
llama.cpp 0c1e57098; tests/gguf/test_gguf_geometry.py holds every rule against the engine itself.
"""

from dataclasses import dataclass, replace

from carryon.gguf.keys import Keys
from carryon.gguf.windows import windows

_STATE_BYTES = 4  # recurrent state is kept in F32
_RECURRENT = {"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"}
_RECURRENT_WITHOUT_KV_HEADS = {
    "jamba", "plamo2", "granitehybrid", "lfm2", "lfm2moe", "kimi-linear", "bailingmoe3", "kimi-k3", "glm5-next",
}  # fmt: skip
# architecture -> every so manieth layer has attention, where the file does not list the layers
_ATTENTION_INTERVALS = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "qwen4exp": 4, "minimax-01": 8}
_NEMOTRON = {"nemotron_h", "nemotron_h_moe"}
_NOTHING_KEPT = {  # embedding and diffusion models: create_memory answers nullptr
    "bert", "jina-bert-v2", "jina-bert-v3", "nomic-bert", "nomic-bert-moe", "neo-bert", "eurobert", "wavtokenizer-dec",
    "modern-bert", "gemma-embedding", "dream", "llada", "llada-moe", "rnd1",
}  # fmt: skip
# The prediction blocks at the end are for another context; only in these does the main one keep a cache for them too.
_NEXTN_KEEPS_KV = {"jamba", "plamo2", "granitehybrid", "lfm2", "lfm2moe", "kimi-linear", "bailingmoe3", "kimi-k3",
                   "falcon-h1", "minimax-m3", "hy_v4"}  # fmt: skip
_GEMMA3N_KV_LAYERS = 20  # models/gemma3n.cpp: the layers after these reuse the cache of two of them


@dataclass(frozen=True)
class Attention:
    """The KV cache geometry of one layer. `value_length` 0: only keys are kept (MLA)."""

    n_heads: int
    n_kv_heads: int
    key_length: int
    value_length: int
    window: int = 0  # tokens that the layer looks back; 0 = all of them


@dataclass(frozen=True)
class Kept:
    """What one layer remembers of a conversation."""

    attention: Attention | None = None  # None: no KV cache
    recurrent_bytes: int = 0  # of one sequence, whatever its length


def kept_by_layers(keys: Keys, n_layers: int, n_extra: int) -> tuple[Kept, ...]:
    """One entry for each block; the last `n_extra` of them predict further tokens and belong to no usual context."""
    if keys.architecture in _NOTHING_KEPT:
        return (Kept(),) * n_layers
    recurrent = _recurrent_layers(keys, n_layers, n_extra)
    attending = _attending_layers(keys, n_layers, n_extra, recurrent)
    geometry, state = _geometry(keys, n_layers, n_extra), _state_bytes(keys, n_layers)
    return tuple(
        Kept(geometry[layer] if attending[layer] else None, state if recurrent[layer] else 0)
        for layer in range(n_layers)
    )


def _recurrent_layers(keys: Keys, n_layers: int, n_extra: int) -> tuple[bool, ...]:
    main = n_layers - n_extra
    return (*_is_recurrent(keys, n_layers)[:main], *(False,) * n_extra)


def _is_recurrent(keys: Keys, n_layers: int) -> tuple[bool, ...]:
    architecture, n_kv = keys.architecture, _kv_heads(keys, n_layers)
    if architecture in _RECURRENT or architecture == "falcon-h1":
        return (True,) * n_layers
    if architecture in _RECURRENT_WITHOUT_KV_HEADS:
        return tuple(count == 0 for count in n_kv)
    if architecture in _NEMOTRON:
        n_ff = keys.per_layer("feed_forward_length", n_layers)
        return tuple(count == 0 and width == 0 for count, width in zip(n_kv, n_ff, strict=True))
    if architecture in _ATTENTION_INTERVALS:
        return _between_attention(keys, n_layers)
    return (False,) * n_layers


def _between_attention(keys: Keys, n_layers: int) -> tuple[bool, ...]:
    if keys.has("attention.recurrent_layers"):
        return tuple(value != 0 for value in keys.per_layer("attention.recurrent_layers", n_layers))
    interval = keys.number("full_attention_interval", _ATTENTION_INTERVALS[keys.architecture])
    if not interval:
        raise keys.refuse(f"its field “{keys.architecture}.full_attention_interval” is 0")
    return tuple((layer + 1) % interval != 0 for layer in range(n_layers))


def _attending_layers(keys: Keys, n_layers: int, n_extra: int, recurrent: tuple[bool, ...]) -> tuple[bool, ...]:
    architecture, main = keys.architecture, n_layers - n_extra
    if architecture in _RECURRENT:
        return (False,) * n_layers
    if architecture == "falcon-h1":
        return (True,) * n_layers
    if architecture in _NEMOTRON:
        n_ff = keys.per_layer("feed_forward_length", n_layers)
        return tuple(not state and width == 0 for state, width in zip(recurrent, n_ff, strict=True))
    last = n_layers if architecture in _NEXTN_KEEPS_KV or main == 0 else main
    last = min(last, _layers_with_own_kv(keys, n_layers))
    return tuple(layer < last and not recurrent[layer] for layer in range(n_layers))


def _layers_with_own_kv(keys: Keys, n_layers: int) -> int:
    """Gemma 3n and 4: the layers after these use the cache of an earlier one."""
    if keys.architecture == "gemma3n":
        return _GEMMA3N_KV_LAYERS
    if keys.architecture == "gemma4":
        return n_layers - keys.number("attention.shared_kv_layers")
    return n_layers


def _geometry(keys: Keys, n_layers: int, n_extra: int) -> tuple[Attention | None, ...]:
    n_heads, n_kv_heads = keys.per_layer("attention.head_count", n_layers), _kv_heads(keys, n_layers)
    looks_back = windows(keys, n_layers, n_extra)
    full, windowed = _head_sizes(keys, n_heads[0] if n_heads else 0)
    is_mla = keys.number("attention.key_length_mla") > 0 and keys.number("attention.value_length_mla") > 0
    layers = []
    for layer in range(n_layers):
        key, value = windowed if looks_back[layer] else full
        one = Attention(n_heads[layer], n_kv_heads[layer], key, 0 if is_mla else value, looks_back[layer])
        layers.append(_with_indexer(keys, one, layer, n_layers, n_extra) if one.n_kv_heads * key else None)
    return tuple(layers)


def _kv_heads(keys: Keys, n_layers: int) -> tuple[int, ...]:
    return keys.per_layer("attention.head_count_kv", n_layers, keys.per_layer("attention.head_count", n_layers))


def _head_sizes(keys: Keys, n_heads: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Numbers in one key and one value: of layers that look back on everything, and of those with a window."""
    if not n_heads and keys.architecture != "plamo2":
        return (0, 0), (0, 0)
    usual = keys.number("embedding_length") // n_heads if n_heads else 0
    key, value = keys.number("attention.key_length", usual), keys.number("attention.value_length", usual)
    windowed = keys.number("attention.key_length_swa", key), keys.number("attention.value_length_swa", value)
    return (key, value), windowed


def _with_indexer(keys: Keys, attention: Attention, layer: int, n_layers: int, n_extra: int) -> Attention:
    """Sparse attention keeps the keys of its indexer for the same tokens in the same type: they lengthen the layer's.

    llama-kv-cache-dsa.cpp, -msa.cpp and llama-memory-hybrid-idx.cpp: one more head of `indexer.key_length`.
    """
    numbers = _indexer_numbers(keys, attention, layer, n_layers - n_extra)
    if not numbers:
        return attention
    key, value = numbers
    heads = attention.n_kv_heads
    return replace(
        attention,
        key_length=attention.key_length + -(-key // heads),
        value_length=attention.value_length + -(-value // heads),
    )


def _indexer_numbers(keys: Keys, attention: Attention, layer: int, main: int) -> tuple[int, int] | None:
    length = keys.number("attention.indexer.key_length")
    if layer >= main or not length:
        return None
    match keys.architecture:
        case "deepseek32" | "qwen4exp":
            return length, 0
        case "minimax-m3":
            return (length, attention.value_length) if layer >= keys.number("leading_dense_block_count") else None
        case "glm5-next":
            kept_each = 3 if keys.number("attention.indexer.kpool") else 1
            return (kept_each * length, 0) if _owns_indexer(keys, layer, main) else None
        case "glm-dsa" | "dots3note":
            return (length, 0) if _owns_indexer(keys, layer, main) else None
        case "hy_v4":
            return (length, 0) if keys.number("attention.indexer.top_k") and _owns_indexer(keys, layer, main) else None
    return None


def _owns_indexer(keys: Keys, layer: int, main: int) -> bool:
    """Whether a layer has an indexer of its own; the others use that of a layer before them."""
    if keys.has("attention.indexer.types"):
        return keys.per_layer("attention.indexer.types", main)[layer] != 0
    if keys.architecture == "glm-dsa" and keys.number("context_length") >= 1 << 20:  # GLM 5.2, models/glm-dsa.cpp
        return layer < 2 or layer % 4 == 2
    return keys.architecture in {"glm-dsa", "glm5-next"}


def _state_bytes(keys: Keys, n_layers: int) -> int:
    """Of one recurrent layer and one sequence: llama_hparams::n_embd_r + n_embd_s."""
    return _STATE_BYTES * sum(_state_numbers(keys, n_layers))


def _state_numbers(keys: Keys, n_layers: int) -> tuple[int, int]:
    n_embd, n_heads = keys.number("embedding_length"), keys.per_layer("attention.head_count", n_layers)[0]
    kernel = keys.number("ssm.conv_kernel")
    inner, state = keys.number("ssm.inner_size"), keys.number("ssm.state_size")
    if head := keys.number("wkv.head_size"):
        return keys.number("token_shift_count", 2) * n_embd, head * n_embd
    if cache := keys.number("shortconv.l_cache"):
        return n_embd * (cache - 1), state * inner
    if head := keys.number("kda.head_dim"):
        return 3 * (kernel - 1 if kernel else 3) * n_heads * head, head * head * n_heads
    groups = keys.number("ssm.group_count")
    convolution = (kernel - 1 if kernel else 0) * (inner + 2 * groups * state)
    if keys.architecture == "minimax-01":
        head = keys.number("attention.key_length", n_embd // n_heads if n_heads else 0)
        return convolution, head * head * n_heads
    return convolution, state * inner
