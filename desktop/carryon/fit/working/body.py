"""A model as a row of layer programs, and the peak of the buffer in which a part of them is laid out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, repeat
from typing import NamedTuple, TypeVar

from carryon.fit.placement import padded
from carryon.fit.remembered import per_family, per_shape
from carryon.fit.room import Backend
from carryon.fit.working.anatomy import Anatomy, anatomies, anatomies_with_staged_experts, kinds, staged_anatomies
from carryon.fit.working.arena import Arena
from carryon.fit.working.flow import Program, Width
from carryon.fit.working.graph import (
    after_gpu_layer,
    after_ram_layer,
    experts_alone,
    layer_program,
    layer_without_experts,
    stored_alone,
)
from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape

# After so many equal layers the buffer looks as it did one layer before, on every model that we know
# (tests/fit/test_fit_memory_compute.py lays some out in full).
_SETTLED = 3

Made = TypeVar("Made")


class Batch(NamedTuple):
    """How many tokens are computed together, how many of them are answered, and where tensors may start."""

    n_tokens: int
    n_outputs: int
    n_cells: tuple[tuple[int, int], ...]  # of each cache: how far it looks back, cells of all sequences
    alignment: int

    @property
    def without_cells(self) -> "Batch":
        """The same for what no cache matters to."""
        return Batch(self.n_tokens, self.n_outputs, (), self.alignment)

    def size_of(self, width: Width) -> int:
        size = width.per_token * self.n_tokens + width.per_output * self.n_outputs + width.fixed
        if width.knows_cells and self.n_cells:
            n_cells = dict(self.n_cells)[width.window]
            size += width.per_cell * n_cells + width.per_mask * n_cells // self.n_outputs * self.n_tokens
        return padded(size, self.alignment)


class Stretches:
    """One program for every layer, as runs of equal ones."""

    def __init__(self, programs: Iterable[Program | None]) -> None:
        runs = [list(run) for _, run in groupby(enumerate(programs), key=lambda one: id(one[1]))]
        self._runs = [(run[0][0], run[-1][0] + 1, run[0][1]) for run in runs]
        self._known: dict[tuple[int, int], tuple[Program, ...]] = {}

    def between(self, first: int, end: int) -> tuple[Program, ...]:
        """The programs of these layers, without the repetitions that change nothing any more."""
        known = self._known.get((first, end))
        if known is None:
            known = self._known[first, end] = tuple(self._programs(first, end))
        return known

    def _programs(self, first: int, end: int) -> Iterator[Program]:
        for start, stop, program in self._runs:
            n_layers = min(stop, end) - max(start, first)
            if program is not None and n_layers > 0:
                yield from repeat(program, min(n_layers, _SETTLED))


@dataclass(frozen=True)
class Body:
    """The programs of a shape's layers."""

    whole: Stretches
    without_experts: Stretches  # those of the layers without experts are whole
    experts: Stretches
    stored: Stretches
    after_ram: tuple[Program, ...]  # after_ram[i]: how a GPU goes on when the layers up to i are in RAM
    after_gpu: tuple[Program, ...]  # after_gpu[i]: layer i when the one before is on another GPU


@per_family
def body_of(shape: ModelShape, kv_type: KvType, backend: Backend) -> Body:
    """The programs of a shape on such a device."""
    layers = anatomies(shape, kv_type, backend)
    return Body(
        whole=Stretches(_each(shape, layers, layer_program)),
        without_experts=Stretches(_each(shape, layers, layer_without_experts)),
        experts=Stretches(_each(shape, layers, lambda one: experts_alone(one) if one.has_experts else None)),
        stored=Stretches(_each(shape, layers, stored_alone)),
        after_ram=tuple(_each(shape, layers, after_ram_layer)),
        after_gpu=tuple(_each(shape, layers, after_gpu_layer)),
    )


@per_shape
def staged_layers(shape: ModelShape, kv_type: KvType, backend: Backend) -> Stretches:
    """Every layer as a GPU computes it while the layer lies in RAM."""
    layers = staged_anatomies(shape, kv_type, backend)
    programs = list(_each(shape, layers, layer_program))
    windows = [layers[kind].window for kind in kinds(shape)]
    for window in set(windows):
        index = windows.index(window)
        first = replace(layers[kinds(shape)[index]], is_first_of_cache=True, is_first_staged=index == 0)
        programs[index] = layer_program(first)
    return Stretches(programs)


@per_shape
def layers_with_staged_experts(shape: ModelShape, kv_type: KvType, backend: Backend) -> Stretches:
    """Every layer as a GPU computes it while its experts lie in RAM."""
    return Stretches(_each(shape, anatomies_with_staged_experts(shape, kv_type, backend), layer_program))


def _each(shape: ModelShape, layers: dict[int, Anatomy], make: Callable[[Anatomy], Made]) -> list[Made]:
    made = {kind: make(anatomy) for kind, anatomy in layers.items()}
    return [made[kind] for kind in kinds(shape)]


class Work(NamedTuple):
    """What a device does, in order: what its first program is given and all inputs come before everything."""

    programs: tuple[Program, ...]
    inputs: tuple[int, ...]  # bytes, padded
    batch: Batch
    n_copies: int = 1  # of all that comes from elsewhere; more than one stay to the end
    tail_bytes: int = 0  # behind the last layer
    handed_over: tuple[Program, ...] = ()  # what is left to do when the inputs but the last have gone elsewhere


def peak_bytes(work: Work) -> int:
    """How large the buffer gets."""
    batch = work.batch if _know_cells(work.programs) else work.batch.without_cells
    if work.handed_over:
        return _peak_of_two(work._replace(batch=batch))
    inputs = sum(work.inputs)
    if work.n_copies > 1:
        inputs += sum(map(batch.size_of, work.programs[0].given))
    above = _peak_above(work.programs, work.tail_bytes, batch, bool(inputs), work.n_copies == 1)
    return inputs * work.n_copies + above


@lru_cache(maxsize=4096)
def _know_cells(programs: tuple[Program, ...]) -> bool:
    return any(one.knows_cells for one in programs)


@lru_cache(maxsize=4096)
def _peak_above(programs: tuple[Program, ...], tail_bytes: int, batch: Batch, has_inputs: bool, is_given: bool) -> int:
    """What is needed beside inputs that stay to the end, however large: they only move the rest up.

    That they lie between what is given and what follows still matters, so one unit stands for them.
    """
    arena = Arena()
    at = {slot: arena.take(batch.size_of(width)) for slot, width in enumerate(programs[0].given)} if is_given else {}
    stand_in = batch.alignment if has_inputs else 0
    arena.take(stand_in)
    _lay_out(arena, programs, at, batch)
    arena.take(tail_bytes)
    return arena.peak - stand_in


@lru_cache(maxsize=4096)
def _peak_of_two(work: Work) -> int:
    """Layers, then others for which the inputs, but for the last, have made room."""
    arena, batch = Arena(), work.batch
    inputs = [(arena.take(size), size) for size in work.inputs]
    _lay_out(arena, work.programs, {}, batch)
    for offset, size in inputs[:-1]:
        arena.give(offset, size)
    _lay_out(arena, work.handed_over, {}, batch)
    return arena.peak


def _lay_out(arena: Arena, programs: Sequence[Program], at: dict[int, int], batch: Batch) -> None:
    for program, run in groupby(programs):
        moves = _moves(program, batch if program.knows_cells else batch.without_cells)
        for _ in run:
            before = [block[:] for block in arena.blocks], at.copy()
            _move(arena, moves, at)
            at = {0: at[program.out]} if program.out in at else {}
            if (arena.blocks, at) == before:  # and so would the next one leave it
                break


def _move(arena: Arena, moves: Iterable[tuple[int, int]], at: dict[int, int]) -> None:
    take, give = arena.take, arena.give
    for slot, size in moves:
        if size > 0:
            at[slot] = take(size)
        elif slot in at:
            give(at.pop(slot), -size)


@lru_cache(maxsize=4096)
def _moves(program: Program, batch: Batch) -> tuple[tuple[int, int], ...]:
    """Slot and size, negative where it is given back."""
    if not batch.n_cells:
        return tuple((one.slot, batch.size_of(one.width) * (1 if one.is_taken else -1)) for one in program.moves)
    plain = zip(program.moves, _moves(program, batch.without_cells), strict=True)
    return tuple(
        (one.slot, batch.size_of(one.width) * (1 if one.is_taken else -1)) if one.width.knows_cells else known
        for one, known in plain
    )
