"""Tiny random models of the families with transforms of their own, saved by transformers, and their packed copies."""

import json

import numpy as np
from model_folders import tokenizer_config, tokenizer_json, write_json, write_safetensors

N_VOCAB = 512
SMALL = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
DEEPSEEK = {
    "num_key_value_heads": 4,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 24,
    "kv_lora_rank": 64,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "n_shared_experts": 2,
    "first_k_dense_replace": 1,
}
DEEPSEEK_V2 = {
    **DEEPSEEK,
    "num_hidden_layers": 27,  # llama.cpp knows the variant with plain queries by this number
    "q_lora_rank": None,
    "n_group": 1,
    "topk_group": 1,
    "topk_method": "greedy",
    "routed_scaling_factor": 1.5,
    "norm_topk_prob": False,
}
DEEPSEEK_V3 = {
    **DEEPSEEK,
    "q_lora_rank": 48,
    "n_group": 2,
    "topk_group": 1,
    "routed_scaling_factor": 2.5,
    "norm_topk_prob": True,
    "num_mtp_layers": 0,
}
GPT_OSS = {
    "num_hidden_layers": 4,
    "head_dim": 32,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "sliding_window": 32,
    "intermediate_size": 96,
}
ENCODER = {
    "num_key_value_heads": None,
    "vocab_size": 1024,
    "max_position_embeddings": 130,
    "pad_token_id": 1,
    "type_vocab_size": 2,
}
MODERN_BERT = {
    "vocab_size": 1024,
    "num_key_value_heads": None,
    "local_attention": 16,
    "num_hidden_layers": 5,
    "global_attn_every_n_layers": 3,
    "cls_token_id": 0,
    "sep_token_id": 2,
}
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)  # MXFP4's 16 values


def yarn(factor=8.0, original=64, **more):
    bounds = {"beta_fast": 32.0, "beta_slow": 1.0, "original_max_position_embeddings": original}
    return {"rope_parameters": {"rope_theta": 10_000.0, "rope_type": "yarn", "factor": factor, **bounds, **more}}


def build(family, folder, changes, auto="AutoModelForCausalLM"):
    """A random network and its folder. Every norm, bias and buffer differs from its default."""
    import torch
    import transformers

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        **SMALL | changes, attn_implementation="eager", experts_implementation="eager"
    )
    network = getattr(transformers, auto).from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, values in network.named_parameters():
            values.copy_(_random(torch, name, values.shape))
        for name, values in network.named_buffers():
            if name.endswith("e_score_correction_bias"):
                values.copy_(0.05 * torch.randn(values.shape))
    network.save_pretrained(folder)
    write_json(folder / "tokenizer.json", tokenizer_json())
    write_json(folder / "tokenizer_config.json", tokenizer_config())
    return network


def _random(torch, name, shape):
    values = torch.randn(shape)
    if "norm" in name.lower() and name.endswith("weight"):
        return 1 + 0.2 * values
    if name.endswith("bias") or values.ndim == 1:
        return 0.1 * values
    if "embeddings" in name:
        return 0.1 * values
    return values * (0.5 if "embed" in name else 1.2 / shape[-1] ** 0.5)


def change_config(folder, *dropped, **changes):
    """Rewrites config.json with other values and without some."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | changes
    write_json(file, {key: value for key, value in config.items() if key not in dropped})


def weights_of(folder):
    """The values of a folder's model.safetensors, by safetensors' own reader."""
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def write_weights(folder, weights):
    """Replaces them; bytes stand for themselves, and ('F8_E4M3', bytes) for 8-bit floats."""
    named = {np.dtype("float32"): "F32", np.dtype("uint8"): "U8"}
    content = {name: one if isinstance(one, tuple) else (named[one.dtype], one) for name, one in weights.items()}
    write_safetensors(folder / "model.safetensors", content)


def say_pooling(folder, **modes):
    """The files in which sentence-transformers says how vectors become one."""
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    write_json(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": path, "type": f"sentence_transformers.models.{kinds[path]}"}
            for path in kinds
        ],
    )
    (folder / "1_Pooling").mkdir(exist_ok=True)
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 64, **modes})


def in_mxfp4(folder, seed=3):
    """Gives a gpt-oss random experts in MXFP4. Returns their true values by name, (experts, rows, columns)."""
    chance, weights, values = np.random.default_rng(seed), weights_of(folder), {}
    for name in [name for name in weights if name.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        n_experts, width, n_rows = weights.pop(name).shape
        codes = chance.integers(0, 256, (n_experts, n_rows, width // 32, 16), np.uint8)
        scales = chance.integers(120, 124, (n_experts, n_rows, width // 32), np.uint8)
        weights |= {f"{name}_blocks": codes, f"{name}_scales": scales}
        values[name] = mxfp4_values(codes, scales)
    write_weights(folder, weights)
    change_config(folder, quantization_config={"quant_method": "mxfp4"})
    return values


def mxfp4_values(codes, scales):
    """By transformers' rule: the lower half of a byte is the first of its two values, a scale is a power of two."""
    pairs = np.stack((FP4[codes & 15], FP4[codes >> 4]), -1).reshape(*codes.shape[:-1], 32)
    return (pairs * 2.0 ** (scales[..., None].astype(np.int32) - 127)).reshape(*codes.shape[:2], -1).astype(np.float32)


def in_fp8(folder, block=32):
    """Stores every matrix of a layer in 8-bit floats with a scale for each block. Returns what they are worth."""
    import torch

    weights, values = weights_of(folder), {}
    for name in [name for name, one in weights.items() if ".layers." in name and one.ndim == 2 and "gate." not in name]:
        one = weights[name]
        rows, columns = (-(-length // block) for length in one.shape)
        scales = np.random.default_rng(4).uniform(0.5, 1.5, (rows, columns)).astype(np.float32) / 200
        spread = np.repeat(np.repeat(scales, block, 0), block, 1)[: one.shape[0], : one.shape[1]]
        eights = torch.from_numpy(one / spread).to(torch.float8_e4m3fn)
        weights |= {name: ("F8_E4M3", eights.view(torch.uint8).numpy()), f"{name}_scale_inv": scales}
        values[name] = eights.float().numpy() * spread
    write_weights(folder, weights)
    change_config(folder, quantization_config={"quant_method": "fp8", "weight_block_size": [block, block]})
    return values


def put_values(network, values):
    """Sets parameters by their names; experts of a layer may be one parameter of the network and many tensors."""
    import torch

    own = dict(network.named_parameters())
    with torch.no_grad():
        for name, one in values.items():
            if name in own:
                own[name].copy_(torch.from_numpy(one))
            else:
                _put_expert(torch, own, name, one)


def _put_expert(torch, own, name, one):
    start, _, rest = name.partition(".experts.")
    expert, kind, _ = rest.split(".")
    both, width = own[f"{start}.experts.gate_up_proj"], len(one)
    match kind:
        case "gate_proj":
            both[int(expert), :width].copy_(torch.from_numpy(one))
        case "up_proj":
            both[int(expert), width:].copy_(torch.from_numpy(one))
        case "down_proj":
            own[f"{start}.experts.down_proj"][int(expert)].copy_(torch.from_numpy(one))
