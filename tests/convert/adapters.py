"""Tiny models with adapters that the real PEFT made, every number of them random."""

import copy
import json
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model

N_TOKENS, HIDDEN = 200, 64
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
# What can be asked of PEFT, each as a person would ask for it.
VARIANTS: dict[str, dict[str, Any]] = {
    "attention": {"target_modules": ATTENTION},
    "everything": {"target_modules": "all-linear"},
    "rank-stabilised": {"target_modules": ATTENTION, "use_rslora": True},
    "patterns": {
        "target_modules": ["q_proj", "up_proj"],
        "rank_pattern": {"layers.0.self_attn.q_proj": 2},
        "alpha_pattern": {"up_proj": 32, r"^model\.layers\.1\.self_attn\.q_proj": 3},
    },
    "dora": {"target_modules": ["q_proj", "down_proj"], "use_dora": True},
    "dora-stabilised": {"target_modules": ["q_proj"], "use_dora": True, "use_rslora": True},
    "learnt-bias": {"target_modules": ["q_proj", "k_proj"], "lora_bias": True},
    "embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "head": {"target_modules": ["q_proj", "lm_head"]},
    "whole-copies": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head", "embed_tokens"]},
    "whole-embedding": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
    "norms": {"target_modules": ["v_proj"], "modules_to_save": ["input_layernorm"]},
    "token-rows": {"target_modules": ["q_proj"], "trainable_token_indices": [3, 5, 77]},
}


def model(tied: bool, **sizes: Any) -> Any:
    """A random Llama in double precision."""
    torch.manual_seed(1)
    config = transformers.LlamaConfig(**{
        "vocab_size": N_TOKENS, "hidden_size": HIDDEN, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": tied, "initializer_range": 0.2,
        **sizes,
    })  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def adapted(base: Any, variant: str, folder: Path, rank: int = 4) -> PeftModel:
    """The base with a random adapter of this kind, and the adapter saved in the folder."""
    settings = {"r": rank, "lora_alpha": 6, "task_type": "CAUSAL_LM", **VARIANTS[variant]}
    made = get_peft_model(copy.deepcopy(base), LoraConfig(**settings))
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in made.named_parameters():
            if value.requires_grad:
                spread = 0.05 * torch.randn(value.shape, generator=random)
                value.copy_(value * (1 + spread) if "magnitude" in name else value + spread)
    made.save_pretrained(folder)
    return made.eval()


def rewrite_config(folder: Path, **changes: Any) -> None:
    """Changes adapter_config.json."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
