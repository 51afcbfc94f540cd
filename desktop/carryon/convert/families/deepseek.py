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
from carryon.convert.families.model import has_own_head, refuse_experts, refuse_unlike, text_model
from carryon.convert.families.rules import (
    BLOCK,
    EMBEDDING,
    LAYER,
    OUTPUT,
    OUTPUT_NORM,
    experts,
    gated,
    layer,
    norms,
)
from carryon.convert.families.shelf import Placed, Shelf, in_order, place, transposed
from carryon.convert.families.table import SILU
from carryon.convert.plan import Computed, FamilyPlan, Part, Stored
from carryon.convert.rope import Rope, Rotation, read_rope
from carryon.convert.write import Setting

V2, V3 = "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"
ARCHITECTURES = (V2, V3)
GGUF_NAME = "deepseek2"

LAYERS = (
    *norms(attn_norm="input_layernorm", ffn_norm="post_attention_layernorm"),
    layer("self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight", "compressed", "hidden"),
    layer("self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight", "kv_rank"),
    layer("self_attn.o_proj.weight", "attn_output.weight", "hidden", "answers"),
)
QUERIES = (layer("self_attn.q_proj.weight", "attn_q.weight", "queries", "hidden"),)
COMPRESSED_QUERIES = (
    layer("self_attn.q_a_proj.weight", "attn_q_a.weight", "q_rank", "hidden"),
    layer("self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight", "q_rank"),
    layer("self_attn.q_b_proj.weight", "attn_q_b.weight", "queries", "q_rank"),
)
SHARED = gated("mlp.shared_experts", "_shexp", "shared")
CORRECTION = (layer("mlp.gate.e_score_correction_bias", "exp_probs_b.bias", "experts"),)
# What llama.cpp's graph has built in; V3's scores are sigmoids, whether its config says so or not.
BUILT_IN = {"hidden_act": SILU, "moe_layer_freq": (1,), "rope_interleave": (True,), "attention_bias": (False,)}
LITE = (26, 27)  # llama.cpp expects plain queries with so many layers and compressed ones with any other number


def plan(checkpoint: Checkpoint) -> FamilyPlan:
    """What a DeepSeek becomes in GGUF. Raises BadFile or Unsupported saying what does not fit."""
    model = text_model(checkpoint)
    config, shelf = model.config, Shelf(model.tensors)
    is_v3 = any(str(name).startswith("DeepseekV3") for name in config.values.get("architectures", ()))
    refuse_unlike(config, {**BUILT_IN, "scoring_func": ("sigmoid" if is_v3 else "softmax",)}, "DeepSeek")
    sizes = _sizes(config, shelf, is_v3)
    refuse_experts(sizes, sizes["used"])
    _refuse_mistaken(sizes)
    rope, routing = _rope(config, sizes["rope"]), _routing(config, sizes, is_v3)
    has_head = has_own_head(model)
    if not has_head:
        shelf.leave([OUTPUT.source])
    _leave_lookahead(shelf, sizes["layers"])
    placed = shelf.follow((EMBEDDING, OUTPUT_NORM, *([OUTPUT] if has_head else [])), sizes)
    tensors = in_order([*placed, *_layers(shelf, sizes, is_v3)])
    shelf.finish()
    settings = {**_settings(config, sizes), **routing, **rope.settings}
    named = {f"{GGUF_NAME}.{key}": value for key, value in settings.items()}
    return FamilyPlan(GGUF_NAME, named, tensors, sizes["vocab"], rope.warnings)


def _layers(shelf: Shelf, sizes: Mapping[str, int], is_v3: bool) -> Iterator[Placed]:
    layers = range(sizes["layers"])
    dense, sparse = layers[: sizes["n_dense"]], layers[sizes["n_dense"] :]
    yield from shelf.follow((*LAYERS, *(COMPRESSED_QUERIES if sizes["q_rank"] else QUERIES)), sizes, layers)
    yield from shelf.follow(gated(), sizes, dense)
    yield from shelf.follow((*SHARED, *(CORRECTION if is_v3 else ())), sizes, sparse)
    separate, fused = experts()
    for number in sparse:
        is_fused = LAYER.format(number) + "mlp.experts.gate_up_proj" in shelf
        yield from shelf.follow(fused if is_fused else separate, sizes, [number])
    for number in layers:
        yield from _keys_and_values(shelf, number, sizes)


def _keys_and_values(shelf: Shelf, number: int, sizes: Mapping[str, int]) -> Iterator[Placed]:
    """Each head's rows are first its keys', then its values'; llama.cpp wants the keys' matrices transposed."""
    heads, keys, values, rank = sizes["heads"], sizes["nope"], sizes["value"], sizes["kv_rank"]
    name = LAYER.format(number) + "self_attn.kv_b_proj.weight"
    source = shelf.take(name, (heads * (keys + values), rank))
    starts = range(0, heads * (keys + values), keys + values)
    blocks = partial(transposed, source, starts, keys, slice(None))
    yield place(source), Computed(BLOCK.format(number) + "attn_k_b.weight", (heads, rank, keys), blocks)
    rows = np.arange(source.shape[0]).reshape(heads, keys + values)[:, keys:].reshape(-1)
    yield place(source), Stored(BLOCK.format(number) + "attn_v_b.weight", (heads, values, rank), (Part(source, rows),))


def _leave_lookahead(shelf: Shelf, n_layers: int) -> None:
    """Layers behind the last guess further tokens ahead; llama.cpp's DeepSeek has none. Each has an 'eh_proj'."""
    names = shelf.names()
    found = (re.fullmatch(r"model\.layers\.(\d{1,6})\.eh_proj\.weight", name) for name in names)
    ahead = {int(one[1]) for one in found if one and int(one[1]) >= n_layers}
    starts = tuple(LAYER.format(number) for number in ahead)
    shelf.leave(name for name in names if name.startswith(starts))


def _refuse_mistaken(sizes: Mapping[str, int]) -> None:
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
    """V3 takes the groups whose best two experts are best, as llama.cpp does; V2 those whose best one is."""
    method = config.text("topk_method", "noaux_tc" if is_v3 else "greedy")
    if method not in (("noaux_tc",) if is_v3 else ("greedy", "group_limited_greedy")):
        raise Unsupported(f"This model chooses its experts by the method {method!r}.", LOOK_FOR_GGUF)
    groups, used = config.whole("n_group", 8 if is_v3 else 1), config.whole("topk_group", 4 if is_v3 else 1)
    if method == "greedy" or (not is_v3 and used == groups):
        return {}
    if not is_v3:
        raise Unsupported("This model chooses groups of experts in another way than llama.cpp does.", LOOK_FOR_GGUF)
    in_group, rest = divmod(sizes["experts"], groups)
    if rest or used > groups or used * in_group < sizes["used"] or (groups > 1 and in_group < 2):
        raise BadFile(
            f"config.json takes {used} of {groups} groups of {sizes['experts']} experts, which cannot be.",
            DOWNLOAD_AGAIN,
        )
    return {"expert_group_count": groups, "expert_group_used_count": used}


def _rope(config: Config, head_size: int) -> Rope:
    """YaRN here has a strength for the positions (mscale) and one for all of the attention (mscale_all_dim).

    llama.cpp reads the second and takes the first for equal. Without it, and for other ways of stretching, it would
    scale the attention wrongly (llama-context.cpp and deepseek2.cpp, TAG_DEEPSEEK2_YARN_LOG_MUL_FIX).
    """
    key = "rope_parameters" if config.has("rope_parameters") else "rope_scaling"
    scaling = config.section(key)
    if scaling.text("rope_type", scaling.text("type", "default")) != "yarn":
        return read_rope(config, head_size, 10_000.0, Rotation(("default", "dynamic")))
    strength, of_all = scaling.number("mscale", 0.0), scaling.number("mscale_all_dim", 0.0)
    if not of_all or strength != of_all or scaling.has("attention_factor"):
        raise Unsupported(
            f"This model stretches its context by YaRN with mscale {strength:g} and mscale_all_dim {of_all:g}; "
            "llama.cpp's DeepSeek needs the same number for both.",
            LOOK_FOR_GGUF,
        )
    plain = {name: value for name, value in scaling.values.items() if name not in ("mscale", "mscale_all_dim")}
    rope = read_rope(Config({**config.values, key: plain}, config.file_name), head_size, 10_000.0)
    return Rope({**rope.settings, "rope.scaling.yarn_log_multiplier": 0.1 * of_all}, rope.tensors, rope.warnings)


def _sizes(config: Config, shelf: Shelf, is_v3: bool) -> dict[str, int]:
    heads, layers = config.whole("num_attention_heads"), config.whole("num_hidden_layers")
    nope, rope = config.whole("qk_nope_head_dim", 128), config.whole("qk_rope_head_dim", 64)
    value, kv_rank = config.whole("v_head_dim", 128), config.whole("kv_lora_rank", 512)
    expert, n_shared = config.whole("moe_intermediate_size"), config.whole("n_shared_experts")
    if rope % 2:
        raise BadFile(f"config.json rotates {rope} values of each head, which cannot be.", DOWNLOAD_AGAIN)
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
        "experts": config.whole("num_experts"),
        "used": config.whole("num_experts_per_tok", 8 if is_v3 else None),
        "expert": expert,
        "twice_expert": 2 * expert,
        "n_shared": n_shared,
        "shared": expert * n_shared,
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
