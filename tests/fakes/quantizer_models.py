"""Header-only models that llama-quantize treats in a way of its own: few experts, odd rows, odd names, holes.

Some exist, some are made up: its dry run asks for names and sizes, not for a model that could speak.
"""

from fakes.header_models import (
    MORE_MODELS,
    attention,
    ends,
    experts,
    feed_forward,
    general,
    heads,
    in_layers,
    llama_like,
)


def mixtral(architecture="llama", n_layers=32):
    """Eight experts, and few heads that share."""
    more = {"expert_count": 8, "expert_used_count": 2, "attention.layer_norm_epsilon": 1e-5}
    fields = general(
        architecture, "Mixtral", n_layers, 4096, 14336, 32, 8, 32768, 32000, **heads(128), **more
    )  # fmt: skip
    layer = [*attention(4096, 32, 8, 128), ("ffn_norm.weight", [4096], "F32"), *experts(4096, 14336, 8)]
    return fields, [*ends(4096, 32000), *in_layers(n_layers, lambda _: layer)]


def falcon():
    """Fused queries, keys and values; one pair of them for all heads."""
    fields = general(
        "falcon", "Falcon-7B", 32, 4544, 18176, 71, 1, 2048, 65024, **{"attention.layer_norm_epsilon": 1e-5}
    )
    layer = [
        ("attn_norm.weight", [4544], "F32"),
        ("attn_qkv.weight", [4544, 4672], "F16"),
        ("attn_output.weight", [4544, 4544], "F16"),
        ("ffn_up.weight", [4544, 18176], "F16"),
        ("ffn_down.weight", [18176, 4544], "F16"),
    ]
    return fields, [*ends(4544, 65024), *in_layers(32, lambda _: layer)]


def half_attention():
    """Every second layer has no feed-forward and no attention, so that counting differs from the layer's number."""
    fields = general("llama", "Holes", 40, 2048, 4096, 16, 16, 4096, 32000, **heads(128))

    def layer(number):
        return attention(2048, 16, 16, 128) if number % 2 else feed_forward(2048, 4096)

    return fields, [*ends(2048, 32000), *in_layers(40, layer)]


def odd_rows():
    """Rows of no round length: blocks of 256 do not fit, in places not even those of 32."""
    return llama_like("llama", "Odd", 8, 1000, 1504, 10, 5, 4096, 5000, head=100)


KEPT_NAMES = (
    "altup_proj", "laurel_l", "per_layer_model_proj", "ssm_conv1d", "shortconv.conv", "indexer.k_proj",
    "indexer.q_proj", "time_mix_first", "time_mix_w0", "time_mix_w1", "time_mix_w2", "time_mix_v0", "time_mix_v1",
    "time_mix_v2", "time_mix_a0", "time_mix_a1", "time_mix_a2", "time_mix_g1", "time_mix_g2", "time_mix_decay_w1",
    "time_mix_decay_w2", "time_mix_lerp_fused", "attn_rel_b", "position_embd", "rel_pos", "patch_embd",
    "patch_merger", "ffn_gate_inp", "ffn_gate_tid2eid", "attn_x_norm",
)  # fmt: skip
TOUCHED_NAMES = (
    "time_mix_key", "ssm_in", "ffn_gate_up", "attn_kv_b", "attn_qkv", "cross_attn_v", "indexer.attn_k", "hc_x",
    "attn_q_a",
)  # fmt: skip
WHOLE_NAMES = (
    "position_embd", "token_types", "per_layer_token_embd", "sam.pos_embd", "sam.neck.0", "sam.net_1", "a.rvq.codebook",
    "mm.a.code_embd",
)  # fmt: skip


def odd_names():
    """One matrix of every name that is never quantized, and some that are although they look like it."""
    fields = general("llama", "Names", 2, 256, 512, 4, 2, 4096, 1000, **heads(64))
    layer = [*attention(256, 4, 2, 64), *feed_forward(256, 512)]
    layer += [(f"{name}.weight", [256, 256], "F16") for name in (*KEPT_NAMES, *TOUCHED_NAMES)]
    layer += [("ffn_thing.scale", [256, 256], "F16"), ("ffn_flat.weight", [256, 1], "F16")]
    whole = [(f"{name}.weight", [256, 256], "F16") for name in WHOLE_NAMES]
    return fields, [*ends(256, 1000), *whole, *in_layers(2, lambda _: layer)]


def glm5_next():
    """The names that only this architecture keeps, and those that it keeps in eight bits."""
    names = (
        "hc_fn", "indexer.attn_q_b", "indexer.attn_k", "indexer.proj", "indexer_compressor_gate",
        "indexer_compressor_ape", "ssm_f_a", "ssm_f_b", "ssm_g_a", "ssm_g_b", "ssm_beta", "attn_kv_a_mqa", "attn_k_b",
        "attn_v_b", "attn_q_a", "attn_q_b", "nextn.eh_proj", "attn_q_bx",
    )  # fmt: skip
    fields = general(
        "glm5-next", "Next", 8, 256, 512, 4, [0, 0, 0, 1] * 2, 4096, 1000, **LATENT, **EXPERTS,
        **{"attention.q_lora_rank": 64, "attention.indexer.head_count": 4, "attention.indexer.key_length": 64,
           "attention.indexer.top_k": 64, "attention.indexer.kpool": 4, "hyper_connection.count": 4,
           "hyper_connection.sinkhorn_iterations": 4, "hyper_connection.epsilon": 1e-6},
    )  # fmt: skip
    layer = [(f"{name}.weight", [256, 256], "F16") for name in names]
    return fields, [*ends(256, 1000), *in_layers(8, lambda _: [*layer, *experts(256, 256, 16)])]


def bailing3():
    """Its matrices of three dimensions are not all experts."""
    fields = general(
        "bailingmoe3", "Ling", 4, 256, 512, 4, [0, 0, 0, 1], 4096, 1000, **LATENT, **EXPERTS,
        **{"kda.gate_lower_bound": -5.0},
    )  # fmt: skip
    stacks = [("attn_k_b.weight", [256, 64, 4], "F16"), ("attn_v_b.weight", [256, 64, 4], "F16")]
    return fields, [*ends(256, 1000), *in_layers(4, lambda _: [*stacks, *experts(256, 256, 16)])]


LATENT = {
    "attention.key_length_mla": 64, "attention.value_length_mla": 64, "attention.kv_lora_rank": 64,
    "ssm.conv_kernel": 4, "kda.head_dim": 64,
}  # fmt: skip
EXPERTS = {
    "expert_count": 16, "expert_used_count": 4, "expert_feed_forward_length": 256, "expert_shared_count": 1,
    "leading_dense_block_count": 0, "expert_gating_func": 2,
}  # fmt: skip


def qwen3next():
    """The first layer that attends is the fourth, and the file counts heads for all."""
    fields = general(
        "qwen3next", "Qwen3-Next", 8, 2048, 512, 16, 2, 262144, 151936, **heads(256), **EXPERTS,
        **{"ssm.conv_kernel": 4, "ssm.inner_size": 4096, "ssm.state_size": 128, "ssm.time_step_rank": 32,
           "ssm.group_count": 16},
    )  # fmt: skip
    linear = [
        ("attn_qkv.weight", [2048, 8192], "F16"),
        ("ssm_out.weight", [4096, 2048], "F16"),
        ("ssm_ba.weight", [2048, 64], "F16"),
    ]

    def layer(number):
        mixing = attention(2048, 32, 2, 256) if number % 4 == 3 else linear
        return [*mixing, *experts(2048, 512, 16)]

    return fields, [*ends(2048, 151936), *in_layers(8, layer)]


def small_70b(architecture, n_layers):
    """As many layers as llama.cpp takes for a 70B model; the rest is tiny."""
    more = {"attention.layer_norm_epsilon": 1e-5}
    return llama_like(architecture, "70B", n_layers, 256, 512, 8, 1, 4096, 1000, more=more)


def small_hybrid(architecture, every):
    """Only every so manieth layer attends; the file counts heads for all, which the recipes then go by."""
    fields = general(
        architecture, "Hybrid", 8, 512, 512, 8, 2, 4096, 1000, **heads(64), **EXPERTS, full_attention_interval=every,
        **{"ssm.conv_kernel": 4, "ssm.inner_size": 512, "ssm.state_size": 128, "ssm.time_step_rank": 4,
           "ssm.group_count": 4, "rope.dimension_sections": [16, 8, 8, 0], "residual_scale": 1.0,
           "hyper_connection.count": 4, "hyper_connection.low_rank": 16, "attention.indexer.head_count": 2,
           "attention.indexer.key_length": 64, "attention.indexer.top_k": 64},
    )  # fmt: skip
    linear = [("attn_qkv.weight", [512, 1024], "F16"), ("ssm_out.weight", [512, 512], "F16")]

    def layer(number):
        return [*(attention(512, 8, 2, 64) if number % every == every - 1 else linear), *experts(512, 256, 16)]

    return fields, [*ends(512, 1000), *in_layers(8, layer)]


SPECIAL = {
    "mixtral-8x7b": mixtral,
    "falcon-7b": falcon,
    "falcon-8-experts": lambda: mixtral("falcon"),
    "qwen25-72b": lambda: llama_like(
        "qwen2", "Qwen2.5-72B", 80, 8192, 29568, 64, 8, 32768, 152064, has_biases=True, theta=1e6
    ),
    "llama-65b": lambda: llama_like("llama", "LLaMA-65B", 80, 8192, 22016, 64, 64, 2048, 32000),
    "half-attention": half_attention,
    "glm5-next": glm5_next,
    "ling-3": bailing3,
    "qwen3-next": qwen3next,
    "qwen35": lambda: small_hybrid("qwen35", 4),
    "qwen35-moe": lambda: small_hybrid("qwen35moe", 4),
    "minimax-01": lambda: small_hybrid("minimax-01", 8),
    "qwen4exp": lambda: small_hybrid("qwen4exp", 4),
    "llama-embed": lambda: small_70b("llama-embed", 80),
    "deci": lambda: small_70b("deci", 80),
    "olmo": lambda: small_70b("olmo", 80),
    "jais2": lambda: small_70b("jais2", 68),
    # a diffusion model: it attends, four heads to one, and keeps nothing
    "dream-7b": lambda: llama_like("dream", "Dream-7B", 28, 3584, 18944, 28, 4, 131072, 152064, has_biases=True),
    "odd-rows": odd_rows,
    "odd-names": odd_names,
    **MORE_MODELS,
}
