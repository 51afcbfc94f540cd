"""What a model holds, or would hold, on each device, joined with what else is there. Arithmetic only, no Qt."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from carryon.engine.protocol import DeviceKind, DeviceMemory, Ready
from carryon.hardware.machine import EngineDevice, GpuUse, Machine, MemoryUse, told_apart

if TYPE_CHECKING:  # the first frame needs no plan
    from carryon.fit.memory import DeviceNeed
    from carryon.fit.plan import Fit
    from carryon.fit.room import Room, Rooms


class PartKind(StrEnum):
    """What a stretch of a memory bar stands for, in the order they are drawn."""

    WEIGHTS = "weights"
    KV = "kv"
    COMPUTE = "compute"  # compute buffers and the output buffer
    OTHER = "other"  # what other programs hold
    RESERVE = "reserve"  # kept free on purpose


@dataclass(frozen=True)
class Part:
    """One stretch of a bar."""

    kind: PartKind
    size_bytes: int


@dataclass(frozen=True)
class DeviceBar:
    """One device: its parts in their order; total_bytes is None where nobody could measure it."""

    name: str
    parts: tuple[Part, ...]
    total_bytes: int | None

    @property
    def used_bytes(self) -> int:
        """Everything but the reserve."""
        return sum(part.size_bytes for part in self.parts if part.kind is not PartKind.RESERVE)

    @property
    def free_bytes(self) -> int | None:
        """What is left, reserve taken off; never below zero."""
        if self.total_bytes is None:
            return None
        return max(0, self.total_bytes - sum(part.size_bytes for part in self.parts))

    @property
    def over_bytes(self) -> int:
        """By how much the parts are more than the device has, reserve included; 0 where that is unknown."""
        if self.total_bytes is None:
            return 0
        return max(0, sum(part.size_bytes for part in self.parts) - self.total_bytes)


def fit_bars(fit: "Fit", rooms: "Rooms") -> tuple[DeviceBar, ...]:
    """A bar for every device that a model could lie on, GPUs first; one bar where they all share one memory."""
    if rooms.is_unified:
        return (_fit_bar("Unified memory", rooms.ram, (fit.need.ram, *fit.need.gpus)),)
    gpus = zip(told_apart([room.label for room in rooms.gpus]), rooms.gpus, fit.need.gpus, strict=True)
    return (
        *(_fit_bar(name, room, (need,)) for name, room, need in gpus),
        _fit_bar(rooms.ram.label, rooms.ram, (fit.need.ram,)),
    )


def _fit_bar(name: str, room: "Room", needs: "Sequence[DeviceNeed]") -> DeviceBar:
    """What is loaded beside the model (projector, adapters, draft) counts as weights, which it mostly is."""
    parts = (
        Part(PartKind.WEIGHTS, sum(one.weights_bytes + one.extra_bytes for one in needs)),
        Part(PartKind.KV, sum(one.kv_bytes for one in needs)),
        Part(PartKind.COMPUTE, sum(one.compute_bytes + one.output_bytes for one in needs)),
        Part(PartKind.OTHER, room.other_bytes),
        Part(PartKind.RESERVE, room.reserve_bytes),
    )
    return DeviceBar(name, tuple(part for part in parts if part.size_bytes), room.total_bytes)


def device_bars(ready: Ready, machine: Machine | None, use: MemoryUse | None) -> tuple[DeviceBar, ...]:
    """A bar for every device that holds a part of the model, GPUs first as the slider has them."""
    held = sorted((one for one in ready.memory if one.total_bytes), key=lambda one: one.kind is DeviceKind.CPU)
    return tuple(_bar(one, _room(one, machine, use)) for one in held)


@dataclass(frozen=True)
class _Room:
    """How large a device is and how much of it is in use, as far as anybody knows."""

    name: str
    total_bytes: int | None = None
    used_bytes: int | None = None


def _bar(held: DeviceMemory, room: _Room) -> DeviceBar:
    ours = (
        Part(PartKind.WEIGHTS, held.weights_bytes),
        Part(PartKind.KV, held.kv_bytes),
        Part(PartKind.COMPUTE, held.compute_bytes + held.output_bytes),
    )
    # Weights that are mapped from the file live in the page cache, which the system counts as available.
    counted = held.total_bytes - held.mapped_bytes
    other = max(0, room.used_bytes - counted) if room.used_bytes is not None else 0
    parts = tuple(part for part in (*ours, Part(PartKind.OTHER, other)) if part.size_bytes)
    return DeviceBar(room.name, parts, room.total_bytes)


def _room(held: DeviceMemory, machine: Machine | None, use: MemoryUse | None) -> _Room:
    if held.kind is DeviceKind.CPU:
        return _Room("RAM", use.ram.total_bytes, use.ram.used_bytes) if use else _Room("RAM")
    device = _device(held, machine)
    gauge = _gauge(held, use.gpus if use else ())
    name = held.description or held.name
    if gauge and gauge.total_bytes:
        return _Room(name, gauge.total_bytes, gauge.used_bytes)
    return _Room(name, device.total_bytes if device else None)


def _device(held: DeviceMemory, machine: Machine | None) -> EngineDevice | None:
    devices = machine.engine.devices if machine and machine.engine else ()
    return next((one for one in devices if one.name == held.name), None)


def _gauge(held: DeviceMemory, gauges: Sequence[GpuUse]) -> GpuUse | None:
    """The meter of this device: by its name; several of one name are counted as the engine counts them (CUDA1)."""
    named = [one for one in gauges if one.name == held.description]
    number = int("".join(filter(str.isdigit, held.name)) or 0)
    return named[min(number, len(named) - 1)] if named else None


def gpu_bytes(ready: Ready) -> int:
    """What the model holds outside the processor's memory."""
    return sum(one.total_bytes for one in ready.memory if one.kind is not DeviceKind.CPU)


def ram_bytes(ready: Ready) -> int:
    """What the model holds in the processor's memory."""
    return sum(one.total_bytes for one in ready.memory if one.kind is DeviceKind.CPU)
