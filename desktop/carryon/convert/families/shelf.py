"""A checkpoint's tensors, taken one by one: for families with transforms of their own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from carryon.convert.checkpoint import Source
from carryon.convert.encode import Floats, to_floats
from carryon.convert.plan import Part, Rule, Stored, Tensor, missing, refuse_leftovers, shaped

BLOCK_VALUES = 1 << 20  # as many values as one block of a transposed matrix holds, 4 MB
Place = tuple[Path, int]  # where a tensor's source lies
Placed = tuple[Place, Tensor]


class Shelf:
    """What is left of the tensors. Each is taken once, and at the end none may be left."""

    def __init__(self, tensors: Mapping[str, Source]) -> None:
        self._left = dict(tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def names(self) -> list[str]:
        """The tensors not taken yet."""
        return list(self._left)

    def n_rows(self, name: str) -> int:
        """The length of a tensor's first axis, 0 without one."""
        source = self._left.get(name)
        return source.shape[0] if source and source.shape else 0

    def take(self, name: str, shape: tuple[int, ...]) -> Source:
        """Raises BadFile for a tensor that is not there or has another shape."""
        if name not in self._left:
            raise missing(name)
        return shaped(self._left.pop(name), shape)

    def leave(self, names: Iterable[str]) -> None:
        """Puts aside what is not to be converted."""
        for name in names:
            self._left.pop(name, None)

    def follow(self, rules: Sequence[Rule], sizes: Mapping[str, int], layers: Iterable[int] = (0,)) -> Iterator[Placed]:
        """One tensor for each rule and layer, taken as it is."""
        for layer in layers:
            for rule in rules:
                name, shape = rule.source.format(layer), tuple(sizes[size] for size in rule.shape)
                if name in self._left or not rule.is_optional:
                    source = self.take(name, shape)
                    yield place(source), Stored(rule.target.format(layer), shape, (Part(source),))

    def stack(self, target: str, names: Iterable[str], shape: tuple[int, int]) -> Placed:
        """Matrices of one shape, one behind the other."""
        parts = tuple(Part(self.take(name, shape)) for name in names)
        return place(parts[0].source), Stored(target, (len(parts), *shape), parts)

    def finish(self) -> None:
        """Raises Unsupported if a tensor is left that nothing explains."""
        refuse_leftovers(set(self._left))


def place(source: Source) -> Place:
    """Where a source lies, to sort by."""
    return source.file, source.offset_bytes


def in_order(placed: Iterable[Placed]) -> list[Tensor]:
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
