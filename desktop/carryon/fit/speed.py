"""How fast a model answers and reads: bytes per token over bandwidth, plus a fixed cost per layer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from carryon.fit import priors
from carryon.fit.calibration import ENGINE, NOTHING, DeviceTime, Learnt, Task, model_key
from carryon.fit.placement import Placement
from carryon.fit.room import Backend, Room, Rooms
from carryon.fit.traffic import Traffic, Traffics, traffics
from carryon.gguf.shape import ModelShape
from carryon.hardware.machine import DeviceKind, Machine
from carryon.hardware.parts import Part, part_named, ram_class


class Basis(StrEnum):
    """What a speed is known from, from the best to the worst."""

    MEASURED = "measured"  # this machine answered, with this model or with others
    PROBED = "probed"  # the memory's bandwidth was measured here
    PARTS = "parts"  # from the published figures of the parts
    GUESSED = "guessed"  # an unknown part: a cautious prior


# How far a speed may be off. Calibrated and prior: section 5 of the reference; a probe is in between, and whoever
# guesses a part may be off by half.
SPREAD = {Basis.MEASURED: 0.10, Basis.PROBED: 0.20, Basis.PARTS: 0.25, Basis.GUESSED: 0.50}
# What other models taught holds less well: of 200 simulated machines with noisy answers six in seven are within it.
_OTHER_MODELS_SPREAD = 0.18
_WORST_FIRST = (Basis.GUESSED, Basis.PARTS, Basis.PROBED, Basis.MEASURED)
_MATTERS = 0.1  # of the time; what a device with less is known from is not told

# From one GPU to the next: 8B on 1, 2, 4 GPUs of 3090 and 4090 each (GPU-Benchmarks-on-LLM-Inference), 0.1 to 0.36 ms.
_NEXT_GPU_S = 200e-6
# A layer whose experts are on the CPU goes there and back: two copies and two waits.
_TO_CPU_AND_BACK_S = 40e-6
# Prefill: how much of its rate a GPU reaches with small batches. RTX 4090, 8B Q4_0: 5420, 7443, 9601, 10358 tokens/s
# at 64, 128, 256, 512 (llama.cpp #7676).
_HALF_BATCH, _USUAL_BATCH = 64.0, 512.0
# Attention runs at about half the rate of the matrices (llama.cpp #17505: pp at depths up to 32768).
_ATTENTION_COST = 2.0
# Of the experts in RAM a batch of 512 needs 72 to 95 of 128 (llama.cpp #15346).
_EXPERTS_TOUCHED = 0.65


@dataclass(frozen=True)
class DeviceSpeed:
    """What decides the speed on one device."""

    name: str  # as Room.name
    weights_bytes_per_s: float  # effective, for weights read at decode
    kv_bytes_per_s: float  # effective, for the KV cache
    layer_s: float  # fixed cost of one layer of a dense model
    flops: float  # effective, dense, for prefill
    upload_bytes_per_s: float = 0.0  # from RAM to this device, for weights that stay in RAM at prefill; 0 = the RAM
    unpacking: float = 0.0  # low-bit weights take longer than their bytes by this share of Traffic.unpacking_bytes
    basis: Basis = Basis.GUESSED
    prefill_basis: Basis = Basis.GUESSED
    prior: "DeviceSpeed | None" = None  # what it was before anything was learnt


@dataclass(frozen=True)
class Speeds:
    """The RAM's and the GPUs', in the order of the rooms."""

    ram: DeviceSpeed
    gpus: tuple[DeviceSpeed, ...] = ()
    token_s: float = priors.TOKEN_S  # what every token costs beside its layers: the loop around them, sampling, sending
    answered: frozenset[tuple[Task, str]] = frozenset()  # the models that were measured here

    @property
    def priors(self) -> "Speeds":
        """The same without anything learnt."""
        return Speeds(self.ram.prior or self.ram, tuple([one.prior or one for one in self.gpus]))


@dataclass(frozen=True)
class Pace:
    """A range of tokens per second and what it is known from."""

    low: float
    high: float
    basis: Basis

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2


def speeds_of(
    machine: Machine, rooms: Rooms, ram_bytes_per_s: float | None = None, learnt: Learnt = NOTHING
) -> Speeds:
    """What the parts of a machine give, corrected by what was measured on it.

    `ram_bytes_per_s` is what reading the RAM was measured to give, None where nobody measured it.
    """
    ram = _ram(machine, rooms, ram_bytes_per_s)
    own = _corrected(_ram_speed(machine, rooms, ram), rooms.ram, learnt)
    gpus = (_gpu_speed(room, _part(machine, rooms, room), ram) for room in rooms.gpus)
    corrected = (_corrected(one, room, learnt) for one, room in zip(gpus, rooms.gpus, strict=True))
    token = learnt.lesson(Task.DECODE, ENGINE, Backend.OTHER)
    return Speeds(own, tuple(corrected), token.step_s if token else priors.TOKEN_S, learnt.answered)


def decode_pace(
    shape: ModelShape, placement: Placement, rooms: Rooms, speeds: Speeds, depth_tokens: int = 0
) -> Pace:
    """Tokens per second while an answer is written, with so many tokens in the context."""
    passes = traffics(shape, placement, rooms, depth_tokens)
    return _decode_pace(shape, _decode_times(shape, passes, rooms, speeds), speeds)


def prefill_pace(
    shape: ModelShape, placement: Placement, rooms: Rooms, speeds: Speeds, depth_tokens: int = 0
) -> Pace:
    """Tokens per second while a prompt is read, with so many tokens in the context already."""
    passes = traffics(shape, placement, rooms, depth_tokens)
    return _prefill_pace(shape, _prefill_times(shape, placement, passes, rooms, speeds), speeds)


def paces(
    shape: ModelShape, placement: Placement, rooms: Rooms, speeds: Speeds, depth_tokens: int
) -> tuple[Pace, Pace]:
    """Tokens per second while an answer is written with so many tokens in the context, and while a prompt begins."""
    passes = traffics(shape, placement, rooms, depth_tokens)
    decode = _decode_times(shape, passes, rooms, speeds)
    prefill = _prefill_times(shape, placement, passes.at_start, rooms, speeds)
    return _decode_pace(shape, decode, speeds), _prefill_pace(shape, prefill, speeds)


def decode_times(
    shape: ModelShape, placement: Placement, rooms: Rooms, speeds: Speeds, depth_tokens: int = 0
) -> tuple[DeviceTime, ...]:
    """The time of one token on the RAM's side, on each GPU and around them: one after the other, so it is a sum."""
    return _decode_times(shape, traffics(shape, placement, rooms, depth_tokens), rooms, speeds)


def prefill_times(
    shape: ModelShape, placement: Placement, rooms: Rooms, speeds: Speeds, depth_tokens: int = 0
) -> tuple[DeviceTime, ...]:
    """The time of one token of a long prompt. What lies in RAM is brought batch by batch to a GPU that can help."""
    passes = traffics(shape, placement, rooms, depth_tokens)
    return _prefill_times(shape, placement, passes, rooms, speeds)


def _decode_pace(shape: ModelShape, times: Sequence[DeviceTime], speeds: Speeds) -> Pace:
    bases = [speeds.ram.basis, *[one.basis for one in speeds.gpus], Basis.MEASURED]
    return _pace(times, bases, _is_known(Task.DECODE, shape, speeds))


def _prefill_pace(shape: ModelShape, times: Sequence[DeviceTime], speeds: Speeds) -> Pace:
    bases = [speeds.ram.prefill_basis, *[one.prefill_basis for one in speeds.gpus]]
    return _pace(times, bases, _is_known(Task.PREFILL, shape, speeds))


def _is_known(task: Task, shape: ModelShape, speeds: Speeds) -> bool:
    return bool(speeds.answered) and (task, model_key(shape)) in speeds.answered


def _decode_times(shape: ModelShape, passes: Traffics, rooms: Rooms, speeds: Speeds) -> tuple[DeviceTime, ...]:
    overheads = [
        priors.layer_overhead(room.backend, shape.is_moe, passes.is_sandwiched) for room in (rooms.ram, *rooms.gpus)
    ]
    guests = sum(passes.cpu_expert_layers)  # layers of which only the experts are here
    starts = priors.CPU_START_LAYERS if passes.ram.n_layers or guests else 0.0
    at_cpu = _decode(rooms.ram, passes.ram, speeds.ram, passes.ram.n_layers * overheads[0] + guests + starts)
    gpus = (
        _decode(room, one, speed, one.n_layers * overhead + hop_s * _inverse(speed.layer_s))
        for room, one, speed, overhead, hop_s in zip(
            rooms.gpus, passes.gpus, speeds.gpus, overheads[1:], _hops(passes), strict=True
        )
    )
    return (at_cpu, *gpus, DeviceTime(ENGINE, Backend.OTHER, 0.0, 1.0, 1.0, speeds.token_s))


def _prefill_times(
    shape: ModelShape, placement: Placement, passes: Traffics, rooms: Rooms, speeds: Speeds
) -> tuple[DeviceTime, ...]:
    helper = _helper(rooms, speeds)
    n_tokens = placement.n_tokens
    fullness = _fullness(n_tokens) * (priors.MOE_PREFILL_SHARE if shape.is_moe else 1.0)
    work = [_arithmetic(one) / fullness for one in passes.gpus]
    brought = [0.0] * len(work)
    left = _arithmetic(passes.ram)
    if helper is not None:
        work[helper] += left / fullness
        stored = passes.ram_stored_bytes + _EXPERTS_TOUCHED * passes.experts_stored_bytes
        brought[helper], left = stored / n_tokens, 0.0
    gpus = (
        DeviceTime(room.label, room.backend, one, speed.flops, bytes_, _inverse(speed.upload_bytes_per_s))
        for room, one, speed, bytes_ in zip(rooms.gpus, work, speeds.gpus, brought, strict=True)
    )
    return (DeviceTime(rooms.ram.label, rooms.ram.backend, left, speeds.ram.flops), *gpus)


def _decode(room: Room, one: Traffic, speed: DeviceSpeed, steps: float) -> DeviceTime:
    if one.is_idle:
        return DeviceTime(room.label, room.backend, 0.0, speed.weights_bytes_per_s)
    kv_bytes = one.kv_bytes * speed.weights_bytes_per_s / speed.kv_bytes_per_s  # in bytes of weights that take as long
    work = one.weights_bytes + speed.unpacking * one.unpacking_bytes + kv_bytes
    return DeviceTime(room.label, room.backend, work, speed.weights_bytes_per_s, steps, speed.layer_s)


def _hops(passes: Traffics) -> list[float]:
    """What it costs to come to each GPU from the one before, and to go to the CPU's experts and back."""
    busy = [not one.is_idle for one in passes.gpus]
    return [
        (_NEXT_GPU_S if busy[index] and any(busy[:index]) else 0.0) + layers * _TO_CPU_AND_BACK_S
        for index, layers in enumerate(passes.cpu_expert_layers)
    ]


def _inverse(rate: float) -> float:
    return 1 / rate if rate else 0.0


def _arithmetic(one: Traffic) -> float:
    return 2.0 * (one.params + _ATTENTION_COST * one.attention)


def _fullness(n_tokens: int) -> float:
    """The share of its usual rate that a GPU reaches with batches of this size."""
    return n_tokens / (n_tokens + _HALF_BATCH) * (_USUAL_BATCH + _HALF_BATCH) / _USUAL_BATCH


def _helper(rooms: Rooms, speeds: Speeds) -> int | None:
    """The GPU that computes prompts with weights that lie in RAM (ggml: offload_op), if one does."""
    able = (index for index, one in enumerate(speeds.gpus) if one.upload_bytes_per_s and not rooms.is_unified)
    return next((index for index in able if rooms.gpus[index].backend is not Backend.RPC), None)


def _pace(times: Sequence[DeviceTime], bases: Sequence[Basis], is_known: bool) -> Pace:
    """A device's uncertainty counts by its share of the time; the basis is the worst that matters.

    `is_known`: this very model was measured here.
    """
    seconds = [one.total_s for one in times]
    total_s = sum(seconds)
    if not total_s:
        return Pace(0.0, 0.0, Basis.GUESSED)
    spread = sum([own_s * SPREAD[basis] for own_s, basis in zip(seconds, bases, strict=True)]) / total_s
    if not is_known:
        spread = max(spread, _OTHER_MODELS_SPREAD)
    matter = [basis for own_s, basis in zip(seconds, bases, strict=True) if own_s >= _MATTERS * total_s]
    return Pace((1 - spread) / total_s, (1 + spread) / total_s, min(matter, key=_WORST_FIRST.index))


def _part(machine: Machine, rooms: Rooms, room: Room) -> Part | None:
    """What the table knows of a GPU; the RAM's size tells unified parts of one name apart."""
    return part_named(room.label, machine.ram.total_bytes if rooms.is_unified else room.total_bytes)


@dataclass(frozen=True)
class _Ram:
    """What is known of the RAM: its speed, and from where."""

    bytes_per_s: float
    is_probed: bool = False
    is_unified: bool = False  # one memory with a GPU, whose maker gives its speed


def _ram(machine: Machine, rooms: Rooms, probed: float | None) -> _Ram:
    if probed:
        return _Ram(probed, is_probed=True)
    parts = [_part(machine, rooms, room) for room in rooms.gpus]
    shared = next((part for part in parts if part is not None and part.is_unified), None)
    return _Ram(shared.bytes_per_s, is_unified=True) if shared else _Ram(ram_class(machine.cpu).bytes_per_s)


def _ram_speed(machine: Machine, rooms: Rooms, ram: _Ram) -> DeviceSpeed:
    share = priors.CPU_SHARE_OF_UNIFIED if ram.is_unified else priors.CPU_SHARE_OF_PAPER
    reached = ram.bytes_per_s * (priors.CPU_SHARE_OF_PROBED if ram.is_probed else share)
    cores = machine.cpu.performance_cores or machine.cpu.physical_cores or 4
    return DeviceSpeed(
        name=rooms.ram.name,
        weights_bytes_per_s=min(reached, cores * priors.CPU_CORE_BYTES_PER_S),
        kv_bytes_per_s=reached * priors.CPU_KV_SHARE,
        layer_s=priors.CPU_LAYER_US * 1e-6,
        flops=priors.cpu_flops(machine.cpu),
        unpacking=priors.CPU_UNPACKING,
        basis=Basis.PROBED if ram.is_probed else Basis.PARTS if ram.is_unified else Basis.GUESSED,
    )


def _gpu_speed(room: Room, part: Part | None, ram: _Ram) -> DeviceSpeed:
    character = priors.character_of(part.generation if part else None, room.backend)
    guessed_peak, guessed_flops = priors.guessed_peak(room.total_bytes, room.kind)
    own = part.bytes_per_s if part else guessed_peak  # 0: it works in the RAM
    return DeviceSpeed(
        name=room.name,
        weights_bytes_per_s=(own or ram.bytes_per_s) * character.weights_share,
        kv_bytes_per_s=(own or ram.bytes_per_s) * character.kv_share,
        layer_s=character.layer_us * 1e-6,
        flops=(part.flops if part else guessed_flops) * character.prefill_share,
        unpacking=character.unpacking,
        upload_bytes_per_s=0.0 if room.kind is DeviceKind.IGPU else character.upload_gb_per_s * 1e9,
        basis=_gpu_basis(part, ram),
        prefill_basis=Basis.PARTS if part else Basis.GUESSED,
    )


def _gpu_basis(part: Part | None, ram: _Ram) -> Basis:
    if part is None:
        return Basis.GUESSED
    if part.bytes_per_s:
        return Basis.PARTS
    return Basis.PROBED if ram.is_probed else Basis.GUESSED


def _corrected(speed: DeviceSpeed, room: Room, learnt: Learnt) -> DeviceSpeed:
    """The same device with the factors that were learnt on this machine."""
    write, read = (learnt.lesson(task, room.label, room.backend) for task in (Task.DECODE, Task.PREFILL))
    known = replace(speed, prior=speed)
    if write:
        gain = write.work_per_s / speed.weights_bytes_per_s
        known = replace(
            known,
            weights_bytes_per_s=write.work_per_s,
            kv_bytes_per_s=speed.kv_bytes_per_s * gain,
            layer_s=write.step_s or speed.layer_s,
            basis=Basis.MEASURED,
        )
    if read:
        upload = 1 / read.step_s if read.step_s else speed.upload_bytes_per_s
        known = replace(known, flops=read.work_per_s, upload_bytes_per_s=upload, prefill_basis=Basis.MEASURED)
    return known
