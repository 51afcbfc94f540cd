"""Where each tensor of a model is loaded: with the input, with a layer, with the output, everywhere, or not at all.

Source: LLM_TENSOR_INFOS in llama-arch.cpp and llama_model_loader::create_tensor of llama.cpp 0c1e57098.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from carryon.gguf.tensors import TensorInfo

_BLOCK = re.compile(r"blk\.(\d{1,4})\.")
_INPUT = ("token_embd", "position_embd", "token_types", "per_layer_token_embd")
_OUTPUT = (
    "output", "output_norm", "output_hc_fn", "output_hc_base", "output_hc_scale", "output_hc_norm", "output_hc_down",
    "output_hc_up", "output_res_score", "cls", "cls.output", "cls.norm", "dense_2", "dense_3", "dec.output_norm",
    "enc.output_norm", "altup_proj", "altup_unembd_proj", "nextn.post_projection", "fc", "d2t", "markov_w1",
    "markov_w2", "conf_proj", "selector_predecessor", "selector_successor", "selector_hidden",
)  # fmt: skip
_EVERYWHERE = ("rope_freqs", "rope_factors_long", "rope_factors_short")  # TENSOR_DUPLICATED for each layer
_UNUSED = ("masked_embd_centroids", "masked_embd_ordering")  # GGML_OP_NONE
_LFM2_OUTPUT_NORM = "token_embd_norm"  # LLM_TENSOR_OUTPUT_NORM_LFM2: in LFM 2 this is the norm of the output


@dataclass
class Groups:
    """The tensors of a model by where they are loaded."""

    layers: tuple[list[TensorInfo], ...]
    input: list[TensorInfo] = field(default_factory=list)
    output: list[TensorInfo] = field(default_factory=list)
    everywhere: list[TensorInfo] = field(default_factory=list)
    unused: list[TensorInfo] = field(default_factory=list)


def grouped(tensors: Iterable[TensorInfo], architecture: str, n_layers: int, n_main: int) -> Groups:
    """Sorts them; blocks from `n_main` on predict further tokens and are not loaded (TENSOR_SKIP without load_mtp)."""
    groups = Groups(tuple([] for _ in range(n_layers)))
    for tensor in tensors:
        _group_of(tensor, groups, architecture, n_main).append(tensor)
    return groups


def _group_of(tensor: TensorInfo, groups: Groups, architecture: str, n_main: int) -> list[TensorInfo]:
    if block := _BLOCK.match(tensor.name):
        layer = int(block[1])
        return groups.layers[layer] if layer < n_main else groups.unused
    stem = tensor.name.removesuffix(".weight").removesuffix(".bias")
    if stem == _LFM2_OUTPUT_NORM and architecture.startswith("lfm2"):
        return groups.output
    for names, group in (
        (_INPUT, groups.input), (_OUTPUT, groups.output), (_EVERYWHERE, groups.everywhere), (_UNUSED, groups.unused)
    ):  # fmt: skip
        if stem in names:
            return group
    return groups.layers[0]  # per_layer_model_proj, token_embd_norm and their like are created for layer 0
