"""Known models as header-only files: their true sizes and shapes, a few kilobytes on disk, and no weight.

The engine loads each of them for a dry run, which checks every tensor's shape against the model's sizes, so none of
them can be quite wrong. Where llama.cpp or a publisher names the size of a quant, ours is within 0.1 % of it.
"""

from dataclasses import replace

from fakes.header_writer import HeaderWriter, Typed

from carryon.gguf.header import Header, header_of
from carryon.gguf.mix import requantized
from carryon.gguf.quants import GGML_TYPES
from carryon.gguf.recipes import FILE_TYPES
from carryon.gguf.shape import shape_of

FILE_TYPE_F16 = 1


def general(architecture, name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab, **more):
    """The fields that every model of this kind has; `more` in the words of the format, `_` for `.` at the first."""
    own = {
        "block_count": n_layers, "context_length": n_ctx, "embedding_length": n_embd, "feed_forward_length": n_ff,
        "attention.head_count": n_heads, "attention.head_count_kv": n_kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": 500000.0, "vocab_size": n_vocab, **more,
    }  # fmt: skip
    return {
        "general.architecture": architecture, "general.name": name, "general.file_type": FILE_TYPE_F16,
        "general.quantization_version": 2, "tokenizer.ggml.model": "none",
        **{f"{architecture}.{key}": value for key, value in own.items()},
    }  # fmt: skip


def heads(length):
    """The fields of a head size that is written out."""
    return {"attention.key_length": length, "attention.value_length": length, "rope.dimension_count": length}


def ends(n_embd, n_vocab, is_tied=False):
    """The tensors before and after the layers."""
    output = [] if is_tied else [("output.weight", [n_embd, n_vocab], "F16")]
    return [("token_embd.weight", [n_embd, n_vocab], "F16"), ("output_norm.weight", [n_embd], "F32"), *output]


def in_layers(n_layers, tensors_of_layer):
    """The tensors of all layers; `tensors_of_layer(layer)` answers (name without 'blk.N.', shape, type)."""
    return [
        (f"blk.{layer}.{name}", shape, kind)
        for layer in range(n_layers)
        for name, shape, kind in tensors_of_layer(layer)
    ]


def attention(n_embd, n_heads, n_kv_heads, head, has_norms=False, has_biases=False):
    """Queries, keys, values and the way out of them."""
    tensors = [
        ("attn_norm.weight", [n_embd], "F32"),
        ("attn_q.weight", [n_embd, n_heads * head], "F16"),
        ("attn_k.weight", [n_embd, n_kv_heads * head], "F16"),
        ("attn_v.weight", [n_embd, n_kv_heads * head], "F16"),
        ("attn_output.weight", [n_heads * head, n_embd], "F16"),
    ]
    if has_norms:
        tensors += [("attn_q_norm.weight", [head], "F32"), ("attn_k_norm.weight", [head], "F32")]
    if has_biases:
        tensors += [("attn_q.bias", [n_heads * head], "F32")]
        tensors += [(f"attn_{one}.bias", [n_kv_heads * head], "F32") for one in "kv"]
    return tensors


def feed_forward(n_embd, n_ff):
    """A gated feed-forward network."""
    return [
        ("ffn_norm.weight", [n_embd], "F32"),
        ("ffn_gate.weight", [n_embd, n_ff], "F16"),
        ("ffn_up.weight", [n_embd, n_ff], "F16"),
        ("ffn_down.weight", [n_ff, n_embd], "F16"),
    ]


def experts(n_embd, n_ff, count, kind="F16"):
    """A router and so many gated feed-forward networks."""
    return [
        ("ffn_gate_inp.weight", [n_embd, count], "F32"),
        ("ffn_gate_exps.weight", [n_embd, n_ff, count], kind),
        ("ffn_up_exps.weight", [n_embd, n_ff, count], kind),
        ("ffn_down_exps.weight", [n_ff, n_embd, count], kind),
    ]


def llama_like(
    architecture, name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab, *, head=0, is_tied=False,
    has_norms=False, has_biases=False, has_rope_freqs=False, after=(), theta=500000.0, more=None,
):  # fmt: skip
    """Llama, Mistral, SmolLM, Qwen, Granite, Gemma: one plan with small differences."""
    head = head or n_embd // n_heads
    fields = general(
        architecture, name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab,
        **heads(head), **{"rope.freq_base": theta}, **(more or {}),
    )  # fmt: skip
    layer = [
        *attention(n_embd, n_heads, n_kv_heads, head, has_norms, has_biases), *feed_forward(n_embd, n_ff),
        *((f"{norm}.weight", [n_embd], "F32") for norm in after),
    ]  # fmt: skip
    shared = [("rope_freqs.weight", [head // 2], "F32")] if has_rope_freqs else []
    return fields, [*ends(n_embd, n_vocab, is_tied), *shared, *in_layers(n_layers, lambda _: layer)]


GEMMA_NORMS = ("post_attention_norm", "post_ffw_norm")


def gemma3(name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab, head, window):
    """Five of six layers look back on a window only."""
    return llama_like(
        "gemma3", name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab, head=head, is_tied=True,
        has_norms=True, after=GEMMA_NORMS, theta=1e6, more={"attention.sliding_window": window},
    )  # fmt: skip


def gemma2(name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab, head):
    """Every second layer looks back on 4,096 tokens, which the file need not say."""
    return llama_like(
        "gemma2", name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab, head=head, is_tied=True,
        after=GEMMA_NORMS, theta=10000.0,
    )  # fmt: skip


def qwen3moe(name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab, head, count, used, n_ff_expert):
    """Nothing but experts in every layer."""
    fields = general(
        "qwen3moe", name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab, **heads(head),
        expert_count=count, expert_used_count=used, expert_feed_forward_length=n_ff_expert, **{"rope.freq_base": 1e6},
    )  # fmt: skip
    layer = [
        *attention(n_embd, n_heads, n_kv_heads, head, has_norms=True), ("ffn_norm.weight", [n_embd], "F32"),
        *experts(n_embd, n_ff_expert, count),
    ]  # fmt: skip
    return fields, [*ends(n_embd, n_vocab), *in_layers(n_layers, lambda _: layer)]


def phi3(name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab):
    """Queries, keys and values in one matrix, gate and up in another."""
    head = n_embd // n_heads
    fields = general(
        "phi3", name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_ctx, n_vocab,
        **{"rope.dimension_count": head, "attention.sliding_window": 0, "rope.freq_base": 250000.0,
           "rope.scaling.original_context_length": n_ctx},
    )  # fmt: skip
    layer = [
        ("attn_norm.weight", [n_embd], "F32"),
        ("attn_qkv.weight", [n_embd, n_embd + 2 * n_kv_heads * head], "F16"),
        ("attn_output.weight", [n_embd, n_embd], "F16"),
        ("ffn_norm.weight", [n_embd], "F32"),
        ("ffn_up.weight", [n_embd, 2 * n_ff], "F16"),
        ("ffn_down.weight", [n_ff, n_embd], "F16"),
    ]
    return fields, [*ends(n_embd, n_vocab), *in_layers(n_layers, lambda _: layer)]


KV_RANK, ROPE, NOPE, VALUE = 512, 64, 128, 128  # of both DeepSeek models


def deepseek2(name, n_layers, n_embd, n_ff, n_heads, n_vocab, q_rank, count, used, n_ff_expert, n_shared, n_dense):
    """One latent vector for a token instead of keys and values (MLA), experts after the first layers."""
    with_q_rank = {"attention.q_lora_rank": q_rank} if q_rank else {}
    fields = general(
        "deepseek2", name, n_layers, n_embd, n_ff, n_heads, 1, 163840, n_vocab,
        expert_count=count, expert_used_count=used, expert_feed_forward_length=n_ff_expert,
        expert_shared_count=n_shared, expert_weights_scale=1.0, expert_gating_func=2 if q_rank else 1,
        leading_dense_block_count=n_dense,
        **{"attention.key_length": KV_RANK + ROPE, "attention.value_length": KV_RANK,
           "attention.key_length_mla": NOPE + ROPE, "attention.value_length_mla": VALUE,
           "attention.kv_lora_rank": KV_RANK, "rope.dimension_count": ROPE, "rope.freq_base": 10000.0},
        **with_q_rank,
    )  # fmt: skip

    def layer(number):
        is_dense = number < n_dense
        behind = feed_forward(n_embd, n_ff)[1:] if is_dense else shared_and_experts(
            n_embd, n_ff_expert, count, n_shared, has_bias=q_rank > 0
        )  # fmt: skip
        norms = [("attn_norm.weight", [n_embd], "F32"), ("ffn_norm.weight", [n_embd], "F32")]
        return [*norms, *latent_attention(n_embd, n_heads, q_rank), *behind]

    return fields, [*ends(n_embd, n_vocab), *in_layers(n_layers, layer)]


def latent_attention(n_embd, n_heads, q_rank):
    """MLA, with the matrices split as llama.cpp has them since April 2025."""
    n_query = n_heads * (NOPE + ROPE)
    query = [("attn_q.weight", [n_embd, n_query], "F16")]
    if q_rank:
        query = [
            ("attn_q_a.weight", [n_embd, q_rank], "F16"),
            ("attn_q_a_norm.weight", [q_rank], "F32"),
            ("attn_q_b.weight", [q_rank, n_query], "F16"),
        ]
    return [
        *query,
        ("attn_kv_a_mqa.weight", [n_embd, KV_RANK + ROPE], "F16"),
        ("attn_kv_a_norm.weight", [KV_RANK], "F32"),
        ("attn_k_b.weight", [NOPE, KV_RANK, n_heads], "F16"),
        ("attn_v_b.weight", [KV_RANK, VALUE, n_heads], "F16"),
        ("attn_output.weight", [n_heads * VALUE, n_embd], "F16"),
    ]


def shared_and_experts(n_embd, n_ff, count, n_shared, has_bias):
    """Experts beside some that every token goes through."""
    width = n_ff * n_shared
    return [
        *experts(n_embd, n_ff, count),
        ("ffn_gate_shexp.weight", [n_embd, width], "F16"),
        ("ffn_up_shexp.weight", [n_embd, width], "F16"),
        ("ffn_down_shexp.weight", [width, n_embd], "F16"),
        *([("exp_probs_b.bias", [count], "F32")] if has_bias else []),
    ]


def gpt_oss(name, n_layers, n_embd, n_heads, n_kv_heads, n_vocab, head, count, used, n_ff, window):
    """Experts in MXFP4, biases everywhere, sinks, and a window in every second layer."""
    fields = general(
        "gpt-oss", name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, 131072, n_vocab, **heads(head),
        expert_count=count, expert_used_count=used, expert_feed_forward_length=n_ff,
        **{"attention.sliding_window": window, "rope.scaling.type": "yarn", "rope.scaling.factor": 32.0,
           "rope.scaling.original_context_length": 4096, "rope.freq_base": 150000.0},
    )  # fmt: skip
    layer = [
        *attention(n_embd, n_heads, n_kv_heads, head, has_biases=True),
        ("attn_output.bias", [n_embd], "F32"),
        ("attn_sinks.weight", [n_heads], "F32"),
        ("post_attention_norm.weight", [n_embd], "F32"),
        *experts(n_embd, n_ff, count, "MXFP4"),
        ("ffn_gate_inp.bias", [count], "F32"),
        ("ffn_gate_exps.bias", [n_ff, count], "F32"),
        ("ffn_up_exps.bias", [n_ff, count], "F32"),
        ("ffn_down_exps.bias", [n_embd, count], "F32"),
    ]
    return fields, [*ends(n_embd, n_vocab), *in_layers(n_layers, lambda _: layer)]


def mamba(name, n_layers, n_embd, n_vocab, state=16, kernel=4):
    """A state of fixed size instead of a cache."""
    inner, rank = 2 * n_embd, n_embd // 16
    fields = general(
        "mamba", name, n_layers, n_embd, 0, 0, 0, 1 << 20, n_vocab,
        **{"ssm.conv_kernel": kernel, "ssm.inner_size": inner, "ssm.state_size": state, "ssm.time_step_rank": rank},
    )  # fmt: skip
    layer = [
        ("attn_norm.weight", [n_embd], "F32"),
        ("ssm_in.weight", [n_embd, 2 * inner], "F16"),
        ("ssm_conv1d.weight", [kernel, inner], "F32"),
        ("ssm_conv1d.bias", [inner], "F32"),
        ("ssm_x.weight", [inner, rank + 2 * state], "F16"),
        ("ssm_dt.weight", [rank, inner], "F16"),
        ("ssm_dt.bias", [inner], "F32"),
        ("ssm_a", [state, inner], "F32"),
        ("ssm_d", [inner], "F32"),
        ("ssm_out.weight", [inner, n_embd], "F16"),
    ]
    return fields, [*ends(n_embd, n_vocab, is_tied=True), *in_layers(n_layers, lambda _: layer)]


def lfm2(name, n_embd, n_ff, n_heads, n_kv_heads, n_vocab, attending, n_layers=16, cache=3):
    """A short convolution in most layers, attention in those that `attending` names."""
    n_kv = [n_kv_heads if layer in attending else 0 for layer in range(n_layers)]
    fields = general(
        "lfm2", name, n_layers, n_embd, n_ff, n_heads, n_kv, 128000, n_vocab, **{"shortconv.l_cache": cache}
    )
    head = n_embd // n_heads

    def layer(number):
        norms = [("attn_norm.weight", [n_embd], "F32")]
        if number in attending:
            return [*attention(n_embd, n_heads, n_kv_heads, head, has_norms=True), *feed_forward(n_embd, n_ff)]
        convolution = [
            ("shortconv.conv.weight", [cache, n_embd], "F32"),
            ("shortconv.in_proj.weight", [n_embd, 3 * n_embd], "F16"),
            ("shortconv.out_proj.weight", [n_embd, n_embd], "F16"),
        ]
        return [*norms, *convolution, *feed_forward(n_embd, n_ff)]

    outside = [("token_embd.weight", [n_embd, n_vocab], "F16"), ("token_embd_norm.weight", [n_embd], "F32")]
    return fields, [*outside, *in_layers(n_layers, layer)]


def glm4moe(name, n_layers, n_embd, n_ff, n_heads, n_kv_heads, n_vocab, head, count, used, n_ff_expert):
    """Experts after one dense layer, and at the end a block that predicts a further token, which is not loaded."""
    last = n_layers  # the predicting block; the file counts it with the others
    fields = general(
        "glm4moe", name, n_layers + 1, n_embd, n_ff, n_heads, n_kv_heads, 131072, n_vocab, **heads(head),
        expert_count=count, expert_used_count=used, expert_feed_forward_length=n_ff_expert, expert_shared_count=1,
        leading_dense_block_count=1, expert_gating_func=2, nextn_predict_layers=1,
    )  # fmt: skip
    fields["glm4moe.rope.dimension_count"] = head // 2

    def layer(number):
        own = attention(n_embd, n_heads, n_kv_heads, head, has_biases=True)
        own += [("post_attention_norm.weight", [n_embd], "F32")]
        own += (
            feed_forward(n_embd, n_ff)[1:] if number == 0 else shared_and_experts(n_embd, n_ff_expert, count, 1, True)
        )
        return own + ([] if number < last else next_token_block(n_embd))

    return fields, [*ends(n_embd, n_vocab), *in_layers(n_layers + 1, layer)]


def next_token_block(n_embd):
    """What a predicting block has beside an ordinary one."""
    norms = [(f"nextn.{one}.weight", [n_embd], "F32") for one in ("enorm", "hnorm", "shared_head_norm")]
    return [("nextn.eh_proj.weight", [2 * n_embd, n_embd], "F16"), *norms]


# The thirteen of the accuracy table: (fields, tensors) by a short name.
MODELS = {
    "llama31-8b": lambda: llama_like(
        "llama", "Llama-3.1-8B", 32, 4096, 14336, 32, 8, 131072, 128256, has_rope_freqs=True
    ),
    "llama33-70b": lambda: llama_like(
        "llama", "Llama-3.3-70B", 80, 8192, 28672, 64, 8, 131072, 128256, has_rope_freqs=True
    ),
    "mistral-7b-v03": lambda: llama_like(
        "llama", "Mistral-7B-v0.3", 32, 4096, 14336, 32, 8, 32768, 32768, theta=1e6
    ),
    "smollm2-1.7b": lambda: llama_like(
        "llama", "SmolLM2-1.7B", 24, 2048, 8192, 32, 32, 8192, 49152, is_tied=True, theta=130000.0
    ),
    "qwen3-8b": lambda: llama_like(
        "qwen3", "Qwen3-8B", 36, 4096, 12288, 32, 8, 40960, 151936, head=128, has_norms=True, theta=1e6
    ),
    "qwen25-7b": lambda: llama_like(
        "qwen2", "Qwen2.5-7B", 28, 3584, 18944, 28, 4, 32768, 152064, has_biases=True, theta=1e6
    ),
    "qwen3-30b-a3b": lambda: qwen3moe("Qwen3-30B-A3B", 48, 2048, 6144, 32, 4, 40960, 151936, 128, 128, 8, 768),
    "gemma3-12b": lambda: gemma3("Gemma-3-12B", 48, 3840, 15360, 16, 8, 131072, 262208, 256, 1024),
    "phi4": lambda: phi3("Phi-4", 40, 5120, 17920, 40, 10, 16384, 100352),
    "dsv2-lite": lambda: deepseek2("DeepSeek-V2-Lite", 27, 2048, 10944, 16, 102400, 0, 64, 6, 1408, 2, 1),
    "dsv3": lambda: deepseek2("DeepSeek-V3", 61, 7168, 18432, 128, 129280, 1536, 256, 8, 2048, 1, 3),
    "gptoss-20b": lambda: gpt_oss("gpt-oss-20b", 24, 2880, 64, 8, 201088, 64, 32, 4, 2880, 128),
    "granite33-8b": lambda: llama_like(
        "granite", "Granite-3.3-8B", 40, 4096, 12800, 32, 8, 131072, 49159, is_tied=True, theta=1e7,
        more={"attention.scale": 0.0078125, "embedding_scale": 12.0, "residual_scale": 0.22, "logit_scale": 16.0},
    ),
}  # fmt: skip
# Others, for what the thirteen do not have: recurrent state, layers without a cache, unsaid windows, unloaded blocks.
MORE_MODELS = {
    "mamba-1.4b": lambda: mamba("Mamba-1.4B", 48, 2048, 50280),
    "lfm2-1.2b": lambda: lfm2("LFM2-1.2B", 2048, 8192, 32, 8, 65536, attending=(2, 5, 8, 10, 12, 14)),
    "glm45-air": lambda: glm4moe("GLM-4.5-Air", 46, 4096, 10944, 96, 8, 151552, 128, 128, 8, 1408),
    "gemma2-2b": lambda: gemma2("Gemma-2-2B", 26, 2304, 9216, 8, 4, 8192, 256000, 256),
}


def write_header_model(name, path, quant=None):
    """Writes one of them and returns the path; `quant`: as llama-quantize would have made it."""
    fields, tensors = (MODELS | MORE_MODELS)[name]()
    if quant:
        fields, tensors = as_quantized(fields, tensors, quant)
    return HeaderWriter().write(path, fields, tensors)


def write_split_model(name, folder, n_parts=2):
    """The same in several files; returns their paths, the first one first."""
    fields, tensors = (MODELS | MORE_MODELS)[name]()
    share = -(-len(tensors) // n_parts)
    paths = []
    for part in range(n_parts):
        own = {"split.no": Typed("u16", part), "split.count": Typed("u16", n_parts),
               "split.tensors.count": Typed("i32", len(tensors))}  # fmt: skip
        path = folder / f"{name}-{part + 1:05}-of-{n_parts:05}.gguf"
        about = fields if part == 0 else {"general.architecture": fields["general.architecture"]}
        paths.append(HeaderWriter().write(path, about | own, tensors[part * share : (part + 1) * share]))
    return paths


def as_quantized(fields, tensors, quant):
    """The same model in another quant type: carryon.gguf.mix, which its own tests hold against llama-quantize."""
    made = requantized(shape_of([header_from(fields, tensors)]), quant)
    types = {one.name: GGML_TYPES[one.type_id].name for one in made.tensors}
    return fields | {"general.file_type": FILE_TYPES[quant]}, [(name, shape, types[name]) for name, shape, _ in tensors]


def header_from(fields, tensors) -> Header:
    """The header that the reader makes of them, without a file."""
    content = HeaderWriter().header(fields, tensors)
    header = header_of(content, len(content), "made.gguf")
    assert isinstance(header, Header)
    return replace(header, size_bytes=header.data_end_bytes)
