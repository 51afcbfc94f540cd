"""A plan as a report for a terminal and as JSON for other programs."""

import shlex
from dataclasses import replace
from typing import Any

from carryon.app.fitting import Subject
from carryon.base.units import NOT_MEASURED, bytes_text, context_text, memory_text
from carryon.fit import words
from carryon.fit.answers import Change, Fit, Plan, Repair, Verdict, Wishes
from carryon.fit.memory import DeviceNeed
from carryon.fit.quality import quality_of
from carryon.fit.room import Room, Rooms

_MARKS = {Verdict.GPU: "✓", Verdict.SPLIT: "◐", Verdict.RAM: "○", Verdict.DISK: "▽", Verdict.TOO_BIG: "✗"}


def as_json(subject: Subject, made: Plan) -> dict[str, Any]:
    """Sizes in bytes, speeds in tokens per second; unknown is null."""
    best = made.best
    return {
        "verdict": best.verdict.value,
        "missing_bytes": best.missing_bytes,
        "model": _model_json(subject, best),
        "plan": _plan_json(best),
        "devices": _devices_json(best, made.rooms),
        "tokens_per_s": {"low": best.decode.low, "high": best.decode.high, "basis": best.decode.basis.value},
        "prompt_tokens_per_s": {"low": best.prefill.low, "high": best.prefill.high, "basis": best.prefill.basis.value},
        "reasons": list(made.reasons),
        "repairs": [_repair_json(one, best) for one in made.repairs],
        "quants": [_row_json(one) for one in made.fits],
        "basis": best.basis.value,
        "within": best.within,
    }


def _model_json(subject: Subject, fit: Fit) -> dict[str, Any]:
    shape = fit.candidate.shape
    return {
        "name": subject.name,
        "architecture": shape.architecture,
        "parameters": shape.n_params,
        "layers": shape.n_layers,
        "ctx_trained": shape.n_ctx_train or None,
        "quant": fit.candidate.quant,
        "size_bytes": shape.size_bytes,
        "bits_per_weight": round(shape.bits_per_weight, 3),
        "path": fit.candidate.path,
    }


def _plan_json(fit: Fit) -> dict[str, Any]:
    placed = fit.placement
    return {
        "quant": fit.candidate.quant,
        "gpu_layers": placed.n_gpu_layers,
        "cpu_experts": placed.n_cpu_experts,
        "gpus": list(placed.gpus),
        "tensor_split": list(placed.split),
        "ctx": placed.n_ctx,
        "kv": placed.kv_type.value,
        "ubatch": placed.n_ubatch,
        "parallel": placed.n_parallel,
    }


def _devices_json(fit: Fit, rooms: Rooms) -> list[dict[str, Any]]:
    return [
        {
            "name": room.name,
            "label": room.label,
            "weights_bytes": need.weights_bytes,
            "kv_bytes": need.kv_bytes,
            "compute_bytes": need.compute_bytes,
            "output_bytes": need.output_bytes,
            "extra_bytes": need.extra_bytes,
            "reserve_bytes": room.reserve_bytes,
            "free_bytes": room.free_bytes,
            "total_bytes": room.total_bytes,
        }
        for room, need in _rooms_and_needs(fit, rooms)
    ]


def _repair_json(repair: Repair, before: Fit) -> dict[str, Any]:
    return {
        "text": words.repair_text(repair, before),
        "verdict": repair.fit.verdict.value,
        "plan": _plan_json(repair.fit),
        "saves_bytes": repair.saves_bytes,
        "speedup": round(repair.speedup, 3),
    }


def _row_json(fit: Fit) -> dict[str, Any]:
    return {
        "quant": fit.candidate.quant,
        "size_bytes": fit.candidate.shape.size_bytes,
        "bits_per_weight": round(fit.candidate.shape.bits_per_weight, 3),
        "memory_bytes": fit.need.total_bytes,
        "verdict": fit.verdict.value,
        "tokens_per_s": {"low": fit.decode.low, "high": fit.decode.high},
        "path": fit.candidate.path,
    }


def as_text(subject: Subject, made: Plan, command: str) -> str:
    """The answer for people; `command` is how it was asked, so that repairs can be typed."""
    parts = (_heading(subject, made), _device_table(made), _try(made, command), _quant_table(made))
    return "\n\n".join(part for part in parts if part)


def _heading(subject: Subject, made: Plan) -> str:
    best, shape = made.best, made.best.candidate.shape
    trained = f"trained for {context_text(shape.n_ctx_train)}" if shape.n_ctx_train else "trained context unknown"
    facts = f"{shape.n_params / 1e9:.2f} B parameters, {shape.n_layers} layers, {trained}"
    lines = [
        f"{subject.name} {best.candidate.quant}: {bytes_text(shape.size_bytes)}, {facts}",
        f"{_MARKS[best.verdict]} {words.verdict_sentence(best, made.rooms)}",
        f"  {words.pace_text(best.decode)} for answers, {words.pace_text(best.prefill)} for prompts",
        f"  {words.basis_text(best)}",
    ]
    return "\n".join([*lines, *(f"  {reason}" for reason in made.reasons)])


def _device_table(made: Plan) -> str:
    head = ("", "weights", "KV cache", "compute", "reserve", "free now", "of")
    rows = [_device_row(room, need) for room, need in _rooms_and_needs(made.best, made.rooms)]
    return table([head, *rows])


def _device_row(room: Room, need: DeviceNeed) -> tuple[str, ...]:
    sizes = (
        need.weights_bytes + need.extra_bytes, need.kv_bytes, need.compute_bytes + need.output_bytes,
        room.reserve_bytes, room.free_bytes, room.total_bytes,
    )  # fmt: skip
    return (room.label, *(memory_text(size) if size else NOT_MEASURED for size in sizes))


def _try(made: Plan, command: str) -> str:
    lines = [f"  {words.repair_text(one, made.best)}{_as_options(one, made, command)}" for one in made.repairs]
    return "\n".join(["Try:", *lines]) if lines else ""


def _as_options(repair: Repair, made: Plan, command: str) -> str:
    if repair.change is Change.PROGRAM:
        return ""
    return f"\n    {command} {shlex.join(options(repair.wishes, made))}"


def options(wishes: Wishes, made: Plan) -> list[str]:
    """The options of `carryon fit` that ask for these wishes."""
    given = replace(wishes, quant=None if wishes.quant == made.wishes.quant else wishes.quant)
    pairs = (
        ("--quant", given.quant), ("--ctx", given.n_ctx), ("--kv", given.kv_type), ("--ubatch", given.n_ubatch),
        ("--gpu-layers", given.n_gpu_layers), ("--cpu-experts", given.n_cpu_experts),
        ("--parallel", given.n_parallel if given.n_parallel != 1 else None),
    )  # fmt: skip
    return [word for name, value in pairs if value is not None for word in (name, str(value))]


def _quant_table(made: Plan) -> str:
    ctx = context_text(made.best.placement.n_ctx)
    head = ("Quant", "Size", "Bits/weight", f"Memory at {ctx}", "Verdict", "Tokens/s", "Quality")
    return table([head, *(_quant_row(one, is_best=one.candidate is made.best.candidate) for one in made.fits)])


def _quant_row(fit: Fit, *, is_best: bool) -> tuple[str, ...]:
    shape = fit.candidate.shape
    quality = quality_of(fit.candidate.quant)
    return (
        f"{fit.candidate.quant}{' *' if is_best else ''}{' (here)' if fit.candidate.path else ''}",
        bytes_text(shape.size_bytes),
        f"{shape.bits_per_weight:.1f}",
        memory_text(fit.need.total_bytes),
        f"{_MARKS[fit.verdict]} {words.verdict_text(fit)}",
        words.range_text(fit.decode),
        words.quality_text(quality) if quality else NOT_MEASURED,
    )


def _rooms_and_needs(fit: Fit, rooms: Rooms) -> list[tuple[Room, DeviceNeed]]:
    return [*zip(rooms.gpus, fit.need.gpus, strict=True), (rooms.ram, fit.need.ram)]


def table(rows: list[tuple[str, ...]]) -> str:
    """Columns as wide as their longest cell; the first one and words to the left, sizes to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lefts = [column == 0 or not any(row[column][:1].isdigit() for row in rows) for column in range(len(widths))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, lefts, strict=True)
        ).rstrip()
        for row in rows
    )
