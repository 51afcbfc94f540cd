"""Tiny random models of every family that is a table, made and saved by transformers."""

from dataclasses import dataclass, field

from model_folders import tokenizer_config, tokenizer_json, write_json

N_VOCAB = 1024
HALF_HEAD = 16  # pairs of dimensions in a head of the usual size
# For every model; what a family has beyond it stands in its case. A window is 32, a stretched context was once 64.
SMALL = {
    "vocab_size": N_VOCAB,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
UNTIED, TIED = {"tie_word_embeddings": False}, {"tie_word_embeddings": True}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
GRANITE = {
    "attention_multiplier": 0.0625,
    "embedding_multiplier": 12.0,
    "residual_multiplier": 0.22,
    "logits_scaling": 8.0,
    **TIED,
}
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
GEMMA = {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 32}
WINDOW, WHOLE = "sliding_attention", "full_attention"


@dataclass(frozen=True)
class Case:
    """A model: its configuration class and what differs from the usual. GELU in ggml goes by a table of half floats."""

    config: str
    changes: dict = field(default_factory=dict)
    is_gelu: bool = False


def rope(base, kind="default", **more):
    return {"rope_parameters": {"rope_theta": base, "rope_type": kind, **more}}


def two_ropes(whole, window):
    return {"rope_parameters": {WHOLE: whole["rope_parameters"], WINDOW: window["rope_parameters"]}}


def longrope(n_factors, **more):
    long, short = ([1.0 + step * index for index in range(n_factors)] for step in (0.3, 0.02))
    return rope(10_000.0, "longrope", long_factor=long, short_factor=short, **more)


CASES = {
    "llama": Case("Llama", UNTIED),
    "llama3": Case("Llama", TIED | rope(5e5, "llama3", **LLAMA3)),
    "llama-biases": Case("Llama", UNTIED | {"attention_bias": True, "mlp_bias": True, "head_dim": 48}),
    "falcon3": Case("Llama", UNTIED | {"head_dim": 64} | rope(1_000_042.0)),
    "smollm2": Case("Llama", TIED | {"num_key_value_heads": 4} | rope(1e5)),
    "mistral": Case("Mistral", UNTIED | {"head_dim": 64, "sliding_window": None} | rope(1e6)),
    "mixtral": Case("Mixtral", UNTIED | {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}),
    "qwen2": Case("Qwen2", TIED | rope(1e6)),
    "qwen2-yarn": Case("Qwen2", UNTIED | rope(1e6, "yarn", factor=4.0, original_max_position_embeddings=64)),
    "qwen2moe": Case("Qwen2Moe", UNTIED | EXPERTS | {"shared_expert_intermediate_size": 96}),
    "qwen2moe-tied": Case("Qwen2Moe", TIED | EXPERTS | {"shared_expert_intermediate_size": 96}),
    "qwen3": Case("Qwen3", TIED | {"head_dim": 64} | rope(1e6)),
    "qwen3moe": Case("Qwen3Moe", UNTIED | EXPERTS | {"head_dim": 32, "norm_topk_prob": True}),
    "smollm3": Case("SmolLM3", TIED | {"num_hidden_layers": 4} | rope(5e6)),
    "granite": Case("Granite", GRANITE),
    "granitemoe": Case("GraniteMoe", GRANITE | {"num_local_experts": 8, "num_experts_per_tok": 2}),
    "granitemoeshared": Case(
        "GraniteMoeShared",
        GRANITE | {"num_local_experts": 8, "num_experts_per_tok": 2, "shared_intermediate_size": 96},
    ),
    "olmo2": Case("Olmo2", UNTIED),
    "olmo2-tied": Case("Olmo2", TIED),
    "olmo3": Case("Olmo3", UNTIED | {"sliding_window": 32, "num_hidden_layers": 4}),
    "olmo3-yarn": Case(
        "Olmo3",
        UNTIED
        | {"sliding_window": 32, "num_hidden_layers": 4}
        | two_ropes(rope(5e5, "yarn", factor=8.0, original_max_position_embeddings=64), rope(5e5)),
    ),
    "gemma2": Case("Gemma2", GEMMA, is_gelu=True),
    "gemma3": Case("Gemma3Text", GEMMA | {"num_hidden_layers": 6}, is_gelu=True),
    "gemma3-stretched": Case(
        "Gemma3Text",
        GEMMA | {"layer_types": [WINDOW, WHOLE, WINDOW]} | two_ropes(rope(1e6, "linear", factor=8.0), rope(2e4)),
        is_gelu=True,
    ),
    "phi3": Case("Phi3", UNTIED | {"num_key_value_heads": 4, "original_max_position_embeddings": 512}),
    "phi3.5": Case("Phi3", UNTIED | {"original_max_position_embeddings": 64} | longrope(HALF_HEAD)),
    "phi3.5-short": Case("Phi3", UNTIED | {"original_max_position_embeddings": 256} | longrope(HALF_HEAD)),
    "phi4-mini": Case(
        "Phi3", TIED | {"original_max_position_embeddings": 64} | longrope(12, partial_rotary_factor=0.75)
    ),
    "starcoder2": Case("Starcoder2", TIED | {"use_bias": True, "sliding_window": None}, is_gelu=True),
    "glm4": Case("Glm4", UNTIED | {"head_dim": 32, "attention_bias": True, "partial_rotary_factor": 0.5}),
    "command-r": Case("Cohere", TIED | {"logit_scale": 0.0625, "use_qk_norm": False}),
    "command-r-plus": Case("Cohere", TIED | {"use_qk_norm": True, "num_hidden_layers": 64, "hidden_size": 64}),
    "cohere2": Case("Cohere2", TIED | {"logit_scale": 0.25, "sliding_window": 32, "num_hidden_layers": 4}),
}


def build(case, folder):
    """A random model, saved as its family is; every norm and bias differs from its default. Returns the network."""
    import torch
    import transformers

    torch.set_num_threads(1)
    config = getattr(transformers, f"{case.config}Config")(
        **SMALL | case.changes, attn_implementation="eager", experts_implementation="eager"
    )
    network = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for name, values in network.named_parameters():
            values.copy_(_random(torch, name, values.shape, "Gemma" in case.config))
    network.save_pretrained(folder)
    write_json(folder / "tokenizer.json", tokenizer_json())
    write_json(folder / "tokenizer_config.json", tokenizer_config())
    return network


def _random(torch, name, shape, norms_are_from_one):
    values = torch.randn(shape)
    if name.endswith("norm.weight"):
        return (0 if norms_are_from_one else 1) + 0.2 * values
    if name.endswith("bias"):
        return 0.1 * values
    if "embed" in name:
        return (0.1 if norms_are_from_one else 0.5) * values
    return values * 1.2 / shape[-1] ** 0.5


def logits_of(network, ids):
    """In double precision: float32 alone would use up half of what may differ."""
    import torch

    with torch.no_grad():
        return network.double()(torch.tensor([ids])).logits[0].numpy()
