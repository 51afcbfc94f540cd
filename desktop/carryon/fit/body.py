"""A model as a row of layer programs, and the peak of the buffer in which a part of them is laid out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

from carryon.fit.arena import Arena
from carryon.fit.flow import Program, Width
from carryon.fit.graph import (
    Anatomy,
    after_gpu_layer,
    after_ram_layer,
    experts_alone,
    layer_program,
    layer_without_experts,
    matrices_of,
)
from carryon.fit.placement import padded
from carryon.fit.remembered import per_shape
from carryon.gguf.shape import LayerShape, ModelShape

# After so many equal layers the buffer looks as it did one layer before, on every model that we know
# (tests/fit/test_fit_memory_compute.py lays some out in full).
_SETTLED = 6
ROTATED = 64  # llama-kv-cache.cpp: heads of a multiple of it are rotated before they are quantized


@dataclass(frozen=True)
class Batch:
    """How many tokens are computed together, how many of them are answered, and where tensors may start."""

    n_tokens: int
    n_outputs: int
    alignment: int

    def size_of(self, width: Width) -> int:
        return padded(width.size_bytes(self.n_tokens, self.n_outputs), self.alignment)


class Stretches:
    """One kind of program for every layer; most models have but one to three different ones."""

    def __init__(self, programs: Sequence[Program | None]) -> None:
        numbered = groupby(enumerate(programs), key=lambda one: id(one[1]))
        runs = [list(group) for _, group in numbered]
        self._runs = [(run[0][0], run[-1][0] + 1, run[0][1]) for run in runs]

    def between(self, first: int, end: int) -> list[Program]:
        """The programs of these layers, without the repetitions that change nothing any more."""
        found: list[Program] = []
        for start, stop, program in self._runs:
            n_layers = min(stop, end) - max(start, first)
            if program is not None and n_layers > 0:
                found += [program] * min(n_layers, _SETTLED)
        return found


@dataclass(frozen=True)
class Body:
    """The programs of a shape's layers."""

    whole: Stretches
    without_experts: Stretches  # those of the layers without experts are whole
    experts: Stretches
    after_ram: tuple[Program, ...]  # after_ram[i]: how a GPU goes on when the layers up to i are in RAM
    after_gpu: tuple[Program, ...]  # after_gpu[i]: layer i when the one before is on another GPU


@per_shape
def body_of(shape: ModelShape, is_quantized: bool) -> Body:
    """The programs of a shape; `is_quantized`: the type of its KV cache."""
    layers = _anatomies(shape, is_quantized)
    have_experts = [any(name == "ffn_gate_inp" for name, _, _ in layer.matrices) for layer in layers]

    def each(with_experts: Callable[[Anatomy], Program], without: Callable[[Anatomy], Program | None]) -> Stretches:
        return Stretches(
            [(with_experts if has else without)(one) for one, has in zip(layers, have_experts, strict=True)]
        )

    return Body(
        whole=each(layer_program, layer_program),
        without_experts=each(layer_without_experts, layer_program),
        experts=each(experts_alone, lambda _: None),
        after_ram=tuple(map(after_ram_layer, layers)),
        after_gpu=tuple(map(after_gpu_layer, layers)),
    )


@dataclass(frozen=True)
class Work:
    """What a device does, in order: what its first program is given and all inputs come before everything."""

    programs: tuple[Program, ...]
    inputs: tuple[int, ...]
    batch: Batch
    n_copies: int = 1  # of all that comes from elsewhere; more than one stay to the end
    tail: Width = Width()  # behind the last layer
    handed_over: tuple[Program, ...] = ()  # what is left to do when the inputs but the last have gone elsewhere


@lru_cache(maxsize=4096)
def peak_bytes(work: Work) -> int:
    """How large the buffer gets."""
    arena, batch = Arena(), work.batch
    at = {slot: arena.take(batch.size_of(width)) for slot, width in enumerate(work.programs[0].given)}
    if work.n_copies > 1:
        at = {}
    inputs = [(arena.take(size), size) for size in (padded(one, batch.alignment) for one in work.inputs)]
    for _ in range(work.n_copies - 1):
        for size in (*map(batch.size_of, work.programs[0].given), *(size for _, size in inputs)):
            arena.take(size)
    _lay_out(arena, work.programs, at, batch)
    if work.handed_over:
        for offset, size in inputs[:-1]:
            arena.give(offset, size)
        _lay_out(arena, work.handed_over, {}, batch)
    arena.take(batch.size_of(work.tail))
    return arena.peak


def _lay_out(arena: Arena, programs: Sequence[Program], at: dict[int, int], batch: Batch) -> None:
    for program in programs:
        for slot, size in _moves(program, batch):
            if size > 0:
                at[slot] = arena.take(size)
            elif slot in at:
                arena.give(at.pop(slot), -size)
        at = {0: at[program.out]} if program.out in at else {}


@lru_cache(maxsize=4096)
def _moves(program: Program, batch: Batch) -> tuple[tuple[int, int], ...]:
    """Slot and size, negative where it is given back."""
    return tuple((one.slot, batch.size_of(one.width) * (1 if one.is_taken else -1)) for one in program.moves)


def _anatomies(shape: ModelShape, is_quantized: bool) -> list[Anatomy]:
    has_windows = any(layer.attention and layer.attention.window for layer in shape.layers)
    last = shape.layers[-1] if shape.layers else None
    return [_anatomy(shape, layer, not has_windows, is_quantized, layer is last) for layer in shape.layers]


def _anatomy(shape: ModelShape, layer: LayerShape, values_first: bool, is_quantized: bool, is_last: bool) -> Anatomy:
    heads = layer.attention
    common = Anatomy(
        matrices=matrices_of(layer.tensors), architecture=shape.architecture, n_embd=shape.n_embd,
        n_used=shape.n_experts_used, values_first=values_first, is_last=is_last,
    )  # fmt: skip
    if heads is None:
        return common
    can_rotate = is_quantized and heads.value_length > 0  # MLA's rows are never rotated
    return replace(
        common, n_heads=heads.n_heads, n_kv_heads=heads.n_kv_heads, key_length=heads.key_length,
        value_length=heads.value_length, rotates_keys=can_rotate and heads.key_length % ROTATED == 0,
        rotates_values=can_rotate and heads.value_length % ROTATED == 0,
    )  # fmt: skip
