"""What a model needs on each device: weights and KV cache to the byte, working memory by laying its graph out."""

from dataclasses import dataclass, replace

from carryon.fit.cache import cache_bytes
from carryon.fit.placement import CONTEXT_PADDING as CONTEXT_PADDING
from carryon.fit.placement import DEFAULT_UBATCH as DEFAULT_UBATCH
from carryon.fit.placement import Extras as Extras
from carryon.fit.placement import Placement as Placement
from carryon.fit.room import Rooms
from carryon.fit.spread import Spread, spread
from carryon.fit.weights import gpu_weights_bytes, ram_weights_bytes
from carryon.fit.working.compute import compute_bytes
from carryon.gguf.shape import ModelShape

_LOGIT_BYTES = 4
# A projector's working memory as a share of its file: a cautious guess, for it depends on the size of the picture and
# on the family, and neither the file nor the dry run of the language model says it.
_PROJECTOR_WORK = 0.25


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
    if not extras.projector_bytes and not extras.adapter_bytes and extras.draft is None:
        return found
    beside = _projector_bytes(extras, over), _adapter_bytes(extras, over), _draft_bytes(extras, placement, rooms)
    parts = map(sum, zip(*beside, strict=True))
    ram, *gpus = (replace(one, extra_bytes=part) for one, part in zip((found.ram, *found.gpus), parts, strict=True))
    return Need(ram, tuple(gpus))


def _projector_bytes(extras: Extras, over: Spread) -> list[int]:
    """It lies on the first GPU that is used, whole (mtmd: use_gpu), with what it needs to look at a picture."""
    home = next((index for index, span in enumerate(over.gpus, 1) if not span.is_empty), 0)
    whole = round(extras.projector_bytes * (1 + _PROJECTOR_WORK))
    return [whole * (index == home) for index in range(1 + len(over.gpus))]


def _adapter_bytes(extras: Extras, over: Spread) -> list[int]:
    """Every part of an adapter lies where the matrix lies that it changes (llama-adapter.cpp)."""
    spans = (over.ram, *over.gpus)
    n_layers = max(1, sum(span.n_layers for span in spans))
    return [round(extras.adapter_bytes * span.n_layers / n_layers) for span in spans]


def _draft_bytes(extras: Extras, placement: Placement, rooms: Rooms) -> list[int]:
    """A draft model answers with the same context, and is small: it goes where the output layer goes, whole."""
    if extras.draft is None:
        return [0] * (1 + len(rooms.gpus))
    layers = extras.draft.n_gpu_layers_max if placement.n_gpu_layers else 0
    drafted = need(extras.draft, replace(placement, n_gpu_layers=layers, n_cpu_experts=0, extras=Extras()), rooms)
    return [drafted.ram.total_bytes, *(one.total_bytes for one in drafted.gpus)]
