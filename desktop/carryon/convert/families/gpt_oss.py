"""gpt-oss: experts in MXFP4, copied bit for bit, or in plain numbers; attention sinks, biases everywhere.

Layout of the source: transformers/models/gpt_oss and integrations/mxfp4.py. Of the target: ggml's block_mxfp4.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.checkpoint import Checkpoint, Number, Source
from carryon.convert.config import Config
from carryon.convert.encode import Bytes
from carryon.convert.families.model import refuse_experts, refuse_unlike, text_model
from carryon.convert.families.rules import BLOCK, EMBEDDING, LAYER, OUTPUT, OUTPUT_NORM, attention, layer, norms
from carryon.convert.families.shelf import Placed, Shelf, in_order, place, transposed
from carryon.convert.families.table import SILU
from carryon.convert.forms import GgmlType
from carryon.convert.plan import Computed, FamilyPlan, Packed
from carryon.convert.rope import Rope, read_rope
from carryon.convert.write import Setting

ARCHITECTURES = ("GptOssForCausalLM",)
GGUF_NAME = "gpt-oss"

LAYERS = (
    *norms(attn_norm="input_layernorm", post_attention_norm="post_attention_layernorm"),
    *attention(biases=("q", "k", "v", "o"), always_biased=True),
    layer("self_attn.sinks", "attn_sinks.weight", "heads"),
    layer("mlp.router.weight", "ffn_gate_inp.weight", "experts", "hidden"),
    layer("mlp.router.bias", "ffn_gate_inp.bias", "experts"),
    layer("mlp.experts.down_proj_bias", "ffn_down_exps.bias", "experts", "hidden"),
)
# What llama.cpp's graph of gpt-oss has built in (src/models/openai-moe.cpp, ggml's swiglu_oai).
BUILT_IN = {
    "hidden_act": SILU,
    "swiglu_alpha": (1.702,),
    "swiglu_limit": (7.0,),
    "attention_bias": (True,),
    "tie_word_embeddings": (False,),
}
BLOCK_VALUES, BLOCK_BYTES = 32, 16  # values that share a scale, and the bytes of their 4-bit codes
BLOCKS_AT_ONCE = 1 << 15  # repacked in one piece: a million values
LOWER_HALVES, FOUR = np.uint64(0x0F0F_0F0F_0F0F_0F0F), np.uint64(4)  # of eight bytes at once
GATE, UP = slice(0, None, 2), slice(1, None, 2)  # the two matrices lie row by row in turn


def plan(checkpoint: Checkpoint) -> FamilyPlan:
    """What a gpt-oss becomes in GGUF. Raises BadFile or Unsupported saying what does not fit."""
    model = text_model(checkpoint)
    config, shelf = model.config, Shelf(model.tensors)
    refuse_unlike(config, BUILT_IN, GGUF_NAME)
    sizes = _sizes(config, shelf)
    refuse_experts(sizes, sizes["used"])
    _refuse_other_layers(config, sizes["layers"])
    rope, layers = _rope(config, sizes["head"]), range(sizes["layers"])
    placed: list[Placed] = [*shelf.follow((EMBEDDING, OUTPUT_NORM, OUTPUT, *LAYERS), sizes, layers)]
    placed += [one for number in layers for one in _experts(shelf, number, sizes)]
    shelf.finish()
    settings = {f"{GGUF_NAME}.{key}": value for key, value in {**_settings(config, sizes), **rope.settings}.items()}
    return FamilyPlan(GGUF_NAME, settings, in_order(placed), sizes["vocab"], rope.warnings)


@dataclass(frozen=True)
class Experts:
    """The experts' codes and scales of one matrix: (experts, rows, blocks, 16) and (experts, rows, blocks) bytes."""

    codes: Source
    scales: Source

    def repacked(self, which: slice) -> Iterator[Bytes]:
        """The rows of `which` of every expert, in ggml's blocks; if it is each second one, there is an even number."""
        n_blocks = self.codes.shape[2]
        n_rows = self.scales.n_values // n_blocks
        step = 2 * max(1, BLOCKS_AT_ONCE // n_blocks // 2)
        for start in range(0, n_rows, step):
            stop = min(start + step, n_rows)
            codes = self.codes.rows(slice(start * n_blocks, stop * n_blocks)).reshape(-1, n_blocks, BLOCK_BYTES)
            yield ggml_blocks(codes[which], self.scales.rows(slice(start, stop))[which])


def ggml_blocks(codes: Bytes, scales: Bytes) -> Bytes:
    """Blocks of 32 values, (rows, n, 16) and (rows, n) bytes, as ggml keeps them: (rows, n x 17) bytes.

    In both a byte holds two codes, the first in its lower half: of the source 2i and 2i + 1, of ggml i and i + 16,
    behind the block's scale. No code is changed.
    """
    eights = np.ascontiguousarray(codes).view("<u8")
    first, last, low, high = eights[..., 0], eights[..., 1], LOWER_HALVES, LOWER_HALVES << FOUR
    blocks = np.empty((*scales.shape, 1 + BLOCK_BYTES), np.uint8)
    blocks[..., 0] = scales
    blocks[..., 1::2] = _bytes((first & low) | ((last & low) << FOUR))
    blocks[..., 2::2] = _bytes(((first & high) >> FOUR) | (last & high))
    return blocks.reshape(len(scales), -1)


def _bytes(eights: NDArray[np.uint64]) -> Bytes:
    return eights[..., None].view(np.uint8)


def _experts(shelf: Shelf, number: int, sizes: Mapping[str, int]) -> Iterator[Placed]:
    experts, hidden, width = sizes["experts"], sizes["hidden"], sizes["feed_forward"]
    start, target = LAYER.format(number) + "mlp.experts.", BLOCK.format(number)
    biases = shelf.take(start + "gate_up_proj_bias", (experts, 2 * width))
    read = _packed if start + "gate_up_proj_blocks" in shelf else _plain
    for name, which in (("gate", GATE), ("up", UP)):
        yield place(biases), _every_second(f"{target}ffn_{name}_exps.bias", biases, which)
    gate_up = {f"{target}ffn_gate_exps.weight": GATE, f"{target}ffn_up_exps.weight": UP}
    yield from read(shelf, start + "gate_up_proj", gate_up, (experts, 2 * width, hidden))
    yield from read(
        shelf, start + "down_proj", {f"{target}ffn_down_exps.weight": slice(None)}, (experts, hidden, width)
    )


def _packed(shelf: Shelf, name: str, targets: Mapping[str, slice], shape: tuple[int, int, int]) -> Iterator[Placed]:
    n_experts, n_rows, width = shape
    if width % BLOCK_VALUES:
        raise BadFile(f"{name} has rows of {width} values, which MXFP4 cannot hold.", DOWNLOAD_AGAIN)
    blocks = (n_experts, n_rows, width // BLOCK_VALUES)
    experts = Experts(shelf.take(name + "_blocks", (*blocks, BLOCK_BYTES)), shelf.take(name + "_scales", blocks))
    for source in (experts.codes, experts.scales):
        if source.number is not Number.U8:
            raise BadFile(f"{source.name} is stored as {source.number.name}, not as bytes.", DOWNLOAD_AGAIN)
    for target, which in targets.items():
        rows = len(range(*which.indices(n_rows)))
        shape = (n_experts, rows, width)
        yield place(experts.codes), Packed(target, shape, GgmlType.MXFP4, partial(experts.repacked, which))


def _plain(shelf: Shelf, name: str, targets: Mapping[str, slice], shape: tuple[int, int, int]) -> Iterator[Placed]:
    """Experts in plain numbers lie transposed: (experts, inputs, outputs)."""
    n_experts, n_rows, width = shape
    source = shelf.take(name, (n_experts, width, n_rows))
    starts = range(0, n_experts * width, width)
    for target, which in targets.items():
        rows = len(range(*which.indices(n_rows)))
        shape = (n_experts, rows, width)
        yield place(source), Computed(target, shape, partial(transposed, source, starts, width, which))


def _every_second(target: str, biases: Source, which: slice) -> Computed:
    n_experts, n_values = biases.shape
    starts = range(n_experts)
    return Computed(target, (n_experts, n_values // 2), lambda: (one.T for one in transposed(biases, starts, 1, which)))


def _refuse_other_layers(config: Config, n_layers: int) -> None:
    kinds = config.values.get("layer_types")
    if kinds is not None and not _is_in_turn(kinds, n_layers):
        raise Unsupported(
            "This model's layers do not look back far and near in turn, as llama.cpp's gpt-oss does.", LOOK_FOR_GGUF
        )


def _is_in_turn(kinds: Any, n_layers: int) -> bool:
    return (
        isinstance(kinds, list)
        and len(kinds) == n_layers
        and all(kind == ("full_attention" if number % 2 else "sliding_attention") for number, kind in enumerate(kinds))
    )


def _rope(config: Config, head_size: int) -> Rope:
    """llama.cpp rounds the bounds of YaRN's ramp, which the original does not: told, as the difference is small."""
    key = "rope_parameters" if config.has("rope_parameters") else "rope_scaling"
    if not config.has(key):
        config = Config({**config.values, key: USUAL_SCALING}, config.file_name)
    scaling = config.section(key)
    if scaling.flag("truncate", True):
        return read_rope(config, head_size, 150_000.0)
    rounded = Config({**config.values, key: {**scaling.values, "truncate": True}}, config.file_name)
    rope = read_rope(rounded, head_size, 150_000.0)
    return Rope(rope.settings, rope.tensors, (*rope.warnings, UNROUNDED))


USUAL_SCALING = {  # what transformers takes when a config does not say
    "rope_type": "yarn",
    "factor": 32.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "truncate": False,
    "original_max_position_embeddings": 4096,
}
UNROUNDED = (
    "This model stretches its context by YaRN with unrounded bounds (truncate = false); llama.cpp rounds them, "
    "so its answers differ slightly."
)


def _sizes(config: Config, shelf: Shelf) -> dict[str, int]:
    heads, kv_heads = config.whole("num_attention_heads"), config.whole("num_key_value_heads", 8)
    head = config.whole("head_dim", 64)
    if heads % kv_heads or head % 2:
        raise BadFile(
            f"config.json gives {heads} heads of size {head} and {kv_heads} for keys, which cannot be.", DOWNLOAD_AGAIN
        )
    return {
        "vocab": shelf.n_rows("model.embed_tokens.weight"),
        "layers": config.whole("num_hidden_layers"),
        "hidden": config.whole("hidden_size"),
        "feed_forward": config.whole("intermediate_size"),
        "heads": heads,
        "kv_heads": kv_heads,
        "head": head,
        "queries": heads * head,
        "keys": kv_heads * head,
        "experts": config.whole("num_experts"),
        "used": config.whole("num_experts_per_tok", 4),
    }


def _settings(config: Config, sizes: Mapping[str, int]) -> dict[str, Setting]:
    return {
        "block_count": sizes["layers"],
        "context_length": config.whole("max_position_embeddings", 131_072),
        "embedding_length": sizes["hidden"],
        "feed_forward_length": sizes["feed_forward"],
        "expert_feed_forward_length": sizes["feed_forward"],
        "expert_count": sizes["experts"],
        "expert_used_count": sizes["used"],
        "attention.head_count": sizes["heads"],
        "attention.head_count_kv": sizes["kv_heads"],
        "attention.key_length": sizes["head"],
        "attention.value_length": sizes["head"],
        "attention.layer_norm_rms_epsilon": config.number("rms_norm_eps", 1e-5),
        "attention.sliding_window": config.whole("sliding_window", 128),
    }
