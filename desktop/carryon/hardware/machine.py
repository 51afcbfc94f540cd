"""What a machine is: frozen values, in bytes; None means that nobody could measure it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Vendor(StrEnum):
    """Who made a GPU."""

    NVIDIA = "nvidia"
    AMD = "amd"
    INTEL = "intel"
    APPLE = "apple"


class DeviceKind(StrEnum):
    """What a device is to the engine."""

    CPU = "cpu"
    GPU = "gpu"
    IGPU = "igpu"
    RPC = "rpc"
    OTHER = "other"


@dataclass(frozen=True)
class Cpu:
    """The processor; `instruction_sets` holds only those that change how fast the engine runs."""

    name: str | None
    physical_cores: int | None
    logical_cores: int | None
    instruction_sets: tuple[str, ...] = ()    # "AVX2", "AVX512F", "FMA", "NEON" ...
    performance_cores: int | None = None      # of the physical ones, where the processor has two kinds of cores


@dataclass(frozen=True)
class Memory:
    """RAM and swap; a container's limit is already applied to `total_bytes` and `available_bytes`."""

    total_bytes: int
    available_bytes: int                      # what a new program may take without swapping
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    is_container_limit: bool = False          # True: the machine has more, this container may not use it

    @property
    def used_bytes(self) -> int:
        return self.total_bytes - self.available_bytes


@dataclass(frozen=True)
class GpuProcess:
    """A program that holds memory of a GPU."""

    pid: int
    name: str | None = None
    used_bytes: int | None = None


@dataclass(frozen=True)
class Gpu:
    """A graphics processor as its driver describes it."""

    vendor: Vendor
    name: str
    total_bytes: int | None = None            # its own memory; of an integrated one only what is set aside for it
    free_bytes: int | None = None
    shared_bytes: int | None = None           # how much of the RAM it may use as well
    driver: str | None = None
    compute_capability: str | None = None     # NVIDIA's: "8.9"
    is_integrated: bool = False
    drives_display: bool | None = None        # a screen hangs on it, so the desktop takes some of its memory
    processes: tuple[GpuProcess, ...] = ()


@dataclass(frozen=True)
class EngineDevice:
    """A device that the engine can really use."""

    name: str                                 # the engine's name: CPU, CUDA0, Metal, Vulkan0 ...
    description: str
    kind: DeviceKind
    free_bytes: int | None
    total_bytes: int | None


@dataclass(frozen=True)
class EngineDevices:
    """What the installed engine sees of this machine."""

    engine: str                               # which engine and which version
    supports_rpc: bool
    devices: tuple[EngineDevice, ...]

    @property
    def gpus(self) -> tuple[EngineDevice, ...]:
        """The devices that layers can be moved to, other machines included."""
        return tuple(one for one in self.devices if one.kind in (DeviceKind.GPU, DeviceKind.IGPU, DeviceKind.RPC))


@dataclass(frozen=True)
class Machine:
    """Everything that decides which models this machine can hold, and how fast."""

    os_name: str
    cpu: Cpu
    ram: Memory
    gpus: tuple[Gpu, ...] = ()
    is_unified_memory: bool = False           # Apple silicon: the GPU works in the RAM itself
    engine: EngineDevices | None = None       # None: not asked, or it did not answer (then `problems` says so)
    problems: tuple[str, ...] = ()            # what is wrong and what to do about it, in sentences


@dataclass(frozen=True)
class GpuUse:
    """How full a GPU is at this moment."""

    name: str
    used_bytes: int | None
    total_bytes: int | None


@dataclass(frozen=True)
class MemoryUse:
    """How full this machine is at this moment; cheap enough to ask every second."""

    ram: Memory
    gpus: tuple[GpuUse, ...] = ()


def told_apart(names: Sequence[str]) -> list[str]:
    """Several of one name are numbered."""
    counts = {name: iter(range(1, names.count(name) + 1)) for name in names}
    return [f"{name} ({next(counts[name])})" if names.count(name) > 1 else name for name in names]
