"""Learns from what happened: how far memory and speeds were off on this machine, and what to do about it next time.

Speeds: every answer is one equation. On each device a prior says how long the bytes take and how long the layers'
fixed costs; one factor for each of the two, near 1, has to make the sums equal what was measured. Many answers are
solved together by least squares that would rather stay at 1 (ridge), so a tiny model, which is all overhead, moves the
overhead and a large one the bandwidth, and one split over GPU and CPU moves whichever it spent its time on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from math import prod
from statistics import median, median_low
from typing import Any

from carryon.fit.memory import DeviceNeed, Need
from carryon.fit.room import Backend, Room, Rooms
from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape

_KEPT_EACH = 5  # of observations of the same thing only so many of the last count
_SAID = 3  # "within 2 %" speaks of so many of the last predictions
_ROWS = 40
_SLOWEST, _FASTEST = 5.0, 0.2  # no factor leaves these bounds: a guessed part may be that far off, no part further
_SLOWEST_ENGINE = 60.0  # 3 ms a token
_ABSURD = 10.0  # one run so much slower or faster than said is somebody else's doing, unless it happens again
_TINY_S, _TINY_FACTOR = 5e-3, 2.5  # a token that short and that late was held up by the engine, not by the memory
_CACHE_BYTES = 32e6  # the last cache of a desktop's processor: what a token reads of a smaller model may stay in it
_ENOUGH_ROWS, _OUTLIER, _ROUNDS = 3, 0.1, 3  # beyond 10 % off, a row counts less (reweighted least squares)
_TAKES_PART = 0.15  # a device that took less of the time than this was not measured by it
_SURE_OFFSET_BYTES, _MOST_OFFSET_SHARE = 64 << 20, 0.15


# What stands in a device's place for the cost of a token beside its layers.
ENGINE = "engine"


class Task(StrEnum):
    """What was measured."""

    DECODE = "decode"
    PREFILL = "prefill"


@dataclass(frozen=True)
class DeviceTime:
    """What one device has to do for one token, and how fast it is said to be."""

    label: str  # as Room.label, or ENGINE
    backend: Backend
    work: float  # bytes read (decode) or multiplications (prefill)
    work_per_s: float
    steps: float = 0.0  # layers (decode) or bytes brought from RAM (prefill)
    step_s: float = 0.0

    @property
    def total_s(self) -> float:
        return self.work / self.work_per_s + self.steps * self.step_s


@dataclass(frozen=True)
class MemoryObservation:
    """What one device held of a loaded model."""

    architecture: str
    label: str
    backend: Backend
    kv_type: KvType
    predicted_bytes: int  # by arithmetic alone, without anything learnt
    said_bytes: int  # what the person was told
    measured_bytes: int
    when_s: float


@dataclass(frozen=True)
class SpeedObservation:
    """How fast one answer was written, or one prompt read."""

    task: Task
    model: str  # model_key of its shape
    times: tuple[DeviceTime, ...]  # by the priors alone, without anything learnt
    said_s: float  # a token, as the person was told
    measured_s: float  # a token
    when_s: float


Observation = MemoryObservation | SpeedObservation
DeviceKey = tuple[str, Backend]
MemoryKey = tuple[str, str, Backend, KvType]  # architecture, label, backend, KV type


@dataclass(frozen=True)
class MemoryLesson:
    """How far the arithmetic is off for such a load on one device."""

    offset_bytes: int
    within: float  # the worst of the last predictions, as a share


@dataclass(frozen=True)
class SpeedLesson:
    """How fast a device turned out to be, in the terms of DeviceTime."""

    work_per_s: float
    step_s: float


@dataclass(frozen=True)
class Learnt:
    """Everything that was learnt on this machine; the empty one knows nothing and corrects nothing."""

    memory: Mapping[MemoryKey, MemoryLesson] = field(default_factory=dict)
    speed: Mapping[tuple[Task, str, Backend], SpeedLesson] = field(default_factory=dict)
    answered: frozenset[tuple[Task, str]] = frozenset()  # the models that it was learnt from, by their keys

    def lesson(self, task: Task, label: str, backend: Backend) -> SpeedLesson | None:
        """What was learnt about a device's speed; None where it never took part."""
        return self.speed.get((task, label, backend))

    def within(self, architecture: str, kv_type: KvType, rooms: Iterable[Room]) -> float | None:
        """How far the last predictions of such a load were off, at worst over these devices; None: never checked."""
        keys = ((architecture, room.label, room.backend, kv_type) for room in rooms)
        shares = [self.memory[key].within for key in keys if key in self.memory]
        return max(shares) if shares else None


NOTHING = Learnt()


def model_key(shape: ModelShape) -> str:
    """What tells models and their quants apart: "llama 4920734208"."""
    return f"{shape.architecture} {shape.weights_bytes}"


class _Which(Enum):
    """The two unknowns of a device, and the one of the engine."""

    WORK = "work"
    STEPS = "steps"
    TOKEN = "token"


Unknown = tuple[DeviceKey, _Which]
# How strongly a factor stays at 1: the squared scatter of a measurement (3 %) over that of the prior. Bandwidths are
# known from data sheets (30 %), the engine's overhead on a machine is not (55 %), and nobody knows what happens around
# a token (10 times).
_STIFF = {_Which.WORK: 0.01, _Which.STEPS: 0.003, _Which.TOKEN: 9e-6}


def learn(observations: Sequence[Observation]) -> Learnt:
    """What these observations, in any order, teach together."""
    ordered = sorted(observations, key=lambda one: one.when_s)
    memory = [one for one in ordered if isinstance(one, MemoryObservation) and _is_sane(one)]
    speeds = [one for one in ordered if isinstance(one, SpeedObservation) and _is_telling(one)]
    lessons = {key: lesson for task in Task for key, lesson in _speed_lessons(task, speeds)}
    return Learnt(_memory_lessons(memory), lessons, frozenset((one.task, one.model) for one in speeds))


def corrected(need: Need, architecture: str, kv_type: KvType, rooms: Rooms, learnt: Learnt) -> Need:
    """The need with what earlier loads of this kind took more or less; it shows as working memory."""

    def on(room: Room, one: DeviceNeed) -> DeviceNeed:
        lesson = learnt.memory.get((architecture, room.label, room.backend, kv_type))
        if lesson is None or not one.total_bytes:
            return one
        offset_bytes = _bounded_offset(lesson.offset_bytes, one.total_bytes)
        return replace(one, compute_bytes=max(0, one.compute_bytes + offset_bytes))

    return Need(on(rooms.ram, need.ram), tuple(map(on, rooms.gpus, need.gpus)))


def _is_sane(one: MemoryObservation) -> bool:
    return one.predicted_bytes > 0 and one.measured_bytes > 0


def _is_telling(one: SpeedObservation) -> bool:
    """Whether it says something of a memory: a tiny model that is faster than it was read from the processor's cache.

    The built-in model is what most people load first. It must not flatter the RAM.
    """
    if one.measured_s <= 0 or not one.times:
        return False
    read_bytes = sum(time.work for time in one.times if time.label != ENGINE)
    is_tiny = one.task is Task.DECODE and read_bytes < _CACHE_BYTES
    return not (is_tiny and one.measured_s < sum(time.total_s for time in one.times))


def _memory_lessons(observations: Iterable[MemoryObservation]) -> dict[MemoryKey, MemoryLesson]:
    groups: dict[MemoryKey, list[MemoryObservation]] = {}
    for one in observations:
        groups.setdefault((one.architecture, one.label, one.backend, one.kv_type), []).append(one)
    return {key: _memory_lesson(group) for key, group in groups.items()}


def _memory_lesson(group: Sequence[MemoryObservation]) -> MemoryLesson:
    last = group[-_KEPT_EACH:]
    offset = round(median(one.measured_bytes - one.predicted_bytes for one in last))
    within = max(abs(one.said_bytes - one.measured_bytes) / one.measured_bytes for one in group[-_SAID:])
    return MemoryLesson(_bounded_offset(offset, last[-1].predicted_bytes), within)


def _bounded_offset(offset_bytes: int, total_bytes: int) -> int:
    """What a load of that size may be off by: a lesson of a large one is not the measure of a small one."""
    most = max(_SURE_OFFSET_BYTES, round(_MOST_OFFSET_SHARE * total_bytes))
    return max(-most, min(most, offset_bytes))


@dataclass(frozen=True)
class _Row:
    """One equation: the shares of the measured time that the priors give to each unknown sum to 1."""

    shares: Mapping[Unknown, float]

    def sum_with(self, factors: Mapping[Unknown, float]) -> float:
        return sum(share * factors[key] for key, share in self.shares.items())

    def share_of(self, device: DeviceKey) -> float:
        own = sum(share for (key, _), share in self.shares.items() if key == device)
        return own / sum(self.shares.values())


def _speed_lessons(
    task: Task, observations: Iterable[SpeedObservation]
) -> Iterable[tuple[tuple[Task, str, Backend], SpeedLesson]]:
    of_task = [one for one in observations if one.task is task]
    latest = {(one.label, one.backend): one for each in of_task for one in each.times}
    rows = _rows(of_task, latest)
    factors = _solved(rows)
    for device, prior in latest.items():
        if device[0] == ENGINE or any(row.share_of(device) >= _TAKES_PART for row in rows):
            work = factors.get((device, _Which.WORK), 1.0)
            steps = factors.get((device, _steps_of(device)), 1.0)
            yield (task, *device), SpeedLesson(prior.work_per_s / work, prior.step_s * steps)


def _steps_of(device: DeviceKey) -> _Which:
    return _Which.TOKEN if device[0] == ENGINE else _Which.STEPS


def _rows(observations: Iterable[SpeedObservation], latest: Mapping[DeviceKey, DeviceTime]) -> list[_Row]:
    """One row for each kind of answer, in its usual time: what else runs on a machine only ever makes one slower."""
    groups: dict[tuple[Any, ...], list[SpeedObservation]] = {}
    for one in observations:
        groups.setdefault((one.model, *map(_kind, one.times)), []).append(one)
    last = [group[-_KEPT_EACH:] for group in groups.values()][-_ROWS:]
    return [row for group in last if (row := _row_of(group, latest)) is not None]


def _row_of(group: Sequence[SpeedObservation], latest: Mapping[DeviceKey, DeviceTime]) -> _Row | None:
    measured_s = median_low([one.measured_s for one in group])
    row = _row(group[-1].times, measured_s, latest)
    if len(group) == 1 and not 1 / _ABSURD < sum(row.shares.values()) < _ABSURD:
        return None
    return _held_up(row, measured_s) or row


def _kind(time: DeviceTime) -> tuple[str, Backend, str, str]:
    """To two digits: the same model at nearly the same depth is the same thing measured again."""
    return time.label, time.backend, f"{time.work:.1e}", f"{time.steps:.1e}"


def _row(times: Iterable[DeviceTime], measured_s: float, latest: Mapping[DeviceKey, DeviceTime]) -> _Row:
    """The priors of the latest observation stand for all: a table may have been corrected since, a RAM probed."""
    shares: dict[Unknown, float] = {}
    for one in times:
        device = (one.label, one.backend)
        prior = latest.get(device, one)
        times_s = {_Which.WORK: one.work / prior.work_per_s, _steps_of(device): one.steps * prior.step_s}
        for which, seconds in times_s.items():
            if seconds > 0:
                shares[device, which] = shares.get((device, which), 0.0) + seconds / measured_s
    return _Row(shares)


def _held_up(row: _Row, measured_s: float) -> _Row | None:
    """The row with the engine alone to blame, where a tiny model took longer than its devices could: else None.

    The built-in model is what most people load first. It must not slander the RAM.
    """
    engine = {key: share for key, share in row.shares.items() if key[1] is _Which.TOKEN}
    explained = sum(row.shares.values()) - sum(engine.values())
    if not engine or explained * measured_s > _TINY_S or explained * _TINY_FACTOR > 1:
        return None
    return _Row({key: share / (1 - explained) for key, share in engine.items()})


def _solved(rows: Sequence[_Row]) -> dict[Unknown, float]:
    """The factors on the priors' times that explain the rows best.

    Each round starts from what the last one found, so that a part that is far off is reached all the same; with three
    rows or more an outlier counts less in every round.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row.shares))
    factors = dict.fromkeys(keys, 1.0)
    weights = [1.0] * len(rows)
    for _ in range(_ROUNDS):
        factors = _ridge(keys, rows, weights, factors)
        misses = [abs(row.sum_with(factors) - 1.0) for row in rows]
        if len(rows) >= _ENOUGH_ROWS:
            weights = [min(1.0, _OUTLIER / miss) if miss else 1.0 for miss in misses]
    return factors


def _bounded(which: _Which, factor: float) -> float:
    return max(_FASTEST, min(_SLOWEST_ENGINE if which is _Which.TOKEN else _SLOWEST, factor))


def _ridge(
    keys: Sequence[Unknown], rows: Sequence[_Row], weights: Sequence[float], start: Mapping[Unknown, float]
) -> dict[Unknown, float]:
    """Least squares of sum(share x factor) = 1 over the rows and factor = start over the keys, within their bounds."""
    columns = [[row.shares.get(key, 0.0) for row in rows] for key in keys]
    matrix = [[_dot(weights, one, other) for other in columns] for one in columns]
    right = [_dot(weights, one) for one in columns]
    for index, key in enumerate(keys):
        matrix[index][index] += _STIFF[key[1]]
        right[index] += _STIFF[key[1]] * start[key]
    return {key: _bounded(key[1], factor) for key, factor in zip(keys, _gauss(matrix, right), strict=True)}


def _dot(*lists: Sequence[float]) -> float:
    return sum(map(prod, zip(*lists, strict=True)))


def _gauss(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solves a small symmetric system with a strong diagonal, so without pivots."""
    size = len(right)
    for pivot in range(size):
        for line in range(pivot + 1, size):
            ratio = matrix[line][pivot] / matrix[pivot][pivot]
            matrix[line] = [one - ratio * other for one, other in zip(matrix[line], matrix[pivot], strict=True)]
            right[line] -= ratio * right[pivot]
    found = [0.0] * size
    for line in reversed(range(size)):
        known = sum(matrix[line][column] * found[column] for column in range(line + 1, size))
        found[line] = (right[line] - known) / matrix[line][line]
    return found
