"""Every sentence about a fit, for the window and for the command: states come in, words go out. No Qt."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from carryon.base.units import MEMORY_GB, NOT_MEASURED, context_text, memory_text
from carryon.fit.answers import RANK, Basis, Change, Fit, Limit, Repair, Verdict
from carryon.fit.memory import DeviceNeed
from carryon.fit.quality import MEASURED_ON, Grade, Quality
from carryon.fit.room import Room, Rooms
from carryon.fit.speed import Basis as PaceBasis
from carryon.fit.speed import Pace
from carryon.hardware.machine import DeviceKind

_MAKERS = re.compile(r"^(NVIDIA|AMD|Intel(\(R\))?)\s+|\b(GeForce|Radeon)\s+|\((R|TM)\)|\s+Graphics$", re.IGNORECASE)

PACE_BASES = {
    PaceBasis.MEASURED: "speed measured on this machine",
    PaceBasis.PROBED: "speed from the memory bandwidth measured here",
    PaceBasis.PARTS: "speed from the parts' published figures",
    PaceBasis.GUESSED: "speed partly guessed: not all parts are known",
}
MEMORY_BASES = {
    Basis.INSTANT: "memory calculated from the file's header",
    Basis.DRY_RUN: "memory: the engine's own plan",
    Basis.MEASURED: "memory measured after loading",
}
GRADES = {
    Grade.ORIGINAL: "original",
    Grade.NEAR_LOSSLESS: "near lossless",
    Grade.EXCELLENT: "excellent",
    Grade.VERY_GOOD: "very good",
    Grade.GOOD: "good",
    Grade.FAIR: "fair",
    Grade.POOR: "poor",
    Grade.BROKEN: "broken",
}
LIMITS = {
    Limit.VRAM: "The GPU's memory is the limit.",
    Limit.RAM: "The RAM is the limit.",
    Limit.NO_GPU: "No GPU can be used, so the speed of the RAM is the limit.",
    Limit.TRAINED_CONTEXT: "The context the model was trained for is the limit.",
    Limit.WISHES: "Your own settings are the limit: more of the model would fit on the GPU.",
    Limit.NOTHING: "Nothing is in the way: it fits with room to spare.",
}


def verdict_text(fit: Fit) -> str:
    """'Fits on the GPU', 'Fits, split', 'Too big by 3.2 GB'."""
    match fit.verdict:
        case Verdict.GPU:
            count = sum(one.weights_bytes > 0 for one in fit.need.gpus)
            return f"Fits on {count} GPUs" if count > 1 else "Fits on the GPU"
        case Verdict.SPLIT:
            return "Fits, split"
        case Verdict.RAM:
            return "Fits in RAM"
        case Verdict.DISK:
            return "Runs from disk, slow"
        case Verdict.TOO_BIG:
            return f"Too big by {memory_text(fit.missing_bytes)}"


def verdict_sentence(fit: Fit, rooms: Rooms) -> str:
    """The verdict and what it means, in one or two sentences."""
    match fit.verdict:
        case Verdict.GPU:
            return f"{verdict_text(fit)}: {layers_text(fit)} on {gpus_text(fit, rooms)}."
        case Verdict.SPLIT:
            return f"Fits, split between {gpus_text(fit, rooms)} and RAM: {split_text(fit)}."
        case Verdict.RAM:
            return "Fits in RAM. The processor does all the work."
        case Verdict.DISK:
            return f"Runs from disk, slow: {shortage_text(fit, rooms)}"
        case Verdict.TOO_BIG:
            return f"Too big by {memory_text(fit.missing_bytes)}. {shortage_text(fit, rooms)}"


def shortage_text(fit: Fit, rooms: Rooms) -> str:
    """What it means that it does not fit, in a sentence."""
    if fit.verdict is Verdict.DISK:
        missing = memory_text(fit.missing_bytes)
        return f"{missing} of the weights find no room in RAM and are read from the disk again and again."
    pairs = [*zip(fit.need.gpus, rooms.gpus, strict=True), (fit.need.ram, rooms.ram)]
    if all(one.total_bytes <= room.free_bytes for one, room in pairs) and not rooms.is_unified:
        return "It would fit only into what is kept in reserve for other programs."
    return "It can be loaded anyway, but that may fail."


def layers_text(fit: Fit) -> str:
    """'all 33 layers', '28 of 33 layers'; the output layer counts as one."""
    most = fit.candidate.shape.n_gpu_layers_max
    placed = fit.placement.n_gpu_layers
    return f"all {most} layers" if placed >= most else f"{placed} of {most} layers"


def split_text(fit: Fit) -> str:
    """'28 of 33 layers on the GPU', 'experts of 22 of 48 layers in RAM'."""
    shape, placed = fit.candidate.shape, fit.placement
    experts = f"experts of {placed.n_cpu_experts} of {shape.n_layers} layers in RAM"
    if not (shape.is_moe and placed.n_cpu_experts):
        return f"{layers_text(fit)} on the GPU"
    if placed.n_gpu_layers >= shape.n_gpu_layers_max:
        return experts
    return f"{layers_text(fit)} on the GPU, {experts}"


def gpus_text(fit: Fit, rooms: Rooms) -> str:
    """'RTX 4060', 'RTX 3090 and RTX 3060': the GPUs that hold anything; equal ones are counted."""
    names = [short_name(room.label) for one, room in zip(fit.need.gpus, rooms.gpus, strict=True) if one.weights_bytes]
    counted = [f"{names.count(name)} × {name}" if names.count(name) > 1 else name for name in dict.fromkeys(names)]
    return listed(counted) if counted else "the GPU"


def short_name(label: str) -> str:
    """'NVIDIA GeForce RTX 4060' is 'RTX 4060' to everybody."""
    return _MAKERS.sub("", label).strip() or label


def range_text(pace: Pace) -> str:
    """'38–46', '3.1–4.0', 'up to 0.4', 'below 0.1'; a dash where nothing can be said."""
    if pace.high <= 0:
        return NOT_MEASURED
    if pace.high < 0.1:
        return "below 0.1"
    low, high = _speed(pace.low), _speed(pace.high)
    if low == "0.0":
        return f"up to {high}"
    return high if low == high else f"{low}–{high}"


def _speed(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}"


def pace_text(pace: Pace) -> str:
    """'38–46 tokens/s'."""
    spoken = range_text(pace)
    return spoken if spoken == NOT_MEASURED else f"{spoken} tokens/s"


def basis_text(fit: Fit) -> str:
    """'speed from the parts' published figures, with 2k tokens in the context · memory calculated …'."""
    if fit.decode.high <= 0:
        return memory_basis_text(fit)
    return f"{pace_basis_text(fit)} · {memory_basis_text(fit)}"


def pace_basis_text(fit: Fit) -> str:
    """What the speed is known from, and how far into a chat: it falls as the context fills."""
    if fit.verdict is Verdict.DISK:
        return "speed guessed: it depends on the disk"
    return f"{PACE_BASES[fit.decode.basis]}, with {context_text(fit.placement.depth_tokens)} tokens in the context"


def memory_basis_text(fit: Fit) -> str:
    """What the memory figures come from, and how well they did here before."""
    if fit.within is None:
        return MEMORY_BASES[fit.basis]
    return f"{MEMORY_BASES[fit.basis]}, checked on this machine: {within_text(fit.within)}"


def within_text(share: float) -> str:
    """'within 2 %', 'within 0.3 %'."""
    percent = share * 100
    return f"within {percent:.0f} %" if percent >= 1 else f"within {max(percent, 0.1):.1f} %"


def parameters_text(n_params: int) -> str:
    """'8.2 B parameters', '135 M parameters'."""
    if n_params >= 1e9:
        return f"{n_params / 1e9:.1f} B parameters"
    return f"{n_params / 1e6:.0f} M parameters" if n_params >= 1e7 else f"{n_params / 1e6:.1f} M parameters"


def quality_text(quality: Quality) -> str:
    """'good', 'near lossless', 'measured: +1.2 % perplexity, KL 0.013'."""
    return _measured_text(quality) if quality.measured_against else GRADES[quality.grade]


def quality_sentence(quality: Quality) -> str:
    """'Quality: good, typically 2.8 % higher perplexity than the original (Llama-3-8B).'"""
    if quality.measured_against:
        grade = GRADES[quality.grade] if quality.grade is not Grade.ORIGINAL else "nothing is lost"
        return f"Quality: {grade}, {_measured_text(quality)} (against {quality.measured_against})."
    if quality.grade is Grade.ORIGINAL:
        return "Quality: the original, nothing is lost."
    if quality.perplexity_rise is None:
        return f"Quality: {quality_text(quality)}."
    percent = f"{quality.perplexity_rise * 100:.1f}" if quality.perplexity_rise >= 0.001 else "under 0.1"
    typical = f"typically {percent} % higher perplexity than the original ({MEASURED_ON})"
    return f"Quality: {quality_text(quality)}, {typical}."


def divergence_text(kl_divergence: float) -> str:
    """'0.013', '0.00042', two digits of what is small: nothing below a millionth, which is what rounding leaves."""
    if kl_divergence < 1e-6:
        return "0"
    decimals = 3 if kl_divergence >= 0.01 else 1 - math.floor(math.log10(kl_divergence))
    return f"{kl_divergence:.{decimals}f}"


def _measured_text(quality: Quality) -> str:
    rise = "" if quality.perplexity_rise is None else f"{quality.perplexity_rise * 100:+.1f} % perplexity, "
    return f"measured: {rise}KL {divergence_text(quality.kl_divergence or 0.0)}"


def limit_text(limit: Limit) -> str:
    """What limits, in a sentence."""
    return LIMITS[limit]


def beside(verdict: str, reasons: Sequence[str]) -> tuple[str, ...]:
    """The reasons without those that the sentence of the verdict has said already."""
    return tuple(one for one in reasons if one not in verdict)


def summary(fit: Fit, rooms: Rooms, *, is_choice: bool) -> str:
    """'Q4_K_M is recommended. Needs 5.9 of 7.2 GB free on RTX 4060 (weights 4.4, context 8k 1.1, reserve 0.3).'"""
    named = fit.candidate.quant
    chosen = f"{named} is recommended." if fit.verdict.fits else f"Nothing fits; {named} comes nearest."
    needs = f"Needs {listed(_needs(fit, rooms))}."
    return f"{chosen} {needs}" if is_choice and named else needs


def _needs(fit: Fit, rooms: Rooms) -> list[str]:
    """What is needed of every memory that matters: those with weights, or those that are too small."""
    n_ctx = fit.placement.n_ctx
    if rooms.is_unified:
        return [_need_text(_together((fit.need.ram, *fit.need.gpus)), rooms.ram, n_ctx)]
    gpus = [(one, room) for one, room in zip(fit.need.gpus, rooms.gpus, strict=True) if one.weights_bytes]
    if len(gpus) > 1 and len({room.label for _, room in gpus}) == 1 and fit.verdict.fits:
        gpus = [_as_one(gpus)]
    rows = [*gpus, (fit.need.ram, rooms.ram)]
    if gpus and fit.verdict is Verdict.GPU:
        rows = gpus
    if fit.verdict is Verdict.TOO_BIG:
        rows = [(one, room) for one, room in rows if one.total_bytes > room.usable_bytes]
    return [_need_text(one, room, n_ctx) for one, room in rows]


def _need_text(one: DeviceNeed, room: Room, n_ctx: int) -> str:
    parts = [("weights", one.weights_bytes), (f"context {context_text(n_ctx)}", one.kv_bytes)]
    parts += [("working", one.compute_bytes + one.output_bytes), ("beside it", one.extra_bytes)]
    parts += [("reserve", room.reserve_bytes)]
    shown = ", ".join(f"{name} {_number(size)}" for name, size in parts if size >= MEMORY_GB / 20)
    place = "in RAM" if room.kind is DeviceKind.CPU else f"on {short_name(room.label)}"
    wanted = one.total_bytes + room.reserve_bytes
    return f"{_number(wanted)} of {_number(room.free_bytes)} GB free {place} ({shown})"


def _as_one(gpus: Sequence[tuple[DeviceNeed, Room]]) -> tuple[DeviceNeed, Room]:
    """Equal GPUs are told together: each of them has a bar of its own."""
    needs, rooms = zip(*gpus, strict=True)
    total = replace(
        rooms[0],
        label=f"{len(rooms)} × {short_name(rooms[0].label)}",
        free_bytes=sum(room.free_bytes for room in rooms),
        reserve_bytes=sum(room.reserve_bytes for room in rooms),
    )
    return _together(needs), total


def _number(size_bytes: int) -> str:
    return f"{size_bytes / MEMORY_GB:.1f}"


def _together(needs: Sequence[DeviceNeed]) -> DeviceNeed:
    return DeviceNeed(
        sum(one.weights_bytes for one in needs),
        sum(one.kv_bytes for one in needs),
        sum(one.compute_bytes for one in needs),
        sum(one.output_bytes for one in needs),
        sum(one.extra_bytes for one in needs),
    )


def repair_text(repair: Repair, before: Fit) -> str:
    """'KV cache q8_0: saves 1.4 GB, fits on the GPU'."""
    return f"{_change_text(repair, before)}: {_effect_text(repair, before)}"


def _change_text(repair: Repair, before: Fit) -> str:
    fit, placed = repair.fit, repair.fit.placement
    match repair.change:
        case Change.QUANT:
            return f"{fit.candidate.quant} instead of {before.candidate.quant}"
        case Change.KV_TYPE:
            return f"KV cache {placed.kv_type.value}"
        case Change.CONTEXT:
            return f"Context {context_text(placed.n_ctx)}"
        case Change.LAYERS:
            return "CPU only" if placed.n_gpu_layers == 0 else raised(f"{layers_text(fit)} on the GPU")
        case Change.EXPERTS:
            return f"Experts of {placed.n_cpu_experts} layers in RAM"
        case Change.UBATCH:
            return f"Ubatch {placed.n_ubatch}"
        case Change.PARALLEL:
            return f"One slot instead of {before.placement.n_parallel}"
        case Change.PROGRAM:
            return f"Close {repair.program.name if repair.program else 'another program'}"


def _effect_text(repair: Repair, before: Fit) -> str:
    """What it saves, and then how it fits or how much faster it is."""
    parts = [_saving_text(repair)] if repair.saves_bytes > MEMORY_GB / 20 else []
    if RANK[repair.fit.verdict] < RANK[before.verdict]:
        parts.append(_lowered(verdict_text(repair.fit)))
    elif repair.speedup > 1:
        parts.append(f"{repair.speedup:.1f} times as fast")
    return ", ".join(parts)


def _saving_text(repair: Repair) -> str:
    saved = memory_text(repair.saves_bytes)
    return f"holds {saved}" if repair.change is Change.PROGRAM else f"saves {saved}"


def listed(parts: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def raised(text: str) -> str:
    """As a sentence begins."""
    return text[:1].upper() + text[1:]


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
