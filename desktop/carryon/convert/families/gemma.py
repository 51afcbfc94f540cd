"""Google's Gemma 2 and the text part of Gemma 3, whose norms are stored as distances from one."""

from functools import partial

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.families.model import Model
from carryon.convert.families.rules import HEAD_NORMS, OUTPUT_NORM, attention, gated, norms
from carryon.convert.families.table import RMS, Family, Key, Output, Sizes
from carryon.convert.families.windows import two_ropes, window_settings
from carryon.convert.rope import Rope, Rotation
from carryon.convert.write import Setting

# What transformers assumes where a config is silent (its configuration classes, 5.23).
USUAL = {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
}
GEMMA2 = USUAL | {
    "max_position_embeddings": 8192,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
}
GEMMA3 = USUAL | {"max_position_embeddings": 131072}

RULES = (
    OUTPUT_NORM,
    *norms(
        attn_norm="input_layernorm",
        post_attention_norm="post_attention_layernorm",
        ffn_norm="pre_feedforward_layernorm",
        post_ffw_norm="post_feedforward_layernorm",
    ),
    *attention(),
    *gated(),
)
BUILT_IN = {"hidden_activation": ("gelu_pytorch_tanh",), "use_bidirectional_attention": (False,)}
CAP = Key("final_logit_softcapping", "final_logit_softcapping", is_optional=True)


def scale(model: Model, sizes: Sizes, *, n_layers_of_27b: int) -> None:
    """Raises Unsupported if attention is scaled otherwise than llama.cpp has built in: by a head's size, and in the
    model of 27B, known by its layers, by the width divided by the heads."""
    is_27b = model.n_layers == n_layers_of_27b
    built_in = sizes["hidden"] // sizes["heads"] if is_27b else sizes["head"]
    if model.config.number("query_pre_attn_scalar") != built_in:
        raise Unsupported("This model scales its attention otherwise than llama.cpp's Gemma does.", LOOK_FOR_GGUF)


def gemma2_settings(model: Model) -> dict[str, Setting]:
    """Every second layer has a window, the first one included."""
    return window_settings(model, 2)


def gemma3_settings(model: Model) -> dict[str, Setting]:
    """Five layers with a window, then one that looks at all."""
    return window_settings(model, 6)


def gemma3_rope(model: Model, head_size: int, rotation: Rotation) -> Rope:
    """Layers with a window rotate with a base of their own and are never stretched."""
    whole, window = two_ropes(model, head_size, rotation, 1e6, 10_000.0)
    base = {"rope.freq_base_swa": window.settings["rope.freq_base"]}
    return Rope({**whole.settings, **base}, whole.tensors, whole.warnings)


FAMILIES = (
    Family(
        "gemma2",
        ("Gemma2ForCausalLM",),
        RULES,
        (RMS, CAP, Key("attn_logit_softcapping", "attn_logit_softcapping")),
        {"gemma2": GEMMA2},
        output=Output.NEVER,
        rotation=Rotation(("default", "linear")),
        built_in=BUILT_IN,
        norms_are_from_one=True,
        has_window=True,
        checks=partial(scale, n_layers_of_27b=46),
        settings=gemma2_settings,
    ),
    Family(
        "gemma3",
        ("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"),
        (*RULES, *HEAD_NORMS),
        (RMS, CAP),
        {"gemma3_text": GEMMA3},
        rotation=Rotation(("default", "linear")),
        rope=gemma3_rope,
        built_in=BUILT_IN | {"attn_logit_softcapping": (0,)},
        norms_are_from_one=True,
        has_window=True,
        checks=partial(scale, n_layers_of_27b=62),
        settings=gemma3_settings,
    ),
)
