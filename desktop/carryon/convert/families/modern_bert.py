"""ModernBERT as an embedding model: rotary positions, most layers look near only. Only the encoder is converted.

The names: transformers/models/modernbert. What llama.cpp reads: src/models/modern-bert.cpp.
"""

import re
from collections.abc import Mapping

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.checkpoint import Checkpoint
from carryon.convert.config import Config
from carryon.convert.families.model import refuse_unlike
from carryon.convert.families.shelf import Shelf, in_order
from carryon.convert.plan import FamilyPlan, Rule
from carryon.convert.pooling import read_pooling
from carryon.convert.write import Setting

ARCHITECTURES = ("ModernBertModel", "ModernBertForMaskedLM")
GGUF_NAME = "modern-bert"

LAYER = "layers.{}."
WHOLE = (
    Rule("embeddings.tok_embeddings.weight", "token_embd.weight", ("vocab", "hidden")),
    Rule("embeddings.norm.weight", "token_embd_norm.weight", ("hidden",)),
    Rule("final_norm.weight", "output_norm.weight", ("hidden",)),
)
LAYERS = (
    Rule(LAYER + "attn.Wqkv.weight", "blk.{}.attn_qkv.weight", ("all_heads", "hidden")),
    Rule(LAYER + "attn.Wo.weight", "blk.{}.attn_output.weight", ("hidden", "hidden")),
    Rule(LAYER + "mlp_norm.weight", "blk.{}.ffn_norm.weight", ("hidden",)),
    Rule(LAYER + "mlp.Wi.weight", "blk.{}.ffn_up.weight", ("gate_and_up", "hidden")),
    Rule(LAYER + "mlp.Wo.weight", "blk.{}.ffn_down.weight", ("hidden", "feed_forward")),
)
BEHIND_FIRST = (Rule(LAYER + "attn_norm.weight", "blk.{}.attn_norm.weight", ("hidden",)),)  # the first has none
HEADS = re.compile(r"(head|decoder)\.")  # for guessing words


def plan(checkpoint: Checkpoint) -> FamilyPlan:
    """What a ModernBERT becomes in GGUF. Raises BadFile or Unsupported saying what does not fit."""
    config = checkpoint.config
    shelf = Shelf({name.removeprefix("model."): tensor for name, tensor in checkpoint.tensors.items()})
    refuse_unlike(config, {"hidden_activation": ("gelu", "silu")}, "ModernBERT")
    sizes = _sizes(config, shelf)
    period = _period(config, sizes["layers"])
    shelf.leave([name for name in shelf.names() if HEADS.match(name)])
    layers = range(sizes["layers"])
    placed = shelf.follow((*WHOLE, *LAYERS), sizes, layers)
    tensors = in_order([*placed, *shelf.follow(BEHIND_FIRST, sizes, layers[1:])])
    shelf.finish()
    pooling = read_pooling(checkpoint.folder)
    own = _settings(config, sizes) | _bases(config)
    own |= {"attention.sliding_window_pattern": period, "pooling_type": pooling.number}
    settings = {f"{GGUF_NAME}.{key}": value for key, value in own.items()}
    return FamilyPlan(GGUF_NAME, settings, tensors, sizes["vocab"], pooling.warnings)


def _period(config: Config, n_layers: int) -> int:
    """Every how many layers one looks at everything: the first, and then each after as many."""
    kinds = config.values.get("layer_types")
    if kinds is None:
        return config.whole("global_attn_every_n_layers", 3)
    if not isinstance(kinds, list) or len(kinds) != n_layers:
        raise BadFile(f"config.json has no kind of attention for each of {n_layers} layers.", DOWNLOAD_AGAIN)
    wide = [layer for layer, kind in enumerate(kinds) if kind == "full_attention"]
    period = wide[1] if len(wide) > 1 else n_layers
    if any(kind != _kind(layer, period) for layer, kind in enumerate(kinds)):
        raise Unsupported("This model's layers look far and near in an order that llama.cpp cannot.", LOOK_FOR_GGUF)
    return period


def _kind(layer: int, period: int) -> str:
    return "sliding_attention" if layer % period else "full_attention"


def _bases(config: Config) -> dict[str, Setting]:
    """The rotary base of the layers that look at everything, and of the others."""
    scaling = config.section("rope_parameters")
    if config.has("rope_scaling"):
        raise Unsupported("This model stretches its context, which llama.cpp's ModernBERT cannot.", LOOK_FOR_GGUF)
    bases: dict[str, Setting] = {}
    for key, kind, old, usual in ROTATIONS:
        one = scaling.section(kind)
        refuse_unlike(one, {"rope_type": ("default",)}, "ModernBERT")
        base = one.number("rope_theta", config.number(old, usual))
        if base <= 0:
            raise BadFile(f"config.json says {one.path}rope_theta = {base}, which cannot be.", DOWNLOAD_AGAIN)
        bases[key] = base
    return bases


ROTATIONS = (
    ("rope.freq_base", "full_attention", "global_rope_theta", 160_000.0),
    ("rope.freq_base_swa", "sliding_attention", "local_rope_theta", 10_000.0),
)


def _sizes(config: Config, shelf: Shelf) -> dict[str, int]:
    hidden, heads = config.whole("hidden_size", 768), config.whole("num_attention_heads", 12)
    if hidden % heads or hidden // heads % 2:
        raise BadFile(f"config.json gives {hidden} values and {heads} heads, which cannot be.", DOWNLOAD_AGAIN)
    feed_forward = config.whole("intermediate_size", 1152)
    return {
        "vocab": shelf.n_rows("embeddings.tok_embeddings.weight"),
        "layers": config.whole("num_hidden_layers", 22),
        "hidden": hidden,
        "all_heads": 3 * hidden,
        "heads": heads,
        "feed_forward": feed_forward,
        "gate_and_up": 2 * feed_forward,
    }


def _settings(config: Config, sizes: Mapping[str, int]) -> dict[str, Setting]:
    """A config saved by transformers 5 calls the norms' epsilon norm_eps; without it the engine would not load."""
    return {
        "vocab_size": sizes["vocab"],
        "block_count": sizes["layers"],
        "context_length": config.whole("max_position_embeddings", 8192),
        "embedding_length": sizes["hidden"],
        "feed_forward_length": sizes["feed_forward"],
        "attention.head_count": sizes["heads"],
        "attention.layer_norm_epsilon": config.number("norm_eps", config.number("layer_norm_eps", 1e-5)),
        "attention.causal": False,
        "attention.sliding_window": config.whole("local_attention", 128),
        "rope.scaling.type": "none",
        "hidden_activation": config.text("hidden_activation", "gelu"),
    }
