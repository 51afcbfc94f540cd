"""The smallest header of every architecture that the engine knows: enough fields for it to plan a cache, no weights.

After get_gguf_ctx in tests/test-llama-archs.cpp of llama.cpp 0c1e57098, with more layers, so that patterns show.
"""

N_CTX = 4096
WINDOW = 512
N_VOCAB = 128
LATENT = {"deepseek2", "deepseek32", "glm-dsa", "dots3note", "kimi-linear", "bailingmoe3", "kimi-k3", "glm5-next",
          "mistral4", "hy_v4"}  # fmt: skip
WITHOUT_KV_IN_SOME = {"plamo2", "jamba", "nemotron_h", "nemotron_h_moe", "granitehybrid", "lfm2", "lfm2moe",
                      "kimi-linear", "bailingmoe3", "kimi-k3", "glm5-next"}  # fmt: skip
LISTED_WINDOWS = {"cohere2moe", "mimo2", "step35", "spark2_5", "muse-glimmer", "granite_swa", "dots3note", "maple",
                  "gemma4"}  # fmt: skip
LAYERS = {"gemma3n": 22, "hrm_text": 6, "exaone4": 64, "deepseek4": 4}
WITH_RANKS = {f"attention.{one}_lora_rank": 16 for one in ("decay", "iclr", "value_residual_mix", "gate")}
WITHOUT_EXPERTS = {"llama"}


def fields_of(architecture, n_layers=None, **changes):
    """The fields by name; `changes` are without the architecture's name, with `__` for a dot."""
    n_layers = n_layers or LAYERS.get(architecture, 10)
    n_embd, n_heads, n_ff = sizes_of(architecture)
    fields = {
        **usual(architecture, n_layers, n_embd, n_heads, n_ff), **windows_of(architecture, n_layers),
        **state(architecture, n_embd, n_heads), **latent(architecture, n_layers), **experts(architecture, n_ff),
        **indexers(architecture, n_layers, n_embd, n_heads), **oddities(architecture, n_layers, n_embd),
    }  # fmt: skip
    fields |= {key.replace("__", "."): value for key, value in changes.items()}
    general = {"general.architecture": architecture, "tokenizer.ggml.model": "none",
               "tokenizer.ggml.token_type_count": 2, "xielu.alpha_n": 1.0, "xielu.alpha_p": 1.0, "xielu.beta": 1.0,
               "xielu.eps": 1e-7}  # fmt: skip
    return general | {f"{architecture}.{key}": value for key, value in fields.items() if value is not None}


def sizes_of(architecture):
    """Embedding length, heads, feed-forward length."""
    if architecture in LATENT:
        return 128, 1, 192
    if architecture == "gemma3n":
        return 64, 1, 96
    if architecture == "deepseek4":
        return 512, 8, 1024
    return 256, 4, 384


def usual(architecture, n_layers, n_embd, n_heads, n_ff):
    """What nearly all of them need."""
    lists = architecture in WITHOUT_KV_IN_SOME
    per_layer = [0 if layer % 3 == 1 else n_heads for layer in range(n_layers)]
    n_ff_each = [0 if layer % 3 != 2 else n_ff for layer in range(n_layers)]
    return {
        "vocab_size": N_VOCAB, "context_length": N_CTX, "embedding_length": n_embd, "features_length": n_embd,
        "block_count": n_layers, "leading_dense_block_count": 1,
        "feed_forward_length": n_ff_each if architecture.startswith("nemotron_h") else n_ff,
        "use_parallel_residual": False, "logit_scale": 1.0, "time_mix_extra_dim": 64, "time_decay_extra_dim": 128,
        "full_attention_interval": 2,
        "attention.head_count": per_layer if lists and architecture != "glm5-next" else n_heads,
        "attention.head_count_kv": per_layer if lists else kv_heads(architecture, n_heads),
        "attention.max_alibi_bias": 8.0, "attention.clamp_kqv": 1.0, "attention.layer_norm_epsilon": 1e-5,
        "attention.layer_norm_rms_epsilon": 1e-5, "attention.group_norm_epsilon": 1e-5,
        "attention.group_norm_groups": 8,
        "attention.q_lora_rank": 64 if architecture == "deepseek4" else 512, "attention.kv_lora_rank": 512,
        "attention.relative_buckets_count": 8,
        "rope.dimension_sections": rope_sections(architecture, n_embd // n_heads),
    }  # fmt: skip


def kv_heads(architecture, n_heads):
    """Fewer than heads where the architecture has fused nothing."""
    return {"deepseek4": 1, "llama": 2, "muse-glimmer": 2, "afmoe": 2, "qwen3": 1}.get(architecture, n_heads)


def rope_sections(architecture, head):
    """Of the models that see pictures."""
    return [8, 12, 12, 0] if architecture == "bailingmoe3" else [head // 4] * 4


def windows_of(architecture, n_layers):
    """A window in every second layer, by a list where the architecture wants one."""
    listed = [layer % 2 for layer in range(n_layers)]
    pattern = [not one for one in listed] if architecture == "gemma4" else listed
    return {
        "attention.sliding_window": WINDOW,
        "attention.sliding_window_pattern": pattern if architecture in LISTED_WINDOWS else None,
    }


def state(architecture, n_embd, n_heads):
    """What recurrent layers keep."""
    is_delta_net = architecture in {"qwen3next", "qwen35", "qwen35moe", "qwen4exp"}
    return {
        "ssm.inner_size": 256 if is_delta_net else 2 * n_embd, "ssm.conv_kernel": 4, "ssm.state_size": 128,
        "ssm.time_step_rank": 2 if is_delta_net else n_heads, "ssm.group_count": 0 if architecture == "plamo2" else 2,
        "kda.head_dim": 128, "kda.safe_gate": True, "kda.gate_lower_bound": -5.0, "wkv.head_size": n_embd // n_heads,
        "shortconv.l_cache": 3, "residual_scale": 3.5, "attn_res.block_size": 12, "activation.situ_beta": 4.0,
        "activation.situ_linear_beta": 25.0,
    }  # fmt: skip


def latent(architecture, n_layers):
    """MLA."""
    if architecture == "deepseek4":
        return {"attention.key_length": 64, "attention.value_length": 64, "rope.dimension_count": 32}
    if architecture not in LATENT:
        return {}
    rope = 0 if architecture == "glm5-next" else 64
    sizes = {
        "attention.key_length": 512 + rope, "attention.value_length": 512, "rope.dimension_count": rope,
        "attention.key_length_mla": 192, "attention.value_length_mla": 128,
    }  # fmt: skip
    if architecture == "dots3note":
        sizes |= {
            "attention.kv_lora_rank_swa": 512, "attention.key_length_swa": 576, "attention.value_length_swa": 512,
            "attention.key_length_mla_swa": 192, "attention.value_length_mla_swa": 128, "rope.freq_base_swa": 10000.0,
        }  # fmt: skip
    return sizes


def experts(architecture, n_ff):
    """Two experts, of which both are used."""
    if architecture in WITHOUT_EXPERTS:
        return {}
    return {
        "expert_feed_forward_length": n_ff, "expert_shared_feed_forward_length": n_ff // 2,
        "interleave_moe_layer_step": 2, "expert_count": 2, "expert_used_count": 2, "expert_shared_count": 1,
        "expert_gating_func": 4 if architecture == "deepseek4" else 2, "expert_group_scale": 1.0,
        "experts_per_group": 1, "expert_latent_length": n_ff,
    }  # fmt: skip


def indexers(architecture, n_layers, n_embd, n_heads):
    """Sparse attention."""
    owners = [0 if layer % 2 else 1 for layer in range(n_layers)]
    return {
        "attention.indexer.head_count": n_heads if architecture == "minimax-m3" else 64,
        "attention.indexer.key_length": n_embd // n_heads if architecture == "qwen4exp" else 128,
        "attention.indexer.top_k": 131072, "attention.indexer.block_size": 4, "attention.indexer.kpool": 4,
        "attention.indexer.kpool_select_tail": True, "attention.indexer.local_blocks": 1,
        "attention.indexer.types": owners if architecture in {"dots3note", "hy_v4", "glm-dsa"} else None,
    }  # fmt: skip


def oddities(architecture, n_layers, n_embd):
    """What one architecture alone needs."""
    connections = {"hyper_connection.count": 4, "hyper_connection.sinkhorn_iterations": 2,
                   "hyper_connection.epsilon": 1e-6}  # fmt: skip
    own = {
        "gemma4": {
            "embedding_length_per_layer_input": n_embd // 2, "attention.shared_kv_layers": 4,
            "attention.key_length_swa": 32, "attention.value_length_swa": 32, "rope.freq_base_swa": 10000.0,
        },
        "minimax-m3": {"rope.dimension_count": 64},
        "qwen4exp": {
            **connections, "hyper_connection.low_rank": 8, "attention.compress_ratios": [4] * n_layers,
        },
        "glm5-next": {**connections, "hyper_connection.low_rank": 8, "attention.compress_ratios": [4] * n_layers},
        "hy_v4": {
            **connections, "hyper_connection.magnitude": 2.0, "swiglu_clamp_exp": 10.0, "expert_weights_scale": 1.0,
            "expert_weights_norm": True,
        },
        "deepseek4": {
            **connections, "attention.output_group_count": 8, "attention.output_lora_rank": 32,
            "attention.compress_ratios": [0, 0, 4, 128], "attention.compress_rope_freq_base": 160000.0,
            "hash_layer_count": 0, "swiglu_clamp_exp": 10.0, "expert_weights_scale": 1.0, "expert_weights_norm": True,
        },
        "hrm_text": {"hrm.layers_per_stack": 1, "hrm.h_cycles": 2, "hrm.l_cycles": 2},
        "maple": {"swiglu_clamp_exp": 7.0},
        "bailingmoe3": {"swiglu_clamp_exp": [4.0] * n_layers, "swiglu_clamp_shexp": [5.0] * n_layers},
        "rwkv6qwen2": {"token_shift_count": 1},
        "rwkv7": WITH_RANKS,
        "arwkv7": WITH_RANKS | {"token_shift_count": 1},
        "chameleon": {"vocab_size": 10240},
        "qwen3tts": {"vocab_size": 3072},
        "graniteswitch": {
            "adapters.count": 1, "adapters.lora_rank": 8, "adapters.token_ids_activate": [1],
            "adapters.token_ids_substitute": [2],
        },
        "plm": {"attention.key_length": 192, "attention.value_length": 128, "rope.dimension_count": 64},
        "nanbeige": {"num_loops": 2},
    }  # fmt: skip
    return own.get(architecture, {})
