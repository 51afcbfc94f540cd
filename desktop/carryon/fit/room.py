"""The memories a model can lie in: this machine's or another one's, with what is free in each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from carryon.hardware.machine import DeviceKind, EngineDevice, Gpu, GpuProcess, Machine, Memory, Vendor

GIB, MIB = 1 << 30, 1 << 20

# Kept free on a GPU: what other programs may ask for next, and what the engine takes beside its own account.
_GPU_RESERVE_BYTES, _GPU_RESERVE_SHARE = 512 * MIB, 0.03
# CUDA's pool grows with the first prompt: +294 MiB at a ubatch of 4096 (llama.cpp #23527). HIP is the same code.
_POOL_BYTES_PER_UBATCH = round(0.07 * MIB)
_DISPLAY_BYTES = 256 * MIB  # a desktop's windows grow
# Of the RAM: 10 %, at least 2 GiB; half of a small machine would be too much, and 8 GiB are enough for a large one.
_RAM_RESERVE_SHARE, _RAM_RESERVE_LEAST, _RAM_RESERVE_MOST, _SMALL_RAM_SHARE = 0.10, 2 * GIB, 8 * GIB, 0.15
# In a container nothing else lives.
_CONTAINER_RESERVE_BYTES, _CONTAINER_RESERVE_SHARE = 256 * MIB, 0.05
# Nobody said how much of a GPU is free: a desktop and a browser take about so much.
_UNKNOWN_USE_SHARE = 0.10

_NOTHING: Mapping[str, int] = MappingProxyType({})


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


_BACKENDS = {
    "CUDA": Backend.CUDA, "ROCm": Backend.HIP, "HIP": Backend.HIP, "Metal": Backend.METAL, "MTL": Backend.METAL,
    "Vulkan": Backend.VULKAN, "SYCL": Backend.SYCL, "RPC": Backend.RPC, "CPU": Backend.CPU,
}  # fmt: skip
# What the engine would call a vendor's GPU, where only the driver was asked.
_ENGINE_NAMES = {Vendor.NVIDIA: "CUDA", Vendor.AMD: "ROCm", Vendor.INTEL: "Vulkan", Vendor.APPLE: "Metal"}


@dataclass(frozen=True)
class Program:
    """Another program that holds memory of a GPU."""

    name: str
    held_bytes: int


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
    programs: tuple[Program, ...] = ()  # who holds the rest, as far as the driver says; the largest first

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


def rooms_of(machine: Machine, giving_back: Mapping[str, int] = _NOTHING, n_ubatch: int = 512) -> Rooms:
    """The rooms of a machine as it is now.

    `giving_back`: bytes that unloading a model frees, by the engine's device name ("CPU" is the RAM). Weights mapped
    from the file do not belong in it: the system counts those as available already.
    """
    devices = _devices(machine)
    drivers = _drivers(devices, machine.gpus)
    gpus = [
        _gpu_room(device, gpu, giving_back.get(device.name, 0), n_ubatch)
        for device, gpu in zip(devices, drivers, strict=True)
    ]
    known = tuple(room for room in gpus if room is not None)
    return Rooms(ram_room(machine.ram, giving_back.get("CPU", 0)), known, _is_unified(machine, devices, drivers))


def ram_room(ram: Memory, back_bytes: int = 0) -> Room:
    """The RAM as a room; `back_bytes` are those that unloading a model frees."""
    free_bytes = min(ram.total_bytes, ram.available_bytes + back_bytes)
    return Room(
        "CPU", "RAM", DeviceKind.CPU, Backend.CPU, ram.total_bytes, free_bytes, _ram_reserve_bytes(ram)
    )  # fmt: skip


def backend_of(engine_name: str) -> Backend:
    """CUDA0 -> Backend.CUDA; a name that nobody knows is OTHER."""
    return next((backend for start, backend in _BACKENDS.items() if engine_name.startswith(start)), Backend.OTHER)


def _devices(machine: Machine) -> tuple[EngineDevice, ...]:
    """The devices that the engine gives layers to, in its order (llama.cpp: llama_prepare_model_devices).

    Other machines come first; integrated GPUs take part only where there is nothing else.
    """
    if machine.engine is None:
        return tuple(_assumed(index, gpu, machine) for index, gpu in enumerate(machine.gpus))
    away = tuple(one for one in machine.engine.gpus if one.kind is DeviceKind.RPC)
    own = tuple(one for one in machine.engine.gpus if one.kind is DeviceKind.GPU)
    return away + own or machine.engine.gpus


def _assumed(index: int, gpu: Gpu, machine: Machine) -> EngineDevice:
    """The device that an engine would see, where none was asked (a machine that somebody described)."""
    prior = sum(one.vendor is gpu.vendor for one in machine.gpus[:index])
    kind = DeviceKind.IGPU if gpu.is_integrated else DeviceKind.GPU
    total_bytes = gpu.total_bytes or gpu.shared_bytes
    return EngineDevice(f"{_ENGINE_NAMES[gpu.vendor]}{prior}", gpu.name, kind, gpu.free_bytes, total_bytes)


def _drivers(devices: Sequence[EngineDevice], gpus: Sequence[Gpu]) -> list[Gpu | None]:
    """What the driver knows of each device: the next one of the same name, or the only one there is."""
    left = list(gpus)
    own = [device for device in devices if device.kind is not DeviceKind.RPC]
    found: list[Gpu | None] = []
    for device in devices:
        is_only = len(own) == len(gpus) == 1 and device in own
        gpu = next((one for one in left if is_only or _same_name(one.name, device.description)), None)
        if gpu is not None and device in own:
            left.remove(gpu)
            found.append(gpu)
        else:
            found.append(None)
    return found


def _same_name(one: str, other: str) -> bool:
    short, long = sorted((one.casefold(), other.casefold()), key=len)
    return bool(short) and short in long


def _is_unified(machine: Machine, devices: Sequence[EngineDevice], drivers: Sequence[Gpu | None]) -> bool:
    """Apple silicon, or nothing but GPUs that work in the RAM."""
    if machine.is_unified_memory:
        return True
    in_ram = [
        device.kind is DeviceKind.IGPU or (gpu is not None and gpu.is_integrated)
        for device, gpu in zip(devices, drivers, strict=True)
    ]
    return bool(in_ram) and all(in_ram)


def _gpu_room(device: EngineDevice, gpu: Gpu | None, back_bytes: int, n_ubatch: int) -> Room | None:
    """None where nobody knows how large it is: nothing can be planned for it."""
    total_bytes = device.total_bytes or (gpu.total_bytes if gpu else None)
    if not total_bytes:
        return None
    backend = backend_of(device.name)
    free_bytes = min(total_bytes, _free_bytes(device, gpu, total_bytes) + back_bytes)
    drives_display = gpu is not None and bool(gpu.drives_display)
    reserve_bytes = _gpu_reserve_bytes(total_bytes, backend, n_ubatch, drives_display)
    programs = _programs(gpu.processes, back_bytes > 0) if gpu else ()
    return Room(
        device.name, device.description or device.name, device.kind, backend,
        total_bytes, free_bytes, reserve_bytes, programs,
    )  # fmt: skip


def _free_bytes(device: EngineDevice, gpu: Gpu | None, total_bytes: int) -> int:
    """The more cautious of the engine's and the driver's figure.

    Vulkan without VK_EXT_memory_budget calls the whole heap free; the driver of a Mac says nothing at all.
    """
    said = [one for one in (device.free_bytes, gpu.free_bytes if gpu else None) if one is not None]
    return min(said) if said else round(total_bytes * (1 - _UNKNOWN_USE_SHARE))


def _gpu_reserve_bytes(total_bytes: int, backend: Backend, n_ubatch: int, drives_display: bool) -> int:
    pool_bytes = _POOL_BYTES_PER_UBATCH * n_ubatch if backend in (Backend.CUDA, Backend.HIP) else 0
    least_bytes = max(_GPU_RESERVE_BYTES, round(total_bytes * _GPU_RESERVE_SHARE))
    return least_bytes + pool_bytes + _DISPLAY_BYTES * drives_display


def _ram_reserve_bytes(ram: Memory) -> int:
    if ram.is_container_limit:
        return max(_CONTAINER_RESERVE_BYTES, round(ram.total_bytes * _CONTAINER_RESERVE_SHARE))
    wanted_bytes = max(_RAM_RESERVE_LEAST, round(ram.total_bytes * _RAM_RESERVE_SHARE))
    return min(wanted_bytes, _RAM_RESERVE_MOST, round(ram.total_bytes * _SMALL_RAM_SHARE))


def _programs(processes: Iterable[GpuProcess], is_ours_among_them: bool) -> tuple[Program, ...]:
    """By name, the largest first; our own engine, which is about to let go, is not one of them."""
    held: dict[str, int] = {}
    for one in processes:
        if one.name and one.used_bytes and not (is_ours_among_them and _may_be_ours(one.name)):
            held[one.name] = held.get(one.name, 0) + one.used_bytes
    programs = (Program(name, held_bytes) for name, held_bytes in held.items())
    return tuple(sorted(programs, key=lambda one: (-one.held_bytes, one.name)))


def _may_be_ours(program: str) -> bool:
    return program.casefold().startswith(("carryon", "python"))
