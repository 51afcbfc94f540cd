"""Microsoft's Phi-3, 3.5 and 4: fused matrices that llama.cpp takes as they are."""

from carryon.convert.families.rules import OUTPUT_NORM, layer, norms
from carryon.convert.families.table import RMS, Family
from carryon.convert.rope import Rotation

# What transformers assumes where a config is silent (its configuration classes, 5.23).
PHI3 = {
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
}

FAMILIES = (
    Family(
        "phi3",
        ("Phi3ForCausalLM",),
        (
            OUTPUT_NORM,
            *norms(attn_norm="input_layernorm", ffn_norm="post_attention_layernorm"),
            layer("self_attn.qkv_proj.weight", "attn_qkv.weight", "queries_keys_values", "hidden"),
            layer("self_attn.o_proj.weight", "attn_output.weight", "hidden", "queries"),
            layer("mlp.gate_up_proj.weight", "ffn_up.weight", "gate_and_up", "hidden"),
            layer("mlp.down_proj.weight", "ffn_down.weight", "hidden", "feed_forward"),
        ),
        (RMS,),
        {"phi3": PHI3},
        # 'su' and 'yarn' are what early configs of Phi-3 called longrope (transformers' configuration_phi3.py)
        rotation=Rotation(("default", "longrope"), {"su": "longrope", "yarn": "longrope"}, can_be_partial=True),
        is_square=True,
    ),
)
