"""What really happened beside what was predicted: a load's memory, an answer's speed; its keeper adds the time."""

from collections.abc import Iterator
from dataclasses import replace

from carryon.fit.answers import Fit, Site
from carryon.fit.calibration import DeviceTime, MemoryObservation, SpeedObservation, Task, model_key
from carryon.fit.memory import DeviceNeed, Need, need
from carryon.fit.placement import Placement
from carryon.fit.room import Room, Rooms
from carryon.fit.speed import decode_times, prefill_times

_NOT_YET = 0.0  # the keeper writes the time
_FEWEST_WRITTEN = 16  # the first tokens wake clocks and caches
_FEWEST_READ = 128  # below it a prompt is no batch


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
    fit: Fit,
    site: Site,
    decode_tokens_per_s: float | None,
    prefill_tokens_per_s: float | None,
    depth_tokens: int = 512,
    *,
    n_written: int = _FEWEST_WRITTEN,
    n_read: int = _FEWEST_READ,
) -> tuple[SpeedObservation, ...]:
    """How fast an answer was written and its prompt read; `depth_tokens`: in the context when half of it was done.

    `n_written` and `n_read` tokens were counted; too few say nothing of a speed.
    """
    seen = []
    if decode_tokens_per_s and n_written >= _FEWEST_WRITTEN:
        seen.append(_observed(Task.DECODE, fit, fit.placement, site, decode_tokens_per_s, depth_tokens))
    if prefill_tokens_per_s and n_read >= _FEWEST_READ:
        batch = replace(fit.placement, n_ubatch=min(fit.placement.n_ubatch, n_read))
        seen.append(_observed(Task.PREFILL, fit, batch, site, prefill_tokens_per_s, max(0, depth_tokens - n_read // 2)))
    return tuple(seen)


def _observed(
    task: Task, fit: Fit, placement: Placement, site: Site, tokens_per_s: float, depth_tokens: int
) -> SpeedObservation:
    times = decode_times if task is Task.DECODE else prefill_times
    place = (fit.candidate.shape, placement, site.rooms)
    return SpeedObservation(
        task=task,
        model=model_key(fit.candidate.shape),
        times=_busy(times(*place, site.speeds.priors, depth_tokens)),
        said_s=_total_s(times(*place, site.speeds, depth_tokens)),
        measured_s=1 / tokens_per_s,
        when_s=_NOT_YET,
    )


def _side_by_side(
    rooms: Rooms, *needs: Need
) -> Iterator[tuple[Room, DeviceNeed, DeviceNeed, DeviceNeed]]:
    predicted, said, held = needs
    yield rooms.ram, predicted.ram, said.ram, held.ram
    yield from zip(rooms.gpus, predicted.gpus, said.gpus, held.gpus, strict=True)


def _busy(times: tuple[DeviceTime, ...]) -> tuple[DeviceTime, ...]:
    return tuple(one for one in times if one.total_s > 0)


def _total_s(times: tuple[DeviceTime, ...]) -> float:
    return sum(one.total_s for one in times)
