"""GLM-4 of 2025: half of each head rotates, and every block has a norm before and behind."""

from carryon.convert.families.rules import OUTPUT_NORM, attention, layer, norms
from carryon.convert.families.table import RMS, Family
from carryon.convert.rope import Rotation

# What transformers assumes where a config is silent (its configuration classes, 5.23).
GLM4 = {
    "hidden_size": 4096,
    "intermediate_size": 13696,
    "num_hidden_layers": 40,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1.5625e-07,
    "partial_rotary_factor": 0.5,
    "attention_bias": True,
}

FAMILIES = (
    Family(
        "glm4",
        ("Glm4ForCausalLM",),
        (
            OUTPUT_NORM,
            *norms(
                attn_norm="input_layernorm",
                post_attention_norm="post_self_attn_layernorm",
                ffn_norm="post_attention_layernorm",
                post_ffw_norm="post_mlp_layernorm",
            ),
            *attention(biases=("q", "k", "v")),
            layer("mlp.gate_up_proj.weight", "ffn_up.weight", "gate_and_up", "hidden"),
            layer("mlp.down_proj.weight", "ffn_down.weight", "hidden", "feed_forward"),
        ),
        (RMS,),
        {"glm4": GLM4},
        rotation=Rotation(can_be_partial=True),
    ),
)
