"""A model that does not exist yet: from typed sizes to the tensors that such a model would have."""

from collections.abc import Iterator
from dataclasses import dataclass

from carryon.base.errors import BadInput
from carryon.gguf.mix import padded_bytes, requantized
from carryon.gguf.quants import GGML_TYPES_BY_NAME, GgmlType
from carryon.gguf.shape import Attention, LayerShape, ModelShape, TensorInfo

_F16, _F32 = GGML_TYPES_BY_NAME["F16"], GGML_TYPES_BY_NAME["F32"]
# What a size is called, and its least and greatest value. Layers and experts: LLAMA_MAX_LAYERS and LLAMA_MAX_EXPERTS of
# llama.cpp 0c1e57098; the others lie well beyond any model there is.
_BOUNDS = {
    "n_layers": ("number of layers", 1, 512),
    "n_embd": ("embedding length", 1, 1 << 18),
    "n_heads": ("number of heads", 1, 4096),
    "n_kv_heads": ("number of KV heads", 0, 4096),
    "head_length": ("head size", 0, 1 << 14),
    "n_ff": ("feed-forward length", 0, 1 << 21),
    "n_vocab": ("vocabulary", 1, 1 << 24),
    "n_ctx_train": ("trained context", 1, 1 << 30),
    "n_experts": ("number of experts", 0, 1024),
    "n_experts_used": ("number of experts used", 0, 1024),
    "n_ff_expert": ("feed-forward length of an expert", 0, 1 << 21),
    "n_dense_layers": ("number of layers without experts", 0, 512),
    "window": ("sliding window", 0, 1 << 30),
    "full_every": ("distance of layers that see everything", 0, 512),
}


@dataclass(frozen=True)
class Parameters:
    """The sizes of a Llama-like model, with experts of a Qwen3-MoE-like one. Raises BadInput where they contradict.

    `head_length` 0 is the embedding length shared out among the heads, `n_kv_heads` 0 as many as heads. With a sliding
    window every `full_every`-th layer sees the whole context all the same; 0: none does.
    """

    n_layers: int
    n_embd: int
    n_heads: int
    n_ff: int
    n_vocab: int
    n_ctx_train: int
    n_kv_heads: int = 0
    head_length: int = 0
    n_experts: int = 0
    n_experts_used: int = 0
    n_ff_expert: int = 0
    n_dense_layers: int = 0  # so many of the first layers have no experts
    is_tied: bool = False
    window: int = 0  # tokens; 0 = every layer sees everything
    full_every: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        for field, (what, least, most) in _BOUNDS.items():
            _check_bounds(what, getattr(self, field), least, most)
        self._check_heads()
        self._check_feed_forward()

    @property
    def head_size(self) -> int:
        return self.head_length or self.n_embd // self.n_heads

    @property
    def kv_heads(self) -> int:
        return self.n_kv_heads or self.n_heads

    def _check_heads(self) -> None:
        if self.head_length == 0 and self.n_embd % self.n_heads:
            raise BadInput(
                f"An embedding length of {self.n_embd:,} cannot be shared out among {self.n_heads:,} heads.",
                "Type the head size, or a number of heads that divides the embedding length.",
            )
        if self.n_heads % self.kv_heads:
            raise BadInput(
                f"{self.n_heads:,} heads cannot share {self.n_kv_heads:,} KV heads.",
                "Type a number of KV heads that divides the number of heads.",
            )

    def _check_feed_forward(self) -> None:
        if self.n_dense_layers > self.n_layers:
            raise BadInput(
                f"{self.n_dense_layers:,} layers without experts are more than the {self.n_layers:,} layers.",
                "Type a smaller number of layers without experts.",
            )
        if self.n_experts and not 1 <= self.n_experts_used <= self.n_experts:
            raise BadInput(
                f"{self.n_experts_used:,} of {self.n_experts:,} experts cannot be used for a token.",
                f"Type a number of experts used from 1 to {self.n_experts:,}.",
            )
        if self.n_experts and self.n_ff_expert < 1:
            raise BadInput("The experts have no size.", "Type the feed-forward length of an expert.")
        if self.n_ff < 1 and (not self.n_experts or self.n_dense_layers):
            raise BadInput("The layers have no feed-forward length.", "Type a feed-forward length of 1 or more.")


def sketched(parameters: Parameters, quant: str = "F16") -> ModelShape:
    """The shape of a model of these sizes; its file without a vocabulary. Raises BadInput for an unknown quant type."""
    embedding = _matrix("token_embd.weight", parameters.n_embd, parameters.n_vocab)
    output = [_norm("output_norm.weight", parameters.n_embd)]
    if not parameters.is_tied:
        output.append(_matrix("output.weight", parameters.n_embd, parameters.n_vocab))
    layers = tuple(_layer(parameters, index) for index in range(parameters.n_layers))
    tensors = [embedding, *output, *(one for layer in layers for one in layer.tensors)]
    shape = ModelShape(
        architecture="qwen3moe" if parameters.n_experts else "llama",
        name=parameters.name,
        quant="F16",
        n_ctx_train=parameters.n_ctx_train,
        n_embd=parameters.n_embd,
        n_ff=parameters.n_ff,
        n_ff_expert=parameters.n_ff_expert,
        n_vocab=parameters.n_vocab,
        n_experts=parameters.n_experts,
        n_experts_used=parameters.n_experts_used,
        layers=layers,
        input_tensors=(embedding,),
        output_tensors=tuple(output),
        size_bytes=sum(padded_bytes(one.size_bytes) for one in tensors),
    )
    return shape if quant == "F16" else requantized(shape, quant)


def _check_bounds(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadInput(f"The {what} cannot be {value:,}.", f"Type a number from {least:,} to {most:,}.")


def _layer(parameters: Parameters, index: int) -> LayerShape:
    has_experts = parameters.n_experts > 0 and index >= parameters.n_dense_layers
    feed_forward = _experts(parameters, index) if has_experts else _feed_forward(parameters, index)
    sees_all = parameters.full_every > 0 and (index + 1) % parameters.full_every == 0
    attention = Attention(
        parameters.n_heads,
        parameters.kv_heads,
        parameters.head_size,
        parameters.head_size,
        0 if sees_all else parameters.window,
    )
    return LayerShape((*_attention(parameters, index), *feed_forward), attention)


def _attention(parameters: Parameters, index: int) -> Iterator[TensorInfo]:
    n_embd, block = parameters.n_embd, f"blk.{index}"
    query, key = parameters.n_heads * parameters.head_size, parameters.kv_heads * parameters.head_size
    yield _norm(f"{block}.attn_norm.weight", n_embd)
    yield _matrix(f"{block}.attn_q.weight", n_embd, query)
    yield _matrix(f"{block}.attn_k.weight", n_embd, key)
    yield _matrix(f"{block}.attn_v.weight", n_embd, key)
    yield _matrix(f"{block}.attn_output.weight", query, n_embd)
    if parameters.n_experts:  # Qwen3 norms its queries and keys
        yield _norm(f"{block}.attn_q_norm.weight", parameters.head_size)
        yield _norm(f"{block}.attn_k_norm.weight", parameters.head_size)
    yield _norm(f"{block}.ffn_norm.weight", n_embd)


def _feed_forward(parameters: Parameters, index: int) -> Iterator[TensorInfo]:
    n_embd, n_ff, block = parameters.n_embd, parameters.n_ff, f"blk.{index}"
    yield _matrix(f"{block}.ffn_gate.weight", n_embd, n_ff)
    yield _matrix(f"{block}.ffn_up.weight", n_embd, n_ff)
    yield _matrix(f"{block}.ffn_down.weight", n_ff, n_embd)


def _experts(parameters: Parameters, index: int) -> Iterator[TensorInfo]:
    n_embd, n_ff, count, block = parameters.n_embd, parameters.n_ff_expert, parameters.n_experts, f"blk.{index}"
    yield _tensor(f"{block}.ffn_gate_inp.weight", (n_embd, count), _F32)  # the router, never quantized
    yield _matrix(f"{block}.ffn_gate_exps.weight", n_embd, n_ff, count)
    yield _matrix(f"{block}.ffn_up_exps.weight", n_embd, n_ff, count)
    yield _matrix(f"{block}.ffn_down_exps.weight", n_ff, n_embd, count)


def _matrix(name: str, *shape: int) -> TensorInfo:
    return _tensor(name, shape, _F16)


def _norm(name: str, length: int) -> TensorInfo:
    return _tensor(name, (length,), _F32)


def _tensor(name: str, shape: tuple[int, ...], kind: GgmlType) -> TensorInfo:
    bare = TensorInfo(name, shape, kind.type_id, 0)
    return TensorInfo(name, shape, kind.type_id, kind.size_bytes(bare.n_elements))
