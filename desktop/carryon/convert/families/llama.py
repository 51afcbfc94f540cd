"""Llama 2 and 3, SmolLM2, Falcon3, Mistral 7B and Nemo, Mixtral: all that llama.cpp runs as 'llama', and SmolLM3."""

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.families.model import Model
from carryon.convert.families.rules import OUTPUT_NORM, attention, experts, gated, norms
from carryon.convert.families.table import EXPERTS_USED, RMS, SILU, Family, Sizes
from carryon.convert.rope import LLAMA

# What transformers assumes where a config is silent (its configuration classes, 5.23).
USUAL = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
}
MISTRAL = USUAL | {"intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072}
MIXTRAL = MISTRAL | {"rms_norm_eps": 1e-5, "rope_theta": 1e6, "num_experts": 8, "num_experts_per_tok": 2}
SMOLLM3 = {
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 2e6,
    "use_sliding_window": False,
    "tie_word_embeddings": True,
}
NO_ROPE_EVERY = 4  # llama.cpp's smollm3 leaves every fourth layer without rotation (src/models/smollm3.cpp)

NORMS = norms(attn_norm="input_layernorm", ffn_norm="post_attention_layernorm")
BIASED = attention(is_paired=True, biases=("q", "k", "v", "o"))


def no_rope_layers(model: Model, sizes: Sizes) -> None:
    """Raises Unsupported if other layers go without rotation than llama.cpp has built in."""
    layers = model.config.values.get("no_rope_layers")
    is_usual = model.config.whole("no_rope_layer_interval", NO_ROPE_EVERY) == NO_ROPE_EVERY
    if isinstance(layers, list):
        expected = [int((index + 1) % NO_ROPE_EVERY != 0) for index in range(len(layers))]
        is_usual = len(layers) == model.n_layers and layers == expected
    if not is_usual:
        raise Unsupported(
            "This model leaves other layers without rotation than llama.cpp's smollm3 does.", LOOK_FOR_GGUF
        )


FAMILIES = (
    Family(
        "llama",
        ("LlamaForCausalLM", "MistralForCausalLM"),
        (OUTPUT_NORM, *NORMS, *BIASED, *gated(has_biases=True)),
        (RMS,),
        {"llama": USUAL, "mistral": MISTRAL | {"sliding_window": 4096}},
        rotation=LLAMA,
    ),
    Family(
        "llama",
        ("MixtralForCausalLM",),
        (OUTPUT_NORM, *NORMS, *attention(is_paired=True)),
        (RMS, EXPERTS_USED),
        {"mixtral": MIXTRAL},
        layouts=experts("feed_forward", old="block_sparse_moe", old_names=("w1", "w3", "w2")),
        sizes={"experts": "num_experts"},
        rotation=LLAMA,
    ),
    Family(
        "smollm3",
        ("SmolLM3ForCausalLM",),
        (OUTPUT_NORM, *NORMS, *attention(is_paired=True, biases=("q", "k", "v")), *gated()),
        (RMS,),
        {"smollm3": SMOLLM3},
        built_in={"hidden_act": SILU},
        checks=no_rope_layers,
    ),
)
