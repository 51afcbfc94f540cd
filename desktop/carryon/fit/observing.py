"""What really happened beside what was predicted: a load's memory, an answer's speed; its keeper adds the time."""

from collections.abc import Iterator

from carryon.fit.answers import Fit, Site
from carryon.fit.calibration import DeviceTime, MemoryObservation, SpeedObservation, Task
from carryon.fit.memory import DeviceNeed, Need, need
from carryon.fit.room import Room, Rooms
from carryon.fit.speed import decode_times, prefill_times

_NOT_YET = 0.0  # the keeper writes the time


def observed_load(fit: Fit, rooms: Rooms, held: Need) -> tuple[MemoryObservation, ...]:
    """What each device really held after a load, beside the arithmetic and beside what the fit said."""
    shape = fit.candidate.shape
    plain = need(shape, fit.placement, rooms)
    return tuple(
        MemoryObservation(
            architecture=shape.architecture,
            label=room.label,
            backend=room.backend,
            kv_type=fit.placement.kv_type,
            predicted_bytes=predicted.total_bytes,
            said_bytes=said.total_bytes,
            measured_bytes=measured.total_bytes,
            when_s=_NOT_YET,
        )
        for room, predicted, said, measured in _side_by_side(rooms, plain, fit.need, held)
        if predicted.total_bytes and measured.total_bytes
    )


def observed_speed(
    fit: Fit, site: Site, decode_tokens_per_s: float | None, prefill_tokens_per_s: float | None, depth_tokens: int = 512
) -> tuple[SpeedObservation, ...]:
    """How fast an answer was written and its prompt read; `depth_tokens`: in the context when half of it was done."""
    place = (fit.candidate.shape, fit.placement, site.rooms)
    now, before = site.speeds, site.speeds.priors
    both = (
        (Task.DECODE, decode_tokens_per_s, decode_times, depth_tokens),
        (Task.PREFILL, prefill_tokens_per_s, prefill_times, 0),
    )
    return tuple(
        SpeedObservation(task, _model(fit), _busy(times(*place, before, depth)), _total_s(times(*place, now, depth)),
                         1 / measured, _NOT_YET)
        for task, measured, times, depth in both
        if measured
    )  # fmt: skip


def _side_by_side(
    rooms: Rooms, *needs: Need
) -> Iterator[tuple[Room, DeviceNeed, DeviceNeed, DeviceNeed]]:
    predicted, said, held = needs
    yield rooms.ram, predicted.ram, said.ram, held.ram
    yield from zip(rooms.gpus, predicted.gpus, said.gpus, held.gpus, strict=True)


def _model(fit: Fit) -> str:
    shape = fit.candidate.shape
    return f"{shape.architecture} {fit.candidate.quant} {shape.weights_bytes}"


def _busy(times: tuple[DeviceTime, ...]) -> tuple[DeviceTime, ...]:
    return tuple(one for one in times if one.total_s > 0)


def _total_s(times: tuple[DeviceTime, ...]) -> float:
    return sum(one.total_s for one in times)
