"""What a tensor is to llama-quantize, told by its name: its role in a recipe, and whether it is touched at all."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache


class Role(Enum):
    """What a tensor is to a recipe (llama.cpp: tensor_category)."""

    TOKEN_EMBEDDING = auto()
    OUTPUT = auto()
    VALUE = auto()  # also fused q, k, v and MLA's kv_b: all that holds values
    KEY = auto()
    QUERY = auto()
    ATTENTION_OUTPUT = auto()
    UP = auto()
    GATE = auto()
    DOWN = auto()
    OTHER = auto()


@dataclass(frozen=True)
class Kind:
    """What a name tells. `is_kept`: never quantized; `has_eight_bits`: never in fewer."""

    role: Role
    is_kept: bool
    has_eight_bits: bool = False


# Tensors that stay as they are (llama-quant.cpp: tensor_allows_quantization); parts of names.
_KEPT = (
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj",
    "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight",
    "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight",
    "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight", "time_mix_a0.weight", "time_mix_a1.weight",
    "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight", "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight", "attn_rel_b.weight", ".position_embd", "sam.pos_embd",
    "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook", "mm.a.code_embd",
)  # fmt: skip
_KEPT_WHOLE = ("position_embd.weight", "token_types.weight")
_KEPT_GLM5_NEXT = (
    "hc_", "indexer.attn_q_b", "indexer.attn_k", "indexer.proj", "indexer_compressor_gate", "indexer_compressor_ape",
    "ssm_f_a.weight", "ssm_f_b.weight", "ssm_g_a.weight", "ssm_g_b.weight", "ssm_beta.weight",
    "attn_kv_a_mqa.weight", "attn_k_b.weight", "attn_v_b.weight",
)  # fmt: skip
_EIGHT_BITS_GLM5_NEXT = ("attn_q_a", "attn_q_b", "nextn.eh_proj")
# In the order of tensor_get_category: the first part that a name contains decides.
_ROLES = (
    ("attn_qkv.weight", Role.VALUE), ("attn_kv_b.weight", Role.VALUE), ("attn_v.weight", Role.VALUE),
    ("attn_k.weight", Role.KEY), ("attn_q.weight", Role.QUERY), ("attn_output.weight", Role.ATTENTION_OUTPUT),
    ("ffn_up", Role.UP), ("ffn_gate", Role.GATE), ("ffn_down", Role.DOWN),
)  # fmt: skip
_WHOLE_NAMES = {
    "output.weight": Role.OUTPUT,
    "token_embd.weight": Role.TOKEN_EMBEDDING,
    "per_layer_token_embd.weight": Role.TOKEN_EMBEDDING,
}


def kind_of(name: str, architecture: str) -> Kind:
    """What a tensor of this name is. Its layer's number plays no part, so a model has some twenty kinds."""
    kind = _kind_of(name[name.index(".", 4) :] if name.startswith("blk.") else name)
    return _for_glm5_next(name, kind) if architecture == "glm5-next" else kind


def layer_of(name: str) -> int:
    """The number of a tensor's layer, -1 for those of no layer."""
    digits = name[4 : name.find(".", 4)] if name.startswith("blk.") else ""
    return int(digits) if digits.isdecimal() else -1


def n_dimensions(shape: tuple[int, ...]) -> int:
    """As ggml counts them: trailing ones do not count."""
    return max((at + 1 for at, extent in enumerate(shape) if extent > 1), default=1)


@lru_cache(maxsize=4096)
def _kind_of(name: str) -> Kind:
    role = _WHOLE_NAMES.get(name) or next((role for part, role in _ROLES if part in name), Role.OTHER)
    is_kept = not name.endswith("weight") or name in _KEPT_WHOLE or any(part in name for part in _KEPT)
    return Kind(role, is_kept)


def _for_glm5_next(name: str, kind: Kind) -> Kind:
    is_kept = kind.is_kept or any(part in name for part in _KEPT_GLM5_NEXT)
    return Kind(kind.role, is_kept, any(part in name for part in _EIGHT_BITS_GLM5_NEXT))
