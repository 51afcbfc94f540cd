"""Llama 2 and 3, SmolLM2, Falcon3, Mistral 7B and Nemo: every model saved as LlamaForCausalLM or MistralForCausalLM."""

from collections.abc import Iterator, Mapping

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.checkpoint import Checkpoint, Source
from carryon.convert.config import Config
from carryon.convert.plan import FamilyPlan, Rule, match
from carryon.convert.rope import read_rope
from carryon.convert.write import Setting

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM")
GGUF_NAME = "llama"

LAYER = "model.layers.{}."
RULES = (
    Rule("model.embed_tokens.weight", "token_embd.weight", ("vocab", "hidden")),
    Rule("model.norm.weight", "output_norm.weight", ("hidden",)),
    Rule(LAYER + "input_layernorm.weight", "blk.{}.attn_norm.weight", ("hidden",)),
    Rule(LAYER + "self_attn.q_proj.weight", "blk.{}.attn_q.weight", ("queries", "hidden"), heads="heads"),
    Rule(LAYER + "self_attn.k_proj.weight", "blk.{}.attn_k.weight", ("keys", "hidden"), heads="kv_heads"),
    Rule(LAYER + "self_attn.v_proj.weight", "blk.{}.attn_v.weight", ("keys", "hidden")),
    Rule(LAYER + "self_attn.o_proj.weight", "blk.{}.attn_output.weight", ("hidden", "queries")),
    Rule(LAYER + "self_attn.q_proj.bias", "blk.{}.attn_q.bias", ("queries",), heads="heads", is_optional=True),
    Rule(LAYER + "self_attn.k_proj.bias", "blk.{}.attn_k.bias", ("keys",), heads="kv_heads", is_optional=True),
    Rule(LAYER + "self_attn.v_proj.bias", "blk.{}.attn_v.bias", ("keys",), is_optional=True),
    Rule(LAYER + "self_attn.o_proj.bias", "blk.{}.attn_output.bias", ("hidden",), is_optional=True),
    Rule(LAYER + "post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", ("hidden",)),
    Rule(LAYER + "mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", ("feed_forward", "hidden")),
    Rule(LAYER + "mlp.up_proj.weight", "blk.{}.ffn_up.weight", ("feed_forward", "hidden")),
    Rule(LAYER + "mlp.down_proj.weight", "blk.{}.ffn_down.weight", ("hidden", "feed_forward")),
    Rule(LAYER + "mlp.gate_proj.bias", "blk.{}.ffn_gate.bias", ("feed_forward",), is_optional=True),
    Rule(LAYER + "mlp.up_proj.bias", "blk.{}.ffn_up.bias", ("feed_forward",), is_optional=True),
    Rule(LAYER + "mlp.down_proj.bias", "blk.{}.ffn_down.bias", ("hidden",), is_optional=True),
)
HEAD = Rule("lm_head.weight", "output.weight", ("vocab", "hidden"))


def plan(checkpoint: Checkpoint) -> FamilyPlan:
    """What a Llama becomes in GGUF. Raises BadFile or Unsupported saying what does not fit."""
    config = checkpoint.config
    _refuse_what_llama_cannot(config)
    tensors, has_head = _own_head(config, _with_prefix(checkpoint.tensors))
    sizes = _sizes(config, tensors)
    rope = read_rope(config, sizes["head"], 10_000.0)
    n_layers = config.whole("num_hidden_layers", 32)
    stored = match((*RULES, HEAD) if has_head else RULES, tensors, sizes, n_layers)
    settings = {f"{GGUF_NAME}.{key}": value for key, value in {**_settings(config, sizes), **rope.settings}.items()}
    return FamilyPlan(
        GGUF_NAME, settings, (*rope.tensors, *stored), sizes["vocab"], (*rope.warnings, *_window_warning(config))
    )


def _refuse_what_llama_cannot(config: Config) -> None:
    activation = config.text("hidden_act", "silu")
    if activation not in ("silu", "swish"):
        raise Unsupported(
            f"This model uses the activation {activation!r}; llama.cpp's Llama always uses SiLU.", LOOK_FOR_GGUF
        )


def _with_prefix(tensors: Mapping[str, Source]) -> Mapping[str, Source]:
    """Some fine-tunes save the bare model, without the 'model.' in front of every name."""
    if "embed_tokens.weight" not in tensors:
        return tensors
    return {name if name.startswith("lm_head.") else f"model.{name}": tensor for name, tensor in tensors.items()}


def _own_head(config: Config, tensors: Mapping[str, Source]) -> tuple[Mapping[str, Source], bool]:
    """The tensors to convert, and whether the output matrix is one of them and not the embedding used twice.

    A tied model may still carry its lm_head; transformers ignores it, and so do we.
    """
    is_tied = config.flag("tie_word_embeddings", HEAD.source not in tensors)
    if not is_tied:
        return tensors, True
    return {name: tensor for name, tensor in tensors.items() if name != HEAD.source}, False


def _sizes(config: Config, tensors: Mapping[str, Source]) -> dict[str, int]:
    embedding = tensors.get("model.embed_tokens.weight")
    hidden, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    kv_heads = config.whole("num_key_value_heads", heads)
    head = config.whole("head_dim", max(1, hidden // heads))
    if heads % kv_heads or head % 2:
        raise BadFile(
            f"config.json gives {heads} heads of size {head} and {kv_heads} for keys, which cannot be.", DOWNLOAD_AGAIN
        )
    return {
        "vocab": embedding.shape[0] if embedding and embedding.shape else 0,  # the rows are the truth, not vocab_size
        "hidden": hidden,
        "feed_forward": config.whole("intermediate_size"),
        "heads": heads,
        "kv_heads": kv_heads,
        "head": head,
        "queries": heads * head,
        "keys": kv_heads * head,
    }


def _settings(config: Config, sizes: Mapping[str, int]) -> dict[str, Setting]:
    return {
        "block_count": config.whole("num_hidden_layers", 32),
        "context_length": config.whole("max_position_embeddings", 2048),
        "embedding_length": sizes["hidden"],
        "feed_forward_length": sizes["feed_forward"],
        "attention.head_count": sizes["heads"],
        "attention.head_count_kv": sizes["kv_heads"],
        "attention.key_length": sizes["head"],
        "attention.value_length": sizes["head"],
        "attention.layer_norm_rms_epsilon": config.number("rms_norm_eps", 1e-6),
        "vocab_size": sizes["vocab"],
    }


def _window_warning(config: Config) -> Iterator[str]:
    """llama.cpp's llama has no sliding window; within the window the two agree."""
    window = config.whole("sliding_window", 2**32 - 1, least=0)
    if window < config.whole("max_position_embeddings", 2048):
        yield f"This model looks back {window:,} tokens at most; llama.cpp looks at all, so long texts may differ."
