"""What a model needs on each device: weights and KV cache to the byte, compute buffers by closed form."""

from dataclasses import dataclass, replace

from carryon.fit.cache import cache_bytes
from carryon.fit.compute import compute_bytes
from carryon.fit.placement import CONTEXT_PADDING as CONTEXT_PADDING
from carryon.fit.placement import DEFAULT_UBATCH as DEFAULT_UBATCH
from carryon.fit.placement import Extras as Extras
from carryon.fit.placement import Placement as Placement
from carryon.fit.room import Rooms
from carryon.fit.spread import Spread, spread
from carryon.fit.weights import gpu_weights_bytes, ram_weights_bytes
from carryon.gguf.shape import ModelShape

_LOGIT_BYTES = 4


@dataclass(frozen=True)
class DeviceNeed:
    """What one device has to hold, in bytes."""

    weights_bytes: int = 0
    kv_bytes: int = 0
    compute_bytes: int = 0
    output_bytes: int = 0
    extra_bytes: int = 0  # projector, adapters, draft model

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.output_bytes + self.extra_bytes


@dataclass(frozen=True)
class Need:
    """What every device has to hold: the RAM, and the GPUs of the rooms in their order."""

    ram: DeviceNeed
    gpus: tuple[DeviceNeed, ...] = ()

    @property
    def total_bytes(self) -> int:
        return self.ram.total_bytes + sum(one.total_bytes for one in self.gpus)


def need(shape: ModelShape, placement: Placement, rooms: Rooms) -> Need:
    """The bytes of every device for this shape, loaded in this way; well under a millisecond."""
    over = spread(shape.n_layers, placement, rooms)
    gpu_weights = gpu_weights_bytes(shape, over, rooms)
    ram_cache, gpu_caches = cache_bytes(shape, over, placement, rooms)
    ram_compute, gpu_computes = compute_bytes(shape, over, placement, rooms)
    output = shape.n_vocab * placement.n_parallel * _LOGIT_BYTES  # llama-context.cpp, output_reserve: in host memory
    ram = DeviceNeed(ram_weights_bytes(shape, over), ram_cache, ram_compute, output)
    gpus = map(DeviceNeed, gpu_weights, gpu_caches, gpu_computes)
    return _with_extras(Need(ram, tuple(gpus)), placement, rooms, over)


def _with_extras(found: Need, placement: Placement, rooms: Rooms, over: Spread) -> Need:
    extras = placement.extras
    if extras == Extras():
        return found
    beside = extras.projector_bytes + extras.adapter_bytes
    drafts = _draft_bytes(extras, placement, rooms)
    ram, *gpus = (found.ram, *found.gpus)
    home = next((index for index, span in enumerate(over.gpus, 1) if not span.is_empty), 0)
    sums = [beside * (index == home) + draft for index, draft in enumerate(drafts)]
    filled = [replace(one, extra_bytes=extra) for one, extra in zip((ram, *gpus), sums, strict=True)]
    return Need(filled[0], tuple(filled[1:]))


def _draft_bytes(extras: Extras, placement: Placement, rooms: Rooms) -> list[int]:
    """A draft model answers with the same context; it is small, so it goes where the output layer goes."""
    if extras.draft is None:
        return [0] * (1 + len(rooms.gpus))
    layers = extras.draft.n_gpu_layers_max if placement.n_gpu_layers else 0
    drafted = need(extras.draft, replace(placement, n_gpu_layers=layers, n_cpu_experts=0, extras=Extras()), rooms)
    return [drafted.ram.total_bytes, *(one.total_bytes for one in drafted.gpus)]
