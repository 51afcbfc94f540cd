"""Ai2's OLMo 2 and 3, which put their norms behind attention and feed-forward."""

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.families.model import Model
from carryon.convert.families.rules import OUTPUT_NORM, attention, gated, layer, norms
from carryon.convert.families.table import RMS, Family, Output
from carryon.convert.families.windows import two_ropes, window_settings
from carryon.convert.rope import Rope, Rotation
from carryon.convert.write import Setting

# What transformers assumes where a config is silent (its configuration classes, 5.23).
USUAL = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
}

RULES = (
    OUTPUT_NORM,
    *norms(post_attention_norm="post_attention_layernorm", post_ffw_norm="post_feedforward_layernorm"),
    layer("self_attn.q_norm.weight", "attn_q_norm.weight", "queries"),
    layer("self_attn.k_norm.weight", "attn_k_norm.weight", "keys"),
    *attention(),
    *gated(),
)


def rope(model: Model, head_size: int, rotation: Rotation) -> Rope:
    """llama.cpp's olmo2 rotates all layers with one base, and never stretches those with a window."""
    whole, window = two_ropes(model, head_size, rotation, 500_000.0, 500_000.0)
    if whole.settings["rope.freq_base"] != window.settings["rope.freq_base"]:
        raise Unsupported("This model's layers rotate with two bases, which llama.cpp's olmo2 cannot.", LOOK_FOR_GGUF)
    return whole


def window(model: Model) -> dict[str, Setting]:
    """OLMo 3: three layers with a window, then one that looks at all."""
    return window_settings(model, 4)


FAMILIES = (
    Family(
        "olmo2",
        ("Olmo2ForCausalLM",),
        RULES,
        (RMS,),
        {"olmo2": USUAL},
        output=Output.REQUIRED,
        is_square=True,
    ),
    Family(
        "olmo2",
        ("Olmo3ForCausalLM",),
        RULES,
        (RMS,),
        {"olmo3": USUAL | {"sliding_window": 4096, "rope_theta": 500_000.0}},
        output=Output.REQUIRED,
        rotation=Rotation(("default", "yarn")),
        rope=rope,
        is_square=True,
        has_window=True,
        settings=window,
    ),
)
