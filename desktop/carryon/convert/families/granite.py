"""IBM's Granite 3, and its mixtures of experts."""

from carryon.convert.families.rules import OUTPUT_NORM, attention, gated, halves, layer, norms
from carryon.convert.families.table import EXPERTS_USED, RMS, Family, Key
from carryon.convert.rope import LLAMA

# What transformers assumes where a config is silent (its configuration classes, 5.23).
USUAL = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "embedding_multiplier": 1.0,
    "logits_scaling": 1.0,
    "residual_multiplier": 1.0,
    "attention_multiplier": 1.0,
}
MOE = USUAL | {"num_experts": 8, "num_experts_per_tok": 2}

NORMS = norms(attn_norm="input_layernorm", ffn_norm="post_attention_layernorm")
BIASED = attention(is_paired=True, biases=("q", "k", "v", "o"))
KEYS = (
    RMS,
    Key("attention.scale", "attention_multiplier"),
    Key("embedding_scale", "embedding_multiplier"),
    Key("residual_scale", "residual_multiplier"),
    Key("logit_scale", "logits_scaling"),
)
EXPERTS = (
    layer("block_sparse_moe.router.layer.weight", "ffn_gate_inp.weight", "experts", "hidden"),
    *halves("block_sparse_moe.input_linear.weight", "_exps", "experts", "gate_and_up", "hidden"),
    layer("block_sparse_moe.output_linear.weight", "ffn_down_exps.weight", "experts", "hidden", "feed_forward"),
)
SHARED = (
    *halves("shared_mlp.input_linear.weight", "_shexp", "twice_shared", "hidden"),
    layer("shared_mlp.output_linear.weight", "ffn_down_shexp.weight", "hidden", "shared"),
)

FAMILIES = (
    Family(
        "granite",
        ("GraniteForCausalLM",),
        (OUTPUT_NORM, *NORMS, *BIASED, *gated(has_biases=True)),
        KEYS,
        {"granite": USUAL},
        rotation=LLAMA,
    ),
    Family(
        "granitemoe",
        ("GraniteMoeForCausalLM",),
        (OUTPUT_NORM, *NORMS, *BIASED, *EXPERTS),
        (*KEYS, EXPERTS_USED),
        {"granitemoe": MOE},
        sizes={"experts": "num_experts"},
        rotation=LLAMA,
    ),
    Family(
        "granitemoe",
        ("GraniteMoeSharedForCausalLM",),
        (OUTPUT_NORM, *NORMS, *BIASED, *EXPERTS, *SHARED),
        (*KEYS, EXPERTS_USED, Key("expert_shared_feed_forward_length", "shared_intermediate_size", is_whole=True)),
        {"granitemoeshared": MOE},
        sizes={"experts": "num_experts", "shared": "shared_intermediate_size"},
        rotation=LLAMA,
    ),
)
