"""How several GPUs share a model: whole layers, in proportion to the memory that each has left."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from carryon.fit.cache import cache_sums
from carryon.fit.memory import Need, need
from carryon.fit.placement import Placement
from carryon.fit.room import Backend, Rooms
from carryon.fit.weights import weight_sums
from carryon.gguf.shape import ModelShape


class Sharing:
    """The GPUs that take part, and what each of them can hold of a model's layers.

    Splits name whole layers, so that the engine's own rounding (llama-model.cpp, load_tensors) cannot move one.
    """

    def __init__(self, shape: ModelShape, base: Placement, rooms: Rooms, known: Need | None = None) -> None:
        """`known`: what such a placement needs, where somebody has asked already; it need not be this very one."""
        rows = list(enumerate(rooms.gpus))
        self._shape = shape
        self._rows = [row for row in rows if row[1].name in base.gpus] or rows
        self._names = tuple(room.name for _, room in self._rows)  # in the engine's order: layers follow it
        self._layer_cache_bytes = _layer_cache_bytes(shape, base)
        self.left_bytes = self._left_bytes(known or self._evenly(base, rooms))

    def ways(self, placement: Placement) -> Iterator[Placement]:
        """Equally full GPUs first; then filled one after the other, which may hold a layer more."""
        if placement.n_gpu_layers <= 0:
            yield replace(placement, gpus=(), split=())
            return
        if len(self._rows) < 2:
            is_said = placement.gpus == self._names and not placement.split
            yield placement if is_said else replace(placement, gpus=self._names, split=())
            return
        sums = self._sums(placement.n_gpu_layers, placement.n_cpu_experts)
        yield self._split(placement, _in_proportion(sums, self.left_bytes))
        yield self._split(placement, _one_by_one(sums, self.left_bytes))

    def most_layers(self, base: Placement) -> int:
        """About how many layers all of them together hold."""
        sums = self._sums(self._shape.n_gpu_layers_max, base.n_cpu_experts)
        return len(sums) - 1 - bisect_right(sums, sums[-1] - sum(self.left_bytes) - 1)

    def fewest_experts(self, base: Placement) -> int:
        """Of about how many layers the experts have to leave."""
        total = self._sums(base.n_gpu_layers, 0)[-1]
        experts = weight_sums(self._shape, Backend.CUDA).experts
        return min(bisect_right(experts, total - sum(self.left_bytes)), self._shape.n_layers)

    def _sums(self, n_gpu_layers: int, n_cpu_experts: int) -> list[float]:
        """The bytes of the first 0, 1, 2 ... offloaded layers together; the output layer is the last of them."""
        held = weight_sums(self._shape, Backend.CUDA)  # close enough for every backend: what comes out is checked
        n_layers, each = self._shape.n_layers, self._layer_cache_bytes
        n_experts = min(n_cpu_experts, n_layers)
        start = max(self._shape.n_gpu_layers_max - n_gpu_layers, 0)
        gone = held.experts[: n_experts + 1] + (held.experts[n_experts],) * (n_layers - n_experts)
        sums = [held.layers[layer] - gone[layer] + each * layer for layer in range(start, n_layers + 1)]
        sums.append(sums[-1] + held.output_bytes + held.tied_bytes)
        first = sums[0]
        return [one - first for one in sums]

    def _evenly(self, base: Placement, rooms: Rooms) -> Need:
        """What is needed when the GPUs share in proportion to what they have."""
        even = replace(base, n_gpu_layers=max(base.n_gpu_layers, 1))
        sums = self._sums(even.n_gpu_layers, even.n_cpu_experts)
        counts = _in_proportion(sums, [room.usable_bytes for _, room in self._rows])
        return need(self._shape, self._split(even, counts), rooms)

    def _left_bytes(self, needed: Need) -> list[float]:
        """What every GPU has left for layers, beside working memory and a projector."""
        needs = [(needed.gpus[index], room.usable_bytes) for index, room in self._rows]
        return [max(0.0, usable - (one.total_bytes - one.weights_bytes - one.kv_bytes)) for one, usable in needs]

    def _split(self, placement: Placement, counts: Sequence[int]) -> Placement:
        shares = tuple(float(count) for count in counts) if len(counts) > 1 else ()
        return replace(placement, gpus=self._names, split=shares)


def _layer_cache_bytes(shape: ModelShape, placement: Placement) -> float:
    return cache_sums(shape, placement.load, Backend.CUDA)[-1] / max(shape.n_layers, 1)


def _in_proportion(sums: Sequence[float], capacities: Sequence[float]) -> list[int]:
    """How many layers each takes, when each shall be equally full."""
    whole = sum(capacities) or 1.0
    ends = [_nearest(sums, sums[-1] * reached / whole) for reached in accumulate(capacities)]
    return [after - before for before, after in pairwise([0, *ends[:-1], len(sums) - 1])]


def _one_by_one(sums: Sequence[float], capacities: Sequence[float]) -> list[int]:
    """How many layers each takes, when each is filled before the next one; the last takes what is left."""
    ends = [0]
    for capacity in capacities[:-1]:
        ends.append(bisect_right(sums, sums[ends[-1]] + capacity) - 1)
    return [after - before for before, after in pairwise([*ends, len(sums) - 1])]


def _nearest(sums: Sequence[float], size_bytes: float) -> int:
    """The border that is nearest to so many bytes."""
    above = min(bisect_right(sums, size_bytes), len(sums) - 1)
    below = max(above - 1, 0)
    return below if size_bytes - sums[below] <= sums[above] - size_bytes else above


