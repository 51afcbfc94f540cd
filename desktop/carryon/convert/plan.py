"""What a family hands to the writer: settings and tensors by their GGUF names, and the rules that make them."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN
from carryon.convert.checkpoint import Rows as Rows
from carryon.convert.checkpoint import Source as Source
from carryon.convert.encode import Bytes, Floats
from carryon.convert.forms import GgmlType
from carryon.convert.write import Setting

# Buffers that older checkpoints saved beside the weights; every engine computes them itself.
BUFFERS = re.compile(r"\.rotary_emb\.inv_freq$|\.attention\.(masked_)?bias$|(^|\.)position_ids$")


@dataclass(frozen=True)
class Part:
    """Some rows of a source in the order given, or all of them as they are."""

    source: Source
    rows: Rows | None = None

    @property
    def n_rows(self) -> int:
        whole = n_rows(self.source.shape)
        match self.rows:
            case None:
                return whole
            case slice() as some:
                return len(range(*some.indices(whole)))
            case order:
                return len(order)

    def read(self, start: int, stop: int) -> Bytes:
        """The part's own rows from `start` up to `stop`, (n_rows, row_bytes)."""
        match self.rows:
            case None:
                return self.source.rows(slice(start, stop))
            case slice() as some:
                chosen = range(*some.indices(n_rows(self.source.shape)))[start:stop]
                return self.source.rows(slice(chosen.start, chosen.stop, chosen.step))
            case order:
                return self.source.rows(order[start:stop])


@dataclass(frozen=True)
class Stored:
    """A tensor taken from the checkpoint: the rows of its parts, one part after the other.

    `plus_one`: each value is one more than the checkpoint says (Gemma stores its norms' distance from one).
    """

    name: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...]
    plus_one: bool = False


@dataclass(frozen=True)
class Made:
    """A small tensor computed from the config."""

    name: str
    values: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


@dataclass(frozen=True)
class Computed:
    """A tensor whose rows are no rows of the checkpoint, such as a transposed matrix: float32 blocks of whole rows."""

    name: str
    shape: tuple[int, ...]
    blocks: Callable[[], Iterator[Floats]]


@dataclass(frozen=True)
class Packed:
    """A tensor that stays in the packed form it has; the blocks are that form's bytes."""

    name: str
    shape: tuple[int, ...]
    form: GgmlType
    blocks: Callable[[], Iterator[Bytes]]


Tensor = Stored | Made | Computed | Packed


@dataclass(frozen=True)
class FamilyPlan:
    """Everything of a model but its tokenizer. `n_vocab` is the number of rows of its token embedding."""

    architecture: str
    settings: Mapping[str, Setting]
    tensors: Sequence[Tensor]
    n_vocab: int
    warnings: Sequence[str] = ()


class Half(IntEnum):
    """Which half of the rows of every matrix."""

    FIRST = 0
    SECOND = 1


@dataclass(frozen=True)
class Rule:
    """One tensor's name there and here ('{}' is the layer), its shape in named sizes, and whether it may be absent.

    `heads` names the number of heads whose rows are re-paired for llama.cpp's rotary embedding. '{expert}' in the
    name: the matrices of all experts, stacked. `half`: the source holds two tensors, the rows of one before the
    other's in each matrix.
    """

    source: str
    target: str
    shape: tuple[str, ...]
    heads: str = ""
    is_optional: bool = False
    half: Half | None = None


def n_rows(shape: tuple[int, ...]) -> int:
    """How many rows a tensor has; of a vector every value is one."""
    return math.prod(shape[:-1]) if len(shape) > 1 else math.prod(shape)


def paired_rows(n_rows: int, n_heads: int) -> NDArray[np.intp]:
    """The row order that turns rotation of halves (x[i], x[i + d/2]) into rotation of neighbours (x[2i], x[2i + 1])."""
    return np.arange(n_rows).reshape(n_heads, 2, n_rows // n_heads // 2).swapaxes(1, 2).reshape(n_rows)


def missing(name: str) -> BadFile:
    """What to say of a tensor that is not there."""
    return BadFile(f"The model's weights lack the tensor {name}.", "Download the model's .safetensors files again.")


def refuse_leftovers(names: set[str]) -> None:
    """Raises Unsupported naming one of the tensors that were not converted, unless all are buffers."""
    unknown = sorted(name for name in names if not BUFFERS.search(name))
    if unknown:
        raise Unsupported(
            f"The model has {len(unknown)} tensors that its architecture does not explain, such as {unknown[0]}.",
            "It may be a variant that llama.cpp cannot run; look for a GGUF copy of it.",
        )


def shaped(source: Source, shape: tuple[int, ...]) -> Source:
    """The source, if it has that shape. Raises BadFile."""
    if source.shape != shape:
        raise BadFile(
            f"{source.name} has the shape {_text(source.shape)} where config.json makes it {_text(shape)}.",
            DOWNLOAD_AGAIN,
        )
    return source


def names_of(rule: Rule, layer: int, sizes: Mapping[str, int]) -> list[str]:
    """The tensors a rule takes of a layer: one, or one for each expert."""
    experts = range(sizes["experts"]) if "{expert}" in rule.source else (0,)
    return [rule.source.format(layer, expert=expert) for expert in experts]


def stored_by(rule: Rule, layer: int, sources: Sequence[Source], sizes: Mapping[str, int]) -> Stored:
    """What a rule makes of its tensors. Raises BadFile for a shape that the config does not explain."""
    shape = tuple(sizes[size] for size in rule.shape)
    for source in sources:
        shaped(source, shape)
    target = rule.target.format(layer)
    if "{expert}" in rule.source:
        return Stored(target, (len(sources), *shape), tuple(Part(source) for source in sources))
    if rule.half is not None:
        return _halved(target, sources[0], rule.half)
    order = paired_rows(shape[0], sizes[rule.heads]) if rule.heads else None
    shape = shape[1:] if rule.shape[0] == "one" else shape  # a matrix of one row is a vector to llama.cpp
    return Stored(target, shape, (Part(sources[0], order),))


def _halved(target: str, source: Source, half: Half) -> Stored:
    *outer, height, width = source.shape
    starts = range(half * height // 2, math.prod(outer) * height, height)
    parts = tuple(Part(source, slice(start, start + height // 2)) for start in starts)
    return Stored(target, (*outer, height // 2, width), parts)


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "of a single number"
