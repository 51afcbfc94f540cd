"""Which layers lie on which device: the engine's rules for sharing a model out."""

import struct
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

from carryon.fit.placement import Placement
from carryon.fit.room import Rooms


class Span(NamedTuple):
    """The layers `first` to `end - 1` of a model, and whether the output layer goes with them."""

    first: int = 0
    end: int = 0
    has_output: bool = False

    @property
    def n_layers(self) -> int:
        return self.end - self.first

    @property
    def is_empty(self) -> bool:
        return self.first == self.end and not self.has_output


NOTHING = Span()


class Spread(NamedTuple):
    """The first layers stay in RAM; each GPU of the rooms has a run of those that follow."""

    ram: Span
    gpus: tuple[Span, ...]
    n_cpu_experts: int = 0  # of how many layers, from the first, the experts stay in RAM

    @property
    def n_devices(self) -> int:
        """GPUs that hold anything."""
        return sum(not span.is_empty for span in self.gpus)


def spread(n_layers: int, placement: Placement, rooms: Rooms) -> Spread:
    """The share of each device. Without a GPU everything lies in RAM, whatever the placement asks for."""
    names = tuple([room.name for room in rooms.gpus])
    return _spread(n_layers, placement.n_gpu_layers, placement.n_cpu_experts, placement.gpus, placement.split, names)


@lru_cache(maxsize=4096)
def _spread(
    n_layers: int, n_gpu_layers: int, n_cpu_experts: int, gpus: tuple[str, ...], split: tuple[float, ...],
    names: tuple[str, ...],
) -> Spread:  # fmt: skip
    shares = _shares(gpus, split, names)
    n_offloaded = min(n_gpu_layers, n_layers + 1) if any(shares) else 0
    if n_offloaded <= 0:
        return Spread(Span(0, n_layers, has_output=True), (NOTHING,) * len(names))
    start = n_layers + 1 - n_offloaded  # the output layer is number n_layers and so the first to be offloaded
    borders = [start, *(start + border for border in _borders(shares, n_offloaded))]
    spans = tuple(_span(first, end, n_layers) for first, end in pairwise(borders))
    return Spread(Span(0, start), spans, min(n_cpu_experts, n_layers))


def _shares(gpus: tuple[str, ...], split: tuple[float, ...], names: tuple[str, ...]) -> tuple[float, ...]:
    """The share of every GPU of the rooms, 0 for those that take no layers."""
    chosen = [name for name in gpus if name in names] or names
    share = dict(zip(chosen, split or (1.0,), strict=False))
    return tuple(share.get(name, 0.0) for name in names)


def _borders(shares: tuple[float, ...], count: int) -> list[int]:
    """Where each share of `count` layers ends: llama-model.cpp, std::upper_bound over the summed shares.

    Layer i goes to the first device whose summed share is larger than i / count, both single precision floats.
    """
    if len(shares) == 1:
        return [count]
    sums = list(accumulate(map(_single, shares), lambda total, share: _single(total + share)))
    borders = [_border(_single(total / sums[-1]), count) for total in sums[:-1]]
    return [*borders, count]


def _border(share: float, count: int) -> int:
    """The first layer that is not below `share`."""
    layer = min(max(int(share * count) - 1, 0), count)
    while layer < count and _single(layer / count) < share:
        layer += 1
    return layer


def _single(number: float) -> float:
    """The nearest single precision float."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


def _span(first: int, end: int, n_layers: int) -> Span:
    """Layers from `first` on; the number n_layers stands for the output layer."""
    return Span(min(first, n_layers), min(end, n_layers), has_output=first <= n_layers < end)
