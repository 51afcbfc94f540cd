"""What a family hands to the writer: settings and tensors by their GGUF names, made by matching tables of rules."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN
from carryon.convert.checkpoint import SourceTensor
from carryon.convert.write import Setting

# Buffers that older checkpoints saved beside the weights; every engine computes them itself.
BUFFERS = re.compile(r"\.rotary_emb\.inv_freq$|\.attention\.(masked_)?bias$|(^|\.)position_ids$")


@dataclass(frozen=True)
class Stored:
    """A tensor taken from the checkpoint, its rows perhaps in another order."""

    name: str
    source: SourceTensor
    row_order: NDArray[np.intp] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape


@dataclass(frozen=True)
class Made:
    """A small tensor computed from the config."""

    name: str
    values: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


@dataclass(frozen=True)
class FamilyPlan:
    """Everything of a model but its tokenizer. `n_vocab` is the number of rows of its token embedding."""

    architecture: str
    settings: Mapping[str, Setting]
    tensors: Sequence[Stored | Made]
    n_vocab: int
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Rule:
    """One tensor's name there and here ('{}' is the layer), its shape in named sizes, and whether it may be absent.

    `heads` names the number of heads whose rows are re-paired for llama.cpp's rotary embedding.
    """

    source: str
    target: str
    shape: tuple[str, ...]
    heads: str = ""
    is_optional: bool = False


def match(
    rules: Sequence[Rule], tensors: Mapping[str, SourceTensor], sizes: Mapping[str, int], n_layers: int
) -> list[Stored]:
    """Every tensor by its rule, in the order of the source's bytes.

    Raises BadFile for a missing tensor or a shape the config does not explain, and Unsupported for a tensor left over.
    """
    found = [
        _taken(rule, layer, tensors[name], sizes)
        for rule in rules
        for layer in (range(n_layers) if "{}" in rule.source else (0,))
        if (name := rule.source.format(layer)) in tensors or not _may_lack(rule, name)
    ]
    _refuse_leftovers(set(tensors) - {tensor.source.name for tensor in found})
    return sorted(found, key=lambda tensor: (tensor.source.file, tensor.source.offset_bytes))


def paired_rows(n_rows: int, n_heads: int) -> NDArray[np.intp]:
    """The row order that turns rotation of halves (x[i], x[i + d/2]) into rotation of neighbours (x[2i], x[2i + 1])."""
    return np.arange(n_rows).reshape(n_heads, 2, n_rows // n_heads // 2).swapaxes(1, 2).reshape(n_rows)


def _may_lack(rule: Rule, name: str) -> bool:
    if not rule.is_optional:
        raise BadFile(f"The model's weights lack the tensor {name}.", "Download the model's .safetensors files again.")
    return True


def _taken(rule: Rule, layer: int, source: SourceTensor, sizes: Mapping[str, int]) -> Stored:
    shape = tuple(sizes[size] for size in rule.shape)
    if source.shape != shape:
        raise BadFile(
            f"{source.name} has the shape {_text(source.shape)} where config.json makes it {_text(shape)}.",
            DOWNLOAD_AGAIN,
        )
    order = paired_rows(shape[0], sizes[rule.heads]) if rule.heads else None
    return Stored(rule.target.format(layer), source, order)


def _refuse_leftovers(names: set[str]) -> None:
    unknown = sorted(name for name in names if not BUFFERS.search(name))
    if unknown:
        raise Unsupported(
            f"The model has {len(unknown)} tensors that its architecture does not explain, such as {unknown[0]}.",
            "It may be a variant that llama.cpp cannot run; look for a GGUF copy of it.",
        )


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "of a single number"
