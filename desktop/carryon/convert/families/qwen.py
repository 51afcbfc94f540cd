"""Qwen2 and Qwen2.5, Qwen3, and their mixtures of experts."""

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.families.model import Model
from carryon.convert.families.rules import HEAD_NORMS, OUTPUT_NORM, attention, experts, gated, layer, norms
from carryon.convert.families.table import EXPERTS_USED, RMS, SILU, Family, Key, Output, Sizes

# What transformers assumes where a config is silent (its configuration classes, 5.23).
USUAL = {
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "use_sliding_window": False,
}
MOE = USUAL | {"hidden_size": 2048, "num_hidden_layers": 24, "decoder_sparse_step": 1, "norm_topk_prob": False}
QWEN2_MOE = MOE | {
    "intermediate_size": 5632,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "num_experts": 60,
    "num_experts_per_tok": 4,
    "moe_intermediate_size": 1408,
    "shared_expert_intermediate_size": 5632,
}
QWEN3_MOE = MOE | {
    "intermediate_size": 6144,
    "num_key_value_heads": 4,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 768,
}

NORMS = norms(attn_norm="input_layernorm", ffn_norm="post_attention_layernorm")
BIASED = attention(biases=("q", "k", "v"))
ALWAYS_BIASED = attention(biases=("q", "k", "v"), always_biased=True)
SHARED = (
    layer("mlp.shared_expert_gate.weight", "ffn_gate_inp_shexp.weight", "one", "hidden"),
    *gated("mlp.shared_expert", "_shexp", "shared"),
)
EXPERT_WIDTH = Key("expert_feed_forward_length", "moe_intermediate_size", is_whole=True)
SHARED_WIDTH = Key("expert_shared_feed_forward_length", "shared_expert_intermediate_size", is_whole=True)
EXPERT_SIZES = {"experts": "num_experts", "expert": "moe_intermediate_size"}


def experts_in_every_layer(model: Model, sizes: Sizes) -> None:
    """Raises Unsupported if some layers are without experts."""
    if model.config.values.get("mlp_only_layers"):
        raise Unsupported("Some layers of this model have no experts, which llama.cpp's Qwen cannot.", LOOK_FOR_GGUF)


FAMILIES = (
    Family(
        "qwen2",
        ("Qwen2ForCausalLM",),
        (OUTPUT_NORM, *NORMS, *ALWAYS_BIASED, *gated()),
        (RMS,),
        {"qwen2": USUAL},
        is_square=True,
    ),
    Family(
        "qwen2moe",
        ("Qwen2MoeForCausalLM",),
        (OUTPUT_NORM, *NORMS, *ALWAYS_BIASED, *SHARED),
        (RMS, EXPERTS_USED, EXPERT_WIDTH, SHARED_WIDTH),
        {"qwen2_moe": QWEN2_MOE},
        layouts=experts(),
        sizes=EXPERT_SIZES | {"shared": "shared_expert_intermediate_size"},
        output=Output.REQUIRED,
        built_in={"hidden_act": SILU, "norm_topk_prob": (False,), "decoder_sparse_step": (1,), "qkv_bias": (True,)},
        is_square=True,
        checks=experts_in_every_layer,
    ),
    Family(
        "qwen3",
        ("Qwen3ForCausalLM",),
        (OUTPUT_NORM, *NORMS, *HEAD_NORMS, *BIASED, *gated()),
        (RMS,),
        {"qwen3": USUAL | {"head_dim": 128}},
    ),
    Family(
        "qwen3moe",
        ("Qwen3MoeForCausalLM",),
        (OUTPUT_NORM, *NORMS, *HEAD_NORMS, *BIASED),
        (RMS, EXPERTS_USED, EXPERT_WIDTH),
        {"qwen3_moe": QWEN3_MOE},
        layouts=experts(),
        sizes=EXPERT_SIZES,
        built_in={"hidden_act": SILU, "norm_topk_prob": (True,), "decoder_sparse_step": (1,)},
        checks=experts_in_every_layer,
    ),
)
