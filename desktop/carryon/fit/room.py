"""The memories a model can lie in: this machine's or another one's, with what is free in each."""

from dataclasses import dataclass
from enum import StrEnum

from carryon.hardware.machine import DeviceKind


class Backend(StrEnum):
    """How the engine drives a device; it decides alignment, overhead and speed priors."""

    CPU = "cpu"
    CUDA = "cuda"
    HIP = "hip"
    METAL = "metal"
    VULKAN = "vulkan"
    SYCL = "sycl"
    RPC = "rpc"
    OTHER = "other"


@dataclass(frozen=True)
class Room:
    """One device's memory as a plan sees it, in bytes."""

    name: str  # the engine's name: CPU, CUDA0 ...
    label: str  # what people call it: "RAM", "NVIDIA GeForce RTX 4060"
    kind: DeviceKind
    backend: Backend
    total_bytes: int
    free_bytes: int  # free now, what a model to be unloaded gives back included
    reserve_bytes: int  # kept free on purpose

    @property
    def usable_bytes(self) -> int:
        return max(0, self.free_bytes - self.reserve_bytes)

    @property
    def other_bytes(self) -> int:
        """What other programs hold."""
        return max(0, self.total_bytes - self.free_bytes)


@dataclass(frozen=True)
class Rooms:
    """The RAM and every GPU that can take layers, in the engine's order."""

    ram: Room
    gpus: tuple[Room, ...] = ()
    is_unified: bool = False  # the GPUs work in the RAM itself: one pool, never counted twice
