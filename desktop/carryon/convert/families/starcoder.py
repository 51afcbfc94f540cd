"""StarCoder2: two plain matrices for feed-forward, norms of the older kind, biases everywhere."""

from carryon.convert.families.rules import OUTPUT_NORM, attention, layer, norms
from carryon.convert.families.table import Family, Key
from carryon.convert.plan import Rule

# What transformers assumes where a config is silent (its configuration classes, 5.23).
STARCODER2 = {
    "hidden_size": 3072,
    "intermediate_size": 12288,
    "num_hidden_layers": 30,
    "num_attention_heads": 24,
    "num_key_value_heads": 2,
    "hidden_act": "gelu_pytorch_tanh",
    "max_position_embeddings": 4096,
    "norm_epsilon": 1e-5,
    "use_bias": True,
    "tie_word_embeddings": True,
}

FAMILIES = (
    Family(
        "starcoder2",
        ("Starcoder2ForCausalLM",),
        (
            OUTPUT_NORM,
            Rule("model.norm.bias", "output_norm.bias", ("hidden",)),
            *norms(attn_norm="input_layernorm", ffn_norm="post_attention_layernorm"),
            layer("input_layernorm.bias", "attn_norm.bias", "hidden"),
            layer("post_attention_layernorm.bias", "ffn_norm.bias", "hidden"),
            *attention(biases=("q", "k", "v", "o"), always_biased=True),
            layer("mlp.c_fc.weight", "ffn_up.weight", "feed_forward", "hidden"),
            layer("mlp.c_fc.bias", "ffn_up.bias", "feed_forward"),
            layer("mlp.c_proj.weight", "ffn_down.weight", "hidden", "feed_forward"),
            layer("mlp.c_proj.bias", "ffn_down.bias", "hidden"),
        ),
        (Key("attention.layer_norm_epsilon", "norm_epsilon"),),
        {"starcoder2": STARCODER2},
        built_in={"hidden_act": ("gelu_pytorch_tanh",), "use_bias": (True,)},
        is_square=True,
    ),
)
