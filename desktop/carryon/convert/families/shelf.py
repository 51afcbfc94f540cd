"""A checkpoint's tensors, taken from it rule by rule or one by one until none is left."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from carryon.convert.checkpoint import Source
from carryon.convert.encode import Floats, to_floats
from carryon.convert.plan import Rule, Stored, Tensor, missing, names_of, refuse_leftovers, shaped, stored_by

BLOCK_VALUES = 1 << 20  # as many values as one block of a transposed matrix holds, 4 MB
Place = tuple[Path, int]  # where a tensor's source lies
Placed = tuple[Place, Tensor]
OfAKind = TypeVar("OfAKind", bound=Tensor)


class Shelf:
    """What is left of the tensors: at the end none may be left that nothing took."""

    def __init__(self, tensors: Mapping[str, Source]) -> None:
        self._tensors = dict(tensors)
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def names(self) -> list[str]:
        """All tensors, taken or not."""
        return list(self._tensors)

    def n_rows(self, name: str) -> int:
        """The length of a tensor's first axis, 0 without one."""
        source = self._tensors.get(name)
        return source.shape[0] if source and source.shape else 0

    def take(self, name: str, shape: tuple[int, ...]) -> Source:
        """Raises BadFile for a tensor that is not there or has another shape."""
        return shaped(self._take(name), shape)

    def leave(self, names: Iterable[str]) -> None:
        """Puts aside what is not to be converted."""
        for name in names:
            self._tensors.pop(name, None)

    def follow(
        self, rules: Sequence[Rule], sizes: Mapping[str, int], layers: Sequence[int] = ()
    ) -> Iterator[tuple[Place, Stored]]:
        """One tensor for each rule, or for each of the layers if the rule is about them.

        Raises BadFile for a tensor that is not there or has a shape that the config does not explain.
        """
        for rule in rules:
            for layer in layers if "{}" in rule.source else (0,):
                names = names_of(rule, layer, sizes)
                if names[0] in self._tensors or not rule.is_optional:
                    sources = [self._take(name) for name in names]
                    yield place(sources[0]), stored_by(rule, layer, sources, sizes)

    def finish(self) -> None:
        """Raises Unsupported if a tensor is left that nothing explains."""
        refuse_leftovers(set(self._tensors) - self._taken)

    def _take(self, name: str) -> Source:
        if name not in self._tensors:
            raise missing(name)
        self._taken.add(name)
        return self._tensors[name]


def place(source: Source) -> Place:
    """Where a source lies, to sort by."""
    return source.file, source.offset_bytes


def in_order(placed: Iterable[tuple[Place, OfAKind]]) -> list[OfAKind]:
    """The tensors so that their sources are read from front to back."""
    return [tensor for _, tensor in sorted(placed, key=lambda one: one[0])]


def transposed(source: Source, starts: Iterable[int], height: int, columns: slice) -> Iterator[Floats]:
    """Some columns of the matrices of `height` rows that begin at `starts`, each as a row of its own.

    Goes through a matrix once for each block of about a million values, so never a whole matrix is in memory.
    """
    wanted = range(*columns.indices(source.shape[-1]))
    step = max(1, BLOCK_VALUES // height)
    for start in starts:
        for first in range(0, len(wanted), step):
            some = wanted[first : first + step]
            rows = source.rows(slice(start, start + height))
            values = rows.view(f"<u{source.number.size_bytes}")[:, some.start : some.stop : some.step]
            yield to_floats(values.T.copy().view("u1"), source.number)
