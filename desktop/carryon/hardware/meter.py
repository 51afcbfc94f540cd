"""How full RAM and GPUs are right now, cheap enough to ask every second: NVML stays open, names are asked once."""

from collections.abc import Callable
from functools import cache

from carryon.hardware.machine import GpuUse, MemoryUse
from carryon.hardware.memory import read_memory
from carryon.hardware.nvidia import Nvml, NvmlFailed, nvidia_use, open_nvml
from carryon.hardware.sysfs import Card, card_name, card_use, find_cards
from carryon.hardware.world import World

Gauge = Callable[[], GpuUse]


class MemoryMeter:
    """One meter lives as long as the window. Making it opens NVML, which can take a second: not on the main thread."""

    def __init__(self, world: World | None = None) -> None:
        world = world or World()
        self._root = world.root
        self._gauges = (*_nvidia_gauges(world), *_card_gauges(world))

    def now(self) -> MemoryUse:
        """Under 5 ms; a GPU that stopped answering shows None."""
        return MemoryUse(read_memory(self._root), tuple(gauge() for gauge in self._gauges))


@cache
def _this_machines_meter() -> MemoryMeter:
    return MemoryMeter()


def memory_now() -> MemoryUse:
    """How full this machine is; only the first call is slow, because it opens NVML."""
    return _this_machines_meter().now()


def _nvidia_gauges(world: World) -> tuple[Gauge, ...]:
    try:
        nvml = open_nvml(world.load_nvml)
        handles = nvml.handles()
    except NvmlFailed:
        return ()
    return tuple(_nvidia_gauge(nvml, handle) for handle in handles if handle is not None)


def _nvidia_gauge(nvml: Nvml, handle: object) -> Gauge:
    name = nvml.name(handle)
    return lambda: nvidia_use(nvml, handle, name)


def _card_gauges(world: World) -> tuple[Gauge, ...]:
    return tuple(_card_gauge(card, card_name(world.root, card)) for card in find_cards(world.root))


def _card_gauge(card: Card, name: str) -> Gauge:
    return lambda: card_use(card, name)
