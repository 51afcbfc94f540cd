"""What checkpoints of the families with transforms of their own hold: configs and the shapes of all tensors."""

from pathlib import Path

from carryon.convert.checkpoint import Checkpoint, Number, SourceTensor
from carryon.convert.config import Config

N_VOCAB, HIDDEN = 264, 64
GPT_OSS = {
    "architectures": ["GptOssForCausalLM"],
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"],
    "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "truncate": True, "original_max_position_embeddings": 4096},
}
DEEPSEEK = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "hidden_size": HIDDEN,
    "intermediate_size": 128,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "q_lora_rank": 48,
    "kv_lora_rank": 40,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 24,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "n_shared_experts": 2,
    "first_k_dense_replace": 1,
    "n_group": 4,
    "topk_group": 2,
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.5,
    "tie_word_embeddings": False,
    "max_position_embeddings": 512,
}
BERT = {
    "architectures": ["BertModel"],
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 130,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 1,
}
MODERN_BERT = {
    "architectures": ["ModernBertModel"],
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "local_attention": 32,
    "global_attn_every_n_layers": 3,
    "norm_eps": 1e-6,
}


def gpt_oss_shapes(is_packed=True):
    queries, keys, width, experts = 128, 64, 96, 4
    shapes = {"model.embed_tokens.weight": (N_VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,)}
    shapes["lm_head.weight"] = (N_VOCAB, HIDDEN)
    for layer in range(2):
        start = f"model.layers.{layer}."
        shapes |= {
            start + "input_layernorm.weight": (HIDDEN,),
            start + "post_attention_layernorm.weight": (HIDDEN,),
            start + "self_attn.sinks": (4,),
            start + "mlp.router.weight": (experts, HIDDEN),
            start + "mlp.router.bias": (experts,),
            start + "mlp.experts.gate_up_proj_bias": (experts, 2 * width),
            start + "mlp.experts.down_proj_bias": (experts, HIDDEN),
        }
        for name, shape in (("q", queries), ("k", keys), ("v", keys)):
            shapes |= {
                f"{start}self_attn.{name}_proj.weight": (shape, HIDDEN),
                f"{start}self_attn.{name}_proj.bias": (shape,),
            }
        shapes |= {start + "self_attn.o_proj.weight": (HIDDEN, queries), start + "self_attn.o_proj.bias": (HIDDEN,)}
        shapes |= _packed(start, experts, width) if is_packed else _plain(start, experts, width)
    return shapes


def _packed(start, experts, width):
    return {
        start + "mlp.experts.gate_up_proj_blocks": (experts, 2 * width, HIDDEN // 32, 16),
        start + "mlp.experts.gate_up_proj_scales": (experts, 2 * width, HIDDEN // 32),
        start + "mlp.experts.down_proj_blocks": (experts, HIDDEN, width // 32, 16),
        start + "mlp.experts.down_proj_scales": (experts, HIDDEN, width // 32),
    }


def _plain(start, experts, width):
    return {
        start + "mlp.experts.gate_up_proj": (experts, HIDDEN, 2 * width),
        start + "mlp.experts.down_proj": (experts, width, HIDDEN),
    }


def deepseek_shapes():
    shapes = {"model.embed_tokens.weight": (N_VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,)}
    shapes["lm_head.weight"] = (N_VOCAB, HIDDEN)
    for layer in range(3):
        start = f"model.layers.{layer}."
        shapes |= {
            start + "input_layernorm.weight": (HIDDEN,),
            start + "post_attention_layernorm.weight": (HIDDEN,),
            start + "self_attn.q_a_proj.weight": (48, HIDDEN),
            start + "self_attn.q_a_layernorm.weight": (48,),
            start + "self_attn.q_b_proj.weight": (4 * 48, 48),
            start + "self_attn.kv_a_proj_with_mqa.weight": (56, HIDDEN),
            start + "self_attn.kv_a_layernorm.weight": (40,),
            start + "self_attn.kv_b_proj.weight": (4 * 56, 40),
            start + "self_attn.o_proj.weight": (HIDDEN, 96),
        }
        shapes |= _mlp(start + "mlp.", 128) if layer == 0 else _experts(start + "mlp.")
    return shapes


def _experts(start):
    shapes = {start + "gate.weight": (8, HIDDEN), start + "gate.e_score_correction_bias": (8,)}
    for expert in range(8):
        shapes |= _mlp(f"{start}experts.{expert}.", 32)
    return shapes | _mlp(start + "shared_experts.", 64)


def _mlp(start, width):
    return {
        start + "gate_proj.weight": (width, HIDDEN),
        start + "up_proj.weight": (width, HIDDEN),
        start + "down_proj.weight": (HIDDEN, width),
    }


def lookahead_shapes(layer):
    """The layer behind the last, which guesses a further token."""
    start = f"model.layers.{layer}."
    return {start + "eh_proj.weight": (HIDDEN, 2 * HIDDEN), start + "enorm.weight": (HIDDEN,)}


def bert_shapes():
    shapes = {
        "embeddings.word_embeddings.weight": (N_VOCAB, HIDDEN),
        "embeddings.position_embeddings.weight": (130, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
        "pooler.dense.weight": (HIDDEN, HIDDEN),
        "pooler.dense.bias": (HIDDEN,),
    }
    wide = {"intermediate.dense": (96, HIDDEN), "output.dense": (HIDDEN, 96)}
    square = {
        f"attention.{part}": (HIDDEN, HIDDEN) for part in ("self.query", "self.key", "self.value", "output.dense")
    }
    norms = {"attention.output.LayerNorm": (HIDDEN,), "output.LayerNorm": (HIDDEN,)}
    for layer in range(2):
        for name, shape in {**wide, **square, **norms}.items():
            start = f"encoder.layer.{layer}.{name}"
            shapes |= {start + ".weight": shape, start + ".bias": shape[:1]}
    return shapes


def modern_bert_shapes():
    shapes = {
        "embeddings.tok_embeddings.weight": (N_VOCAB, HIDDEN),
        "embeddings.norm.weight": (HIDDEN,),
        "final_norm.weight": (HIDDEN,),
    }
    for layer in range(4):
        start = f"layers.{layer}."
        shapes |= {
            start + "attn.Wqkv.weight": (3 * HIDDEN, HIDDEN),
            start + "attn.Wo.weight": (HIDDEN, HIDDEN),
            start + "mlp_norm.weight": (HIDDEN,),
            start + "mlp.Wi.weight": (192, HIDDEN),
            start + "mlp.Wo.weight": (HIDDEN, 96),
        }
        shapes |= {start + "attn_norm.weight": (HIDDEN,)} if layer else {}
    return shapes


SHAPES = {
    "gpt-oss": gpt_oss_shapes,
    "deepseek": deepseek_shapes,
    "bert": bert_shapes,
    "modern-bert": modern_bert_shapes,
}
CONFIGS = {"gpt-oss": GPT_OSS, "deepseek": DEEPSEEK, "bert": BERT, "modern-bert": MODERN_BERT}


def checkpoint(family, shapes=None, folder=Path("Tiny"), drop=(), more=None, **changes):
    """A checkpoint that exists in memory only. A change to None leaves the key out."""
    shapes = {name: one for name, one in (shapes or SHAPES[family]()).items() if name not in drop} | (more or {})
    config = {key: value for key, value in (CONFIGS[family] | changes).items() if value is not None}
    tensors = {
        name: SourceTensor(name, number_of(name), shape, Path("model.safetensors"), 1000 * index)
        for index, (name, shape) in enumerate(shapes.items())
    }
    return Checkpoint(folder, Config(config), tensors)


def number_of(name):
    return Number.U8 if name.endswith(("_blocks", "_scales")) else Number.BF16
