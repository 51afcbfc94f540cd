"""What each layer of a model remembers: its part of the KV cache, its window, its recurrent state, as llama.cpp has it.

Sources: llama-hparams.cpp, llama-model.cpp (load_hparams, create_memory), models/*.cpp and the llama-kv-cache*.cpp of
llama.cpp 0c1e57098; tests/gguf/test_gguf_geometry.py holds every rule against the engine itself.
"""

from dataclasses import replace

from carryon.gguf.deepseek4 import kept_by_deepseek4
from carryon.gguf.kept import Attention, Kept
from carryon.gguf.keys import Keys
from carryon.gguf.windows import windows

_STATE_BYTES = 4  # recurrent state is kept in F32
_RWKV = {"rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"}
_WITHOUT_GROUPS = {"mamba", "jamba"}  # of their state; the others read ssm.group_count
_RECURRENT = _RWKV | {"mamba", "mamba2"}
_LFM2 = {"lfm2", "lfm2moe"}
_DELTA_ATTENTION = {"kimi-linear", "bailingmoe3", "kimi-k3", "glm5-next"}
_RECURRENT_WITHOUT_KV_HEADS = _LFM2 | _DELTA_ATTENTION | {"jamba", "plamo2", "granitehybrid"}
# architecture -> every so manieth layer has attention, where the file does not list the layers
_ATTENTION_INTERVALS = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "qwen4exp": 4, "minimax-01": 8}
_NEMOTRON = {"nemotron_h", "nemotron_h_moe"}
_NOTHING_KEPT = {  # embedding and diffusion models: create_memory answers nullptr
    "bert", "jina-bert-v2", "jina-bert-v3", "nomic-bert", "nomic-bert-moe", "neo-bert", "eurobert", "wavtokenizer-dec",
    "modern-bert", "gemma-embedding", "dream", "llada", "llada-moe", "rnd1",
}  # fmt: skip
_LATENT = {"deepseek2", "mistral4", "deepseek32", "glm-dsa", "dots3note", "hy_v4"} | _DELTA_ATTENTION
# The prediction blocks at the end are for another context; only in these does the main one keep a cache for them too.
_NEXTN_KEEPS_KV = (_RECURRENT_WITHOUT_KV_HEADS | {"falcon-h1", "minimax-m3", "hy_v4"}) - {"glm5-next"}
_GEMMA3N_KV_LAYERS = 20  # models/gemma3n.cpp: the layers after these reuse the cache of two of them


def kept_by_layers(keys: Keys) -> tuple[Kept, ...]:
    """One entry for each layer that the engine makes, which may be more than the file has blocks."""
    n_layers, n_extra = keys.block_counts()
    if keys.architecture in _NOTHING_KEPT:
        return (Kept(),) * n_layers
    if keys.architecture == "deepseek4":
        return kept_by_deepseek4(keys, n_layers, n_extra)
    kept = _kept_by_blocks(keys, n_layers, n_extra)
    if keys.architecture == "nanbeige":  # goes through all its blocks several times, each time with a cache of its own
        return kept * keys.within_layers("num_loops", n_layers)
    if keys.architecture == "graniteswitch":  # one more layer, with one head, chooses the adapter of each token
        return (*kept, Kept(Attention(1, 1, *_head_sizes(keys, keys.number("attention.head_count"))[0])))
    return kept


def _kept_by_blocks(keys: Keys, n_layers: int, n_extra: int) -> tuple[Kept, ...]:
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
    full, windowed = _head_sizes(keys, n_heads[0])
    is_latent = keys.architecture in _LATENT and keys.number("attention.key_length_mla") > 0
    layers = []
    for layer in range(n_layers):
        key, value = windowed if looks_back[layer] else full
        one = Attention(n_heads[layer], n_kv_heads[layer], key, 0 if is_latent else value, looks_back[layer])
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
    architecture, n_embd = keys.architecture, keys.number("embedding_length")
    n_heads = keys.per_layer("attention.head_count", n_layers)[0]
    if architecture in _RWKV:
        numbers = (keys.number("token_shift_count", 2) + keys.number("wkv.head_size")) * n_embd
    elif architecture in _LFM2:
        numbers = n_embd * (keys.number("shortconv.l_cache") - 1)
    elif architecture in _DELTA_ATTENTION:
        head = keys.number("kda.head_dim")
        numbers = 3 * _convolution_steps(keys, 3) * n_heads * head + head * head * n_heads
    elif architecture == "minimax-01":
        head = _head_sizes(keys, n_heads)[0][0]
        numbers = head * head * n_heads
    else:
        numbers = _ssm_numbers(keys)
    return _STATE_BYTES * max(numbers, 0)


def _ssm_numbers(keys: Keys) -> int:
    inner, state = keys.number("ssm.inner_size"), keys.number("ssm.state_size")
    groups = 0 if keys.architecture in _WITHOUT_GROUPS else keys.number("ssm.group_count")
    return _convolution_steps(keys, 0) * (inner + 2 * groups * state) + state * inner


def _convolution_steps(keys: Keys, unsaid: int) -> int:
    kernel = keys.number("ssm.conv_kernel")
    return kernel - 1 if kernel else unsaid
