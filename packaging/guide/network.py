"""The guide's network: a Llama decoder written for speed on two CPU cores, saved under Hugging Face's names."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_NORM_EPSILON = 1e-5
_ROPE_BASE = 10_000.0


@dataclass(frozen=True)
class Shape:
    """The dimensions; widths are multiples of 256 so that every K-quant applies."""

    vocabulary: int
    hidden: int = 256
    feed_forward: int = 768
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    context_tokens: int = 2048

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    def config(self) -> dict[str, object]:
        """The config.json that transformers and converters read."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "intermediate_size": self.feed_forward,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_size,
            "max_position_embeddings": self.context_tokens,
            "rms_norm_eps": _NORM_EPSILON,
            "rope_theta": _ROPE_BASE,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "tie_word_embeddings": True,
        }


class Guide(nn.Module):
    """Token ids in, logits out, for the positions asked for only: most of a question needs no logits."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocabulary, shape.hidden)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, _NORM_EPSILON)
        cos, sin = _rotations(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.apply(_start_small)

    def forward(self, ids: Tensor, wanted: Tensor) -> Tensor:
        """`ids` is (rows, tokens), `wanted` holds flat positions; the result is (len(wanted), vocabulary)."""
        tokens = ids.shape[1]
        x = self.embed(ids)
        turn = (self.cos[:tokens], self.sin[:tokens])
        for block in self.blocks:
            x = block(x, turn)
        x = self.norm(x.flatten(0, 1)[wanted])
        return F.linear(x, self.embed.weight)

    def parameters_total(self) -> int:
        """How many numbers are trained; the tied output layer counts once."""
        return sum(one.numel() for one in self.parameters())

    def tensors(self) -> dict[str, Tensor]:
        """The weights under Hugging Face's names, the fused ones taken apart."""
        found = {"model.embed_tokens.weight": self.embed.weight, "model.norm.weight": self.norm.weight}
        for index, block in enumerate(self.blocks):
            found |= {f"model.layers.{index}.{name}": value for name, value in block.tensors().items()}
        return {name: value.detach().contiguous() for name, value in found.items()}


class _Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.before_attention = nn.RMSNorm(shape.hidden, _NORM_EPSILON)
        self.qkv = nn.Linear(shape.hidden, (shape.heads + 2 * shape.kv_heads) * shape.head_size, bias=False)
        self.out = nn.Linear(shape.heads * shape.head_size, shape.hidden, bias=False)
        self.before_feed = nn.RMSNorm(shape.hidden, _NORM_EPSILON)
        self.gate_up = nn.Linear(shape.hidden, 2 * shape.feed_forward, bias=False)
        self.down = nn.Linear(shape.feed_forward, shape.hidden, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.out(self._attend(self.qkv(self.before_attention(x)), turn))
        gate, up = self.gate_up(self.before_feed(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)

    def _attend(self, qkv: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        heads, kv_heads, size = self.shape.heads, self.shape.kv_heads, self.shape.head_size
        rows, tokens, _ = qkv.shape
        qkv = qkv.view(rows, tokens, heads + 2 * kv_heads, size).transpose(1, 2)
        turning, v = qkv.split([heads + kv_heads, kv_heads], dim=1)
        q, k = _rotated(turning, turn).split([heads, kv_heads], dim=1)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return out.transpose(1, 2).reshape(rows, tokens, heads * size)

    def tensors(self) -> dict[str, Tensor]:
        heads, kv_heads, size = self.shape.heads, self.shape.kv_heads, self.shape.head_size
        q, k, v = self.qkv.weight.split([heads * size, kv_heads * size, kv_heads * size])
        gate, up = self.gate_up.weight.chunk(2)
        return {
            "input_layernorm.weight": self.before_attention.weight,
            "self_attn.q_proj.weight": q,
            "self_attn.k_proj.weight": k,
            "self_attn.v_proj.weight": v,
            "self_attn.o_proj.weight": self.out.weight,
            "post_attention_layernorm.weight": self.before_feed.weight,
            "mlp.gate_proj.weight": gate,
            "mlp.up_proj.weight": up,
            "mlp.down_proj.weight": self.down.weight,
        }


def _rotations(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosines and sines of Llama's rotary positions in Hugging Face's half-and-half order, (tokens, head size / 2)."""
    rates = _ROPE_BASE ** -(torch.arange(0, shape.head_size, 2) / shape.head_size)
    angles = torch.outer(torch.arange(shape.context_tokens), rates)
    return angles.cos(), angles.sin()


def _rotated(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = turn
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def _start_small(module: nn.Module) -> None:
    """Llama's usual start: a normal distribution of width 0.02 for every matrix."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
