"""A graph as the engine builds it, reduced to what its memory depends on: which tensors come, and when they go."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

Value = int  # one tensor of a graph, by number


@dataclass(frozen=True)
class Width:
    """How large a tensor is: bytes for every token of a batch, every output row, every cell of a cache, always."""

    per_token: int = 0
    per_output: int = 0
    per_cell: int = 0
    per_mask: int = 0  # for every cell and token
    window: int = 0  # of the cache that the cells are meant of
    fixed: int = 0

    @cached_property
    def knows_cells(self) -> bool:
        """Whether it depends on the size of a cache."""
        return bool(self.per_cell or self.per_mask)


@dataclass(frozen=True)
class Move:
    """One tensor's place is taken, or given back."""

    slot: int
    width: Width
    is_taken: bool


@dataclass(frozen=True, eq=False)
class Program:
    """What the allocator sees of a layer. `given` lies in slots 0 ... before it, its output in slot `out` behind it."""

    given: tuple[Width, ...]
    moves: tuple[Move, ...]
    out: int

    @cached_property
    def knows_cells(self) -> bool:
        """Whether the size of a cache matters to it."""
        return any(one.width.knows_cells for one in self.moves)


@dataclass(frozen=True)
class _Step:
    made: Value | None
    sources: tuple[Value, ...]
    onto: tuple[Value, ...] = ()


class Flow:
    """Writes down operations in the order of the engine's graph. The given values are there from the start."""

    def __init__(self, given: Sequence[Width] = ()) -> None:
        self.widths = list(given)
        self._given = tuple(given)
        self._steps: list[_Step] = []
        self._split_start = 0

    def make(self, width: Width, *sources: Value, onto: Sequence[Value] = ()) -> Value:
        """A new tensor from others; `onto` are those that it may overwrite once nobody else needs them."""
        self.widths.append(width)
        made = len(self.widths) - 1
        self._steps.append(_Step(made, sources, tuple(onto)))
        return made

    def read(self, *values: Value) -> None:
        """They are used, and nothing is made: stored in the KV cache, or copied to another device."""
        self._steps += [_Step(None, (value,)) for value in values]

    def begin_split(self) -> None:
        """From here on the device works with a further copy from elsewhere (ggml_backend_sched_split_graph, pass 5)."""
        self._split_start = len(self._steps)

    def arrive(self, width: Width) -> Value:
        """A copy from elsewhere: all copies of a split are there from its start."""
        self.widths.append(width)
        made = len(self.widths) - 1
        self._steps.insert(self._split_start, _Step(made, ()))
        self._split_start += 1
        return made

    def program(self, out: Value) -> Program:
        """Works out what is written over what and when each tensor goes (ggml_gallocr_alloc_graph_impl)."""
        left = Counter(source for step in self._steps for source in step.sources)
        slots = {one: one for one in range(len(self._given))}
        moves: list[Move] = []
        for step in self._steps:
            if step.made is not None:
                over = next((one for one in step.onto if left[one] == 1 and one in slots), None)
                slots[step.made] = step.made if over is None else slots.pop(over)
                if over is None:
                    moves.append(Move(step.made, self.widths[step.made], is_taken=True))
            for source in step.sources:
                left[source] -= 1
                if not left[source] and source in slots:
                    moves.append(Move(slots.pop(source), self.widths[source], is_taken=False))
        return Program(self._given, tuple(moves), slots.get(out, 0))
