"""A model whose list of tensors is not here: from the facts at its file's start, scaled to the file's true size.

What each layer keeps of a conversation is as exact as ever; how the weights share out among the layers is a guess.
"""

from dataclasses import dataclass, replace
from math import log

from carryon.gguf.architectures import refuse_unknown
from carryon.gguf.geometry import kept_by_layers
from carryon.gguf.header import Header
from carryon.gguf.keys import Keys
from carryon.gguf.mix import QUANTS, padded_bytes, requantized
from carryon.gguf.shape import LayerShape, ModelShape, TensorInfo
from carryon.gguf.sketch import Parameters, sketched

_USUAL_VOCABULARY = 128_000  # where neither the tokens nor their number stand in the bytes that are here


@dataclass(frozen=True)
class Known:
    """What is known of the model from elsewhere: its file's size and quant, and what the Hub counted."""

    quant: str
    size_bytes: int
    n_params: int | None = None


def outlined(start: Header, known: Known) -> ModelShape:
    """The shape by a header without its tensors (header.begun_header). Raises BadFile, Unsupported and BadInput."""
    refuse_unknown(start)
    keys = Keys(start)
    made = _nearest(_parameters(keys, start), known.n_params)
    kept = kept_by_layers(keys)
    layers = tuple(
        LayerShape(layer.tensors, one.attention, one.recurrent_bytes)
        for layer, one in zip(made.layers, kept, strict=True)
    )
    shape = replace(made, architecture=start.architecture, name=start.name or start.file_name, layers=layers)
    quant = known.quant if known.quant in QUANTS else "Q4_K_M"
    return scaled(requantized(shape, quant), known.size_bytes)


def scaled(shape: ModelShape, size_bytes: int) -> ModelShape:
    """The same model in a file of so many bytes: every tensor takes its part of the difference."""
    header_bytes = max(0, shape.size_bytes - sum(padded_bytes(one.size_bytes) for one in shape.tensors))
    ratio = max(size_bytes - header_bytes, 1) / max(shape.weights_bytes, 1)

    def all_of(tensors: tuple[TensorInfo, ...]) -> tuple[TensorInfo, ...]:
        return tuple(replace(one, size_bytes=round(one.size_bytes * ratio)) for one in tensors)

    made = replace(
        shape,
        layers=tuple(replace(layer, tensors=all_of(layer.tensors)) for layer in shape.layers),
        input_tensors=all_of(shape.input_tensors),
        output_tensors=all_of(shape.output_tensors),
        shared_tensors=all_of(shape.shared_tensors),
        unused_tensors=all_of(shape.unused_tensors),
        size_bytes=size_bytes,
    )
    made.join(shape.family)  # names and extents stay
    return made


def _parameters(keys: Keys, start: Header) -> Parameters:
    n_layers = len(kept_by_layers(keys))
    n_heads = max(keys.per_layer("attention.head_count", n_layers, 1)[0], 1)
    n_kv_heads = max(keys.per_layer("attention.head_count_kv", n_layers, n_heads))
    n_embd = keys.number("embedding_length")
    return Parameters(
        n_layers=n_layers,
        n_embd=n_embd,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads if n_kv_heads and n_heads % n_kv_heads == 0 else 0,
        head_length=keys.number("attention.key_length") or -(-n_embd // n_heads),
        n_ff=keys.number("feed_forward_length") or 4 * n_embd,
        n_vocab=start.array_lengths.get("tokenizer.ggml.tokens") or keys.number("vocab_size") or _USUAL_VOCABULARY,
        n_ctx_train=max(keys.number("context_length"), 1),
        n_experts=keys.number("expert_count"),
        n_experts_used=max(keys.number("expert_used_count"), 1) if keys.number("expert_count") else 0,
        n_ff_expert=keys.number("expert_feed_forward_length") or keys.number("feed_forward_length"),
        n_dense_layers=min(keys.number("leading_dense_block_count"), n_layers),
    )


def _nearest(parameters: Parameters, n_params: int | None) -> ModelShape:
    """With the output layer tied to the embedding or not: whichever comes nearer to the number of parameters."""
    both = [sketched(replace(parameters, is_tied=is_tied)) for is_tied in (False, True)]
    return min(both, key=lambda one: abs(one.n_params - n_params)) if n_params else both[0]


# Layers, embedding length, heads and KV heads of well-known dense models, by their parameters: Qwen2.5 0.5B, Llama 3.2
# 1B and 3B, Llama 3.1 8B, Qwen2.5 14B and 32B, Llama 3.3 70B, Mistral Large 123B, Llama 3.1 405B.
_LIKENESSES = (
    (0.49e9, 24, 896, 14, 2), (1.24e9, 16, 2048, 32, 8), (3.21e9, 28, 3072, 24, 8), (8.03e9, 32, 4096, 32, 8),
    (14.8e9, 48, 5120, 40, 8), (32.8e9, 64, 5120, 40, 8), (70.6e9, 80, 8192, 64, 8), (123e9, 88, 12288, 96, 8),
    (406e9, 126, 16384, 128, 8),
)  # fmt: skip
_LIKENESS_CONTEXT = 32768


def likeness(n_params: int, n_ctx_train: int | None = None, name: str = "") -> ModelShape:
    """A dense model of about so many parameters, for where nothing but their number is known. Raises BadInput."""
    _, n_layers, n_embd, n_heads, n_kv_heads = min(
        _LIKENESSES, key=lambda one: abs(log(one[0]) - log(max(n_params, 1)))
    )
    attention = 2 * n_embd * n_embd * (1 + n_kv_heads / n_heads)
    n_vocab = 32_000 if n_params < 0.2e9 else _USUAL_VOCABULARY
    left = (n_params - n_vocab * n_embd) / n_layers - attention
    n_ff = max(round(left / (3 * n_embd) / 256), 1) * 256
    sizes = Parameters(
        n_layers, n_embd, n_heads, n_ff, n_vocab, n_ctx_train or _LIKENESS_CONTEXT, n_kv_heads, is_tied=True, name=name
    )
    made = sketched(sizes)
    return scaled(made, max(2 * n_params, 1))
