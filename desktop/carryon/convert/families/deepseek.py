"""DeepSeek-V2 and V3 (R1 too): compressed keys and values, taken apart for each head; many experts and shared ones.

The names and formulas: transformers/models/deepseek_v2 and deepseek_v3. What llama.cpp reads: src/models/deepseek2.cpp.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
from gguf.constants import ExpertGatingFuncType

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.checkpoint import Checkpoint
from carryon.convert.config import Config
from carryon.convert.families.shelf import Placed, Shelf, in_order, place, transposed
from carryon.convert.plan import Computed, FamilyPlan, Part, Rule, Stored
from carryon.convert.rope import Rope, read_rope
from carryon.convert.write import Setting

V2, V3 = "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"
ARCHITECTURES = (V2, V3)
GGUF_NAME = "deepseek2"

LAYER = "model.layers.{}."
HEAD = Rule("lm_head.weight", "output.weight", ("vocab", "hidden"))
WHOLE = (
    Rule("model.embed_tokens.weight", "token_embd.weight", ("vocab", "hidden")),
    Rule("model.norm.weight", "output_norm.weight", ("hidden",)),
)
LAYERS = (
    Rule(LAYER + "input_layernorm.weight", "blk.{}.attn_norm.weight", ("hidden",)),
    Rule(LAYER + "self_attn.kv_a_proj_with_mqa.weight", "blk.{}.attn_kv_a_mqa.weight", ("compressed", "hidden")),
    Rule(LAYER + "self_attn.kv_a_layernorm.weight", "blk.{}.attn_kv_a_norm.weight", ("kv_rank",)),
    Rule(LAYER + "self_attn.o_proj.weight", "blk.{}.attn_output.weight", ("hidden", "answers")),
    Rule(LAYER + "post_attention_layernorm.weight", "blk.{}.ffn_norm.weight", ("hidden",)),
)
QUERIES = (Rule(LAYER + "self_attn.q_proj.weight", "blk.{}.attn_q.weight", ("queries", "hidden")),)
COMPRESSED_QUERIES = (
    Rule(LAYER + "self_attn.q_a_proj.weight", "blk.{}.attn_q_a.weight", ("q_rank", "hidden")),
    Rule(LAYER + "self_attn.q_a_layernorm.weight", "blk.{}.attn_q_a_norm.weight", ("q_rank",)),
    Rule(LAYER + "self_attn.q_b_proj.weight", "blk.{}.attn_q_b.weight", ("queries", "q_rank")),
)
DENSE = (
    Rule(LAYER + "mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", ("feed_forward", "hidden")),
    Rule(LAYER + "mlp.up_proj.weight", "blk.{}.ffn_up.weight", ("feed_forward", "hidden")),
    Rule(LAYER + "mlp.down_proj.weight", "blk.{}.ffn_down.weight", ("hidden", "feed_forward")),
)
EXPERTS = (
    Rule(LAYER + "mlp.gate.weight", "blk.{}.ffn_gate_inp.weight", ("experts", "hidden")),
    Rule(LAYER + "mlp.shared_experts.gate_proj.weight", "blk.{}.ffn_gate_shexp.weight", ("shared", "hidden")),
    Rule(LAYER + "mlp.shared_experts.up_proj.weight", "blk.{}.ffn_up_shexp.weight", ("shared", "hidden")),
    Rule(LAYER + "mlp.shared_experts.down_proj.weight", "blk.{}.ffn_down_shexp.weight", ("hidden", "shared")),
)
CORRECTION = (Rule(LAYER + "mlp.gate.e_score_correction_bias", "blk.{}.exp_probs_b.bias", ("experts",)),)
LITE = (26, 27)  # llama.cpp expects plain queries with so many layers and compressed ones with any other number
GROUPS_BY_BEST = (
    "This model chooses groups of experts by the best of each; llama.cpp chooses by the best two, "
    "so some tokens go to other experts."
)


def plan(checkpoint: Checkpoint) -> FamilyPlan:
    """What a DeepSeek becomes in GGUF. Raises BadFile or Unsupported saying what does not fit."""
    config, shelf = checkpoint.config, Shelf(checkpoint.tensors)
    is_v3 = any(str(name).startswith("DeepseekV3") for name in config.values.get("architectures", ()))
    sizes = _sizes(config, shelf, is_v3)
    _refuse_what_cannot_be(config, sizes, is_v3)
    rope, routing = _rope(config, sizes["rope"]), _routing(config, sizes, is_v3)
    if config.flag("tie_word_embeddings", HEAD.source not in shelf):
        shelf.leave([HEAD.source])
    _leave_lookahead(shelf, sizes["layers"])
    tensors = in_order(_tensors(shelf, sizes, is_v3))
    shelf.finish()
    settings = {**_settings(config, sizes), **routing, **rope.settings}
    by_groups = (GROUPS_BY_BEST,) if not is_v3 and routing.get("expert_group_count", 1) != 1 else ()
    named = {f"{GGUF_NAME}.{key}": value for key, value in settings.items()}
    return FamilyPlan(GGUF_NAME, named, tensors, sizes["vocab"], (*rope.warnings, *by_groups))


def _tensors(shelf: Shelf, sizes: Mapping[str, int], is_v3: bool) -> Iterator[Placed]:
    layers = range(sizes["layers"])
    dense, sparse = layers[: sizes["n_dense"]], layers[sizes["n_dense"] :]
    yield from shelf.follow((*WHOLE, HEAD) if HEAD.source in shelf else WHOLE, sizes)
    yield from shelf.follow((*LAYERS, *(COMPRESSED_QUERIES if sizes["q_rank"] else QUERIES)), sizes, layers)
    yield from shelf.follow(DENSE, sizes, dense)
    yield from shelf.follow((*EXPERTS, *(CORRECTION if is_v3 else ())), sizes, sparse)
    for layer in layers:
        yield from _keys_and_values(shelf, layer, sizes)
    for layer in sparse:
        yield from _stacked(shelf, layer, sizes)


def _keys_and_values(shelf: Shelf, layer: int, sizes: Mapping[str, int]) -> Iterator[Placed]:
    """Each head's rows are first its keys', then its values'; llama.cpp wants the keys' matrices transposed."""
    heads, keys, values, rank = sizes["heads"], sizes["nope"], sizes["value"], sizes["kv_rank"]
    name = LAYER.format(layer) + "self_attn.kv_b_proj.weight"
    source = shelf.take(name, (heads * (keys + values), rank))
    starts = range(0, heads * (keys + values), keys + values)
    blocks = partial(transposed, source, starts, keys, slice(None))
    yield place(source), Computed(f"blk.{layer}.attn_k_b.weight", (heads, rank, keys), blocks)
    rows = np.arange(source.shape[0]).reshape(heads, keys + values)[:, keys:].reshape(-1)
    yield place(source), Stored(f"blk.{layer}.attn_v_b.weight", (heads, values, rank), (Part(source, rows),))


def _stacked(shelf: Shelf, layer: int, sizes: Mapping[str, int]) -> Iterator[Placed]:
    hidden, width = sizes["hidden"], sizes["expert"]
    for kind, shape in (("gate", (width, hidden)), ("up", (width, hidden)), ("down", (hidden, width))):
        experts = (
            f"{LAYER.format(layer)}mlp.experts.{expert}.{kind}_proj.weight" for expert in range(sizes["experts"])
        )
        yield shelf.stack(f"blk.{layer}.ffn_{kind}_exps.weight", experts, shape)


def _leave_lookahead(shelf: Shelf, n_layers: int) -> None:
    """Layers behind the last guess further tokens ahead; llama.cpp's DeepSeek has none. Each has an 'eh_proj'."""
    names = shelf.names()
    found = (re.fullmatch(r"model\.layers\.(\d{1,6})\.eh_proj\.weight", name) for name in names)
    ahead = {int(one[1]) for one in found if one and int(one[1]) >= n_layers}
    starts = tuple(LAYER.format(layer) for layer in ahead)
    shelf.leave(name for name in names if name.startswith(starts))


def _refuse_what_cannot_be(config: Config, sizes: Mapping[str, int], is_v3: bool) -> None:
    said = {
        "hidden_act": "silu",
        "moe_layer_freq": 1,
        "rope_interleave": True,
        "scoring_func": "sigmoid" if is_v3 else "softmax",
        "attention_bias": False,
    }
    for key, usual in said.items():
        if config.values.get(key) not in (None, usual):
            raise Unsupported(f"This model has its own {key}, which llama.cpp's DeepSeek cannot.", LOOK_FOR_GGUF)
    is_lite = sizes["layers"] in LITE or (sizes["layers"] == 48 and sizes["vocab"] == 128_256)
    if is_lite is bool(sizes["q_rank"]):
        raise Unsupported(
            f"llama.cpp mistakes a DeepSeek of {sizes['layers']} layers with "
            f"{'compressed' if sizes['q_rank'] else 'plain'} queries for another variant.",
            LOOK_FOR_GGUF,
        )


def _routing(config: Config, sizes: Mapping[str, int], is_v3: bool) -> dict[str, Setting]:
    """How experts are chosen and weighted. V3's scores are sigmoids, whether its config says so or not."""
    gating = ExpertGatingFuncType.SIGMOID if is_v3 else ExpertGatingFuncType.SOFTMAX
    settings: dict[str, Setting] = {
        "expert_gating_func": int(gating),
        "expert_weights_scale": config.number("routed_scaling_factor", 2.5 if is_v3 else 1.0),
    }
    if config.flag("norm_topk_prob", is_v3):
        if not is_v3:
            raise Unsupported("This DeepSeek-V2 evens out its experts' weights, which is V3's way.", LOOK_FOR_GGUF)
        settings["expert_weights_norm"] = True
    return settings | _groups(config, sizes, is_v3)


def _groups(config: Config, sizes: Mapping[str, int], is_v3: bool) -> dict[str, Setting]:
    method = config.text("topk_method", "noaux_tc" if is_v3 else "greedy")
    if method not in (("noaux_tc",) if is_v3 else ("greedy", "group_limited_greedy")):
        raise Unsupported(f"This model chooses its experts by the method {method!r}.", LOOK_FOR_GGUF)
    if method == "greedy":
        return {}
    groups, used = config.whole("n_group", 8 if is_v3 else 1), config.whole("topk_group", 4 if is_v3 else 1)
    if sizes["experts"] % groups or used > groups or (groups > 1 and sizes["experts"] // groups < 2):
        raise BadFile(
            f"config.json takes {used} of {groups} groups of {sizes['experts']} experts, which cannot be.",
            DOWNLOAD_AGAIN,
        )
    if used * (sizes["experts"] // groups) < sizes["used"]:
        raise BadFile(f"config.json uses {sizes['used']} experts, more than its groups hold.", DOWNLOAD_AGAIN)
    return {"expert_group_count": groups, "expert_group_used_count": used}


def _rope(config: Config, head_size: int) -> Rope:
    """YaRN here has its own strength (mscale), once for the positions and once for all of the attention.

    llama.cpp knows the second and takes the first for equal (llama-context.cpp, TAG_DEEPSEEK2_YARN_LOG_MUL_FIX).
    """
    key = "rope_parameters" if config.has("rope_parameters") else "rope_scaling"
    scaling = config.section(key)
    strength, of_all = scaling.number("mscale", 0.0), scaling.number("mscale_all_dim", 0.0)
    if of_all and strength != of_all:
        raise Unsupported(
            f"This model stretches its context by YaRN with mscale {strength:g} and mscale_all_dim {of_all:g}; "
            "llama.cpp takes them for equal.",
            LOOK_FOR_GGUF,
        )
    plain = {name: value for name, value in scaling.values.items() if name not in ("mscale", "mscale_all_dim")}
    # a config without scaling has no section to replace
    plainer = Config({**config.values, key: plain}, config.file_name) if scaling.values else config
    rope = read_rope(plainer, head_size, 10_000.0)
    if not of_all or rope.settings.get("rope.scaling.type") != "yarn":
        return rope
    return Rope({**rope.settings, "rope.scaling.yarn_log_multiplier": 0.1 * of_all}, rope.tensors, rope.warnings)


def _sizes(config: Config, shelf: Shelf, is_v3: bool) -> dict[str, int]:
    heads, layers = config.whole("num_attention_heads"), config.whole("num_hidden_layers")
    nope, rope = config.whole("qk_nope_head_dim", 128), config.whole("qk_rope_head_dim", 64)
    value, kv_rank = config.whole("v_head_dim", 128), config.whole("kv_lora_rank", 512)
    experts, used = config.whole("n_routed_experts"), config.whole("num_experts_per_tok", 8 if is_v3 else None)
    expert = config.whole("moe_intermediate_size")
    if used > experts or rope % 2:
        raise BadFile(
            f"config.json uses {used} experts of {experts} and rotates {rope} values, which cannot be.", DOWNLOAD_AGAIN
        )
    return {
        "vocab": shelf.n_rows("model.embed_tokens.weight"),
        "layers": layers,
        "n_dense": min(layers, config.whole("first_k_dense_replace", 3 if is_v3 else 0, least=0)),
        "hidden": config.whole("hidden_size"),
        "feed_forward": config.whole("intermediate_size"),
        "heads": heads,
        "nope": nope,
        "rope": rope,
        "value": value,
        "q_rank": config.whole("q_lora_rank", 0, least=0),
        "kv_rank": kv_rank,
        "compressed": kv_rank + rope,
        "queries": heads * (nope + rope),
        "answers": heads * value,
        "experts": experts,
        "used": used,
        "expert": expert,
        "n_shared": config.whole("n_shared_experts"),
        "shared": expert * config.whole("n_shared_experts"),
    }


def _settings(config: Config, sizes: Mapping[str, int]) -> dict[str, Setting]:
    """Compressed, all keys and values are one wide head; the true sizes of a head have '_mla' in their names."""
    settings: dict[str, Setting] = {
        "vocab_size": sizes["vocab"],
        "block_count": sizes["layers"],
        "context_length": config.whole("max_position_embeddings", 4096),
        "embedding_length": sizes["hidden"],
        "feed_forward_length": sizes["feed_forward"],
        "leading_dense_block_count": sizes["n_dense"],
        "attention.head_count": sizes["heads"],
        "attention.head_count_kv": 1,
        "attention.layer_norm_rms_epsilon": config.number("rms_norm_eps", 1e-6),
        "attention.kv_lora_rank": sizes["kv_rank"],
        "attention.key_length": sizes["compressed"],
        "attention.value_length": sizes["kv_rank"],
        "attention.key_length_mla": sizes["nope"] + sizes["rope"],
        "attention.value_length_mla": sizes["value"],
        "expert_count": sizes["experts"],
        "expert_used_count": sizes["used"],
        "expert_shared_count": sizes["n_shared"],
        "expert_feed_forward_length": sizes["expert"],
    }
    return settings | ({"attention.q_lora_rank": sizes["q_rank"]} if sizes["q_rank"] else {})
