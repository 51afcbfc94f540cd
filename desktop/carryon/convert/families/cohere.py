"""Cohere's Command-R and Command-R7B: attention and feed-forward side by side behind one norm."""

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.families.model import Model
from carryon.convert.families.rules import OUTPUT_NORM, attention, gated, layer, norms
from carryon.convert.families.table import SILU, Family, Key, Output, Sizes
from carryon.convert.families.windows import window_settings
from carryon.convert.rope import Rotation
from carryon.convert.write import Setting

# What transformers assumes where a config is silent (its configuration classes, 5.23).
USUAL = {
    "hidden_size": 8192,
    "intermediate_size": 22528,
    "num_hidden_layers": 40,
    "num_attention_heads": 64,
    "max_position_embeddings": 8192,
    "layer_norm_eps": 1e-5,
    "logit_scale": 0.0625,
    "tie_word_embeddings": True,
}
LAYERS_OF_PLUS = 64  # from here on llama.cpp's command-r wants norms of queries and keys (src/models/command-r.cpp)

RULES = (OUTPUT_NORM, *norms(attn_norm="input_layernorm"), *attention(biases=("q", "k", "v")), *gated())
HEAD_NORMS = (
    layer("self_attn.q_norm.weight", "attn_q_norm.weight", "heads", "head", is_optional=True),
    layer("self_attn.k_norm.weight", "attn_k_norm.weight", "kv_heads", "head", is_optional=True),
)
KEYS = (Key("attention.layer_norm_epsilon", "layer_norm_eps"), Key("logit_scale", "logit_scale"))


def head_norms(model: Model, sizes: Sizes) -> None:
    """Raises Unsupported unless exactly the models of many layers norm their queries and keys."""
    if model.config.flag("use_qk_norm", False) != (model.n_layers >= LAYERS_OF_PLUS):
        raise Unsupported(
            "This model norms its queries and keys otherwise than llama.cpp's command-r does.", LOOK_FOR_GGUF
        )


def reach(model: Model) -> dict[str, Setting]:
    """Command-R's configs say 8192 positions and beside it, as model_max_length, how far it was really trained."""
    positions = model.config.whole("max_position_embeddings")
    return {"context_length": model.config.whole("model_max_length", positions)}


def window(model: Model) -> dict[str, Setting]:
    """Three layers with a window, then one that looks at all and does not rotate."""
    return {**reach(model), **window_settings(model, 4)}


FAMILIES = (
    Family(
        "command-r",
        ("CohereForCausalLM",),
        (*RULES, *HEAD_NORMS),
        KEYS,
        {"cohere": USUAL | {"rope_theta": 500_000.0}},
        output=Output.NEVER,
        built_in={"hidden_act": SILU},
        is_square=True,
        checks=head_norms,
        settings=reach,
    ),
    Family(
        "cohere2",
        ("Cohere2ForCausalLM",),
        RULES,
        KEYS,
        {"cohere2": USUAL | {"sliding_window": 4096}},
        output=Output.NEVER,
        rotation=Rotation(("default",)),
        built_in={"hidden_act": SILU, "rotary_pct": (1.0,), "use_qk_norm": (False,)},
        is_square=True,
        has_window=True,
        settings=window,
    ),
)
