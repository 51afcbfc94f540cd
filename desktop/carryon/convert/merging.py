"""An adapter added into its base while the base is read: f32 from the base's rows to the type that is written.

A merged checkpoint is a checkpoint like any other; each changed tensor is computed a block of rows at a time. Rounding
to bfloat16 between would cost a fifth of a small change (measured: 0.17 of one of 1 % of the weights).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import BadFile
from carryon.convert.adapter import Adapter, Change, LowRank, Rewritten, Shift, SomeRows
from carryon.convert.checkpoint import Checkpoint, Number, Rows, Source
from carryon.convert.encode import Floats, to_floats

EMBEDDING, HEAD = "embed_tokens.weight", "lm_head.weight"
_ANOTHER_BASE = "Choose the model that the adapter was trained for."
_ALL = slice(None)


@dataclass(frozen=True)
class Merged:
    """A source with changes, one after the other; its numbers are float32. It may start from nothing."""

    name: str
    base: Source | None
    changes: tuple[Change, ...]
    shape: tuple[int, ...]
    file: Path
    offset_bytes: int
    number: Number = Number.F32

    @property
    def n_values(self) -> int:
        return math.prod(self.shape)

    def rows(self, which: Rows) -> NDArray[np.uint8]:
        is_rewritten = isinstance(self.changes[0], Rewritten)
        values = None if self.base is None or is_rewritten else floats_of(self.base, which)
        for change in self.changes:
            values = _changed(values, change, which)
        assert values is not None
        return np.ascontiguousarray(values).view(np.uint8)


@dataclass(frozen=True)
class Copy:
    """A source under another name."""

    name: str
    source: Source

    @property
    def number(self) -> Number:
        return self.source.number

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def n_values(self) -> int:
        return self.source.n_values

    @property
    def file(self) -> Path:
        return self.source.file

    @property
    def offset_bytes(self) -> int:
        return self.source.offset_bytes

    def rows(self, which: Rows) -> NDArray[np.uint8]:
        return self.source.rows(which)


def merged(base: Checkpoint, adapter: Adapter) -> Checkpoint:
    """The base with every change of the adapter. Raises BadFile for an adapter of another model, and Unsupported."""
    parted = _parted(base, adapter)
    tensors = dict(parted.tensors)
    for name, changes in adapter.changes.items():
        own = base_name(name, tensors)
        tensors[own] = _merged(own, tensors.get(own), changes)
    return replace(parted, tensors=tensors, vocabulary_folder=_vocabulary_folder(base, adapter, tensors))


def floats_of(source: Source, which: Rows = _ALL) -> Floats:
    """Some rows of a source as float32, (n_rows, n_columns)."""
    return to_floats(source.rows(which), source.number)


def low_rank_rows(change: LowRank, which: Rows = _ALL) -> Floats:
    """Those rows of scale * (b @ a), of an embedding of its transpose."""
    a, b = floats_of(change.a), floats_of(change.b, _ALL if change.is_embedding else which)
    scale = np.float32(change.scale)
    rows: Floats = scale * (np.ascontiguousarray(a[:, which].T) @ b.T) if change.is_embedding else scale * (b @ a)
    return rows


def _changed(values: Floats | None, change: Change, which: Rows) -> Floats:
    match change:
        case Rewritten(whole):
            return floats_of(whole, which)
        case Shift(learnt, scale):
            added = np.float32(scale) * floats_of(learnt, which)
            return added if values is None else values + added
        case SomeRows():
            assert values is not None
            return _with_rows(values, change, which)
        case LowRank():
            assert values is not None
            return _with_low_rank(values, change, which)


def _with_low_rank(values: Floats, change: LowRank, which: Rows) -> Floats:
    summed = values + low_rank_rows(change, which)
    if change.magnitude is None:
        return summed
    lengths = floats_of(change.magnitude).reshape(-1)[which]
    factors: Floats = lengths / np.linalg.norm(summed, axis=1)
    return summed * factors[:, None]


def _with_rows(values: Floats, change: SomeRows, which: Rows) -> Floats:
    """Whichever of the changed rows are among those asked for."""
    last = change.numbers[-1] + 1
    wanted = np.arange(*which.indices(which.stop or last)) if isinstance(which, slice) else which
    place = {number: row for row, number in enumerate(change.numbers)}
    hits = [(at, place[number]) for at, number in enumerate(wanted[: len(values)].tolist()) if number in place]
    if not hits:
        return values
    out = values.copy()
    out[[at for at, _ in hits]] = floats_of(change.values)[[row for _, row in hits]]
    return out


def _merged(name: str, base: Source | None, changes: tuple[Change, ...]) -> Source:
    first = changes[0]
    assert base is not None or isinstance(first, Rewritten | Shift)  # base_name saw to it
    lies = base or (first.whole if isinstance(first, Rewritten) else first.learnt)  # type: ignore[union-attr]
    shape = lies.shape
    for change in changes:
        shape = _shape_after(name, shape, change)
    return Merged(name, base, changes, shape, lies.file, lies.offset_bytes)


def _shape_after(name: str, shape: tuple[int, ...], change: Change) -> tuple[int, ...]:
    """A tensor that was saved whole may have more rows than the base: tokens were added."""
    match change:
        case Rewritten(whole) if whole.shape[1:] == shape[1:] and len(whole.shape) == len(shape):
            return whole.shape
        case Shift(learnt, _) if learnt.shape == shape:
            return shape
        case SomeRows(numbers, values) if values.shape[1:] == shape[1:] and numbers and numbers[-1] < shape[0]:
            return shape
        case LowRank() if change.shape == shape:
            return shape
    raise BadFile(f"The adapter does not fit this model: {name} has another shape there.", _ANOTHER_BASE)


def base_name(name: str, tensors: Mapping[str, Source]) -> str:
    """What the base calls this tensor; a model may be saved with or without an outer name. Raises BadFile."""
    if name in tensors:
        return name
    ends = [own for own in tensors if own.endswith(f".{name}") or name.endswith(f".{own}")]
    if len(ends) == 1:
        return ends[0]
    module = name.removesuffix(".bias")
    if module != name and f"{base_name(f'{module}.weight', tensors)}":  # most layers have no bias before
        return name
    raise BadFile(f"The adapter does not fit this model: it changes {name}, which is not there.", _ANOTHER_BASE)


def is_tied(base: Checkpoint) -> bool:
    """Whether the output matrix is the embedding again."""
    return base.config.flag("tie_word_embeddings", not any(_is(name, HEAD) for name in base.tensors))


def _parted(base: Checkpoint, adapter: Adapter) -> Checkpoint:
    """A tied model whose two uses of the embedding part company gets an output matrix of its own.

    As PEFT runs it: low-rank changes and whole copies touch the one they were made for; trained token rows touch both.
    """
    embedding = next((name for name in base.tensors if _is(name, EMBEDDING)), None)
    if embedding is None or not is_tied(base):
        return base
    parts = any(
        _is(name, HEAD) or (_is(name, EMBEDDING) and _is_for_one(some)) for name, some in adapter.changes.items()
    )
    if not parts:
        return base
    head = embedding.removesuffix(EMBEDDING).removesuffix("model.") + HEAD
    tensors = {**base.tensors, head: Copy(head, base.tensors[embedding])}
    config = replace(base.config, values={**base.config.values, "tie_word_embeddings": False})
    return replace(base, config=config, tensors=tensors)


def _is(name: str, which: str) -> bool:
    return name == which or name.endswith(f".{which}")


def _is_for_one(changes: tuple[Change, ...]) -> bool:
    return not all(isinstance(one, SomeRows) for one in changes)


def _vocabulary_folder(base: Checkpoint, adapter: Adapter, tensors: Mapping[str, Source]) -> Path | None:
    """Where rows were added the adapter brings the tokenizer that names them."""
    grown = any(_is(name, EMBEDDING) and one.shape != tensors[name].shape for name, one in base.tensors.items())
    if not grown or not (adapter.folder / "tokenizer.json").is_file():
        return base.vocabulary_folder
    return adapter.folder
