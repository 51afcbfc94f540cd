"""A plan as a report for a terminal and as JSON for other programs."""

import shlex
import textwrap
from typing import Any

from carryon.app.fitting import Subject
from carryon.base.units import NOT_MEASURED, bytes_text, context_text, memory_text
from carryon.fit import words
from carryon.fit.answers import Change, Fit, Plan, Repair, Verdict, Wishes
from carryon.fit.memory import DeviceNeed
from carryon.fit.quality import quality_of
from carryon.fit.room import Room, Rooms
from carryon.hardware.machine import told_apart

_INDENT = "  "
_BITS, _QUALITY = 2, 6  # columns of the table of quants
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


def as_text(subject: Subject, made: Plan, command: str, width: int) -> str:
    """The answer for people, in so many columns where words can give way.

    `command` is how it was asked, so that repairs can be typed.
    """
    heading = _wrapped(_heading(subject, made), width)
    parts = (heading, _device_table(made), _try(made, command, subject.chosen), _quant_table(made, width))
    return "\n\n".join(part for part in parts if part)


def _wrapped(lines: list[str], width: int) -> str:
    """What does not fit goes on under its words; a terminal that is hardly there is not wrapped for."""
    wide = max(width, 40)
    return "\n".join(
        textwrap.fill(line, wide, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False)
        for line in lines
    )


def _heading(subject: Subject, made: Plan) -> list[str]:
    best, shape = made.best, made.best.candidate.shape
    trained = f"trained for {context_text(shape.n_ctx_train)}" if shape.n_ctx_train else "trained context unknown"
    facts = f"{words.parameters_text(shape.n_params)}, {shape.n_layers} layers, {trained}"
    verdict = words.verdict_sentence(best, made.rooms)
    pace = f"{words.pace_text(best.decode)} for answers, {words.pace_text(best.prefill)} for prompts"
    said = [words.raised(pace)] if best.decode.high > 0 else []  # what cannot be loaded has no speed
    said += [words.raised(words.basis_text(best)), *words.beside(verdict, made.reasons)]
    first = f"{subject.name} {best.candidate.quant}: {bytes_text(shape.size_bytes)}, {facts}"
    return [first, f"{_MARKS[best.verdict]} {verdict}", *(f"{_INDENT}{one}" for one in said)]


def _device_table(made: Plan) -> str:
    head = ("", "weights", "KV cache", "compute", "reserve", "free now", "of")
    pairs = _rooms_and_needs(made.best, made.rooms)
    names = told_apart([words.short_name(room.label) for room, _ in pairs])
    rows = [_device_row(name, room, need) for name, (room, need) in zip(names, pairs, strict=True)]
    return table([head, *rows])


def _device_row(name: str, room: Room, need: DeviceNeed) -> tuple[str, ...]:
    sizes = (
        need.weights_bytes + need.extra_bytes, need.kv_bytes, need.compute_bytes + need.output_bytes,
        room.reserve_bytes, room.free_bytes, room.total_bytes,
    )  # fmt: skip
    return (name, *(memory_text(size) if size else NOT_MEASURED for size in sizes))


def _try(made: Plan, command: str, own_quant: str | None) -> str:
    lines = [f"  {words.repair_text(one, made.best)}{_as_options(one, command, own_quant)}" for one in made.repairs]
    return "\n".join(["Try:", *lines]) if lines else ""


def _as_options(repair: Repair, command: str, own_quant: str | None) -> str:
    if repair.change is Change.PROGRAM:
        return ""
    return f"\n    {command} {shlex.join(_options(repair.wishes, own_quant))}"


def _options(wishes: Wishes, own_quant: str | None) -> list[str]:
    """The options of `carryon fit` that ask for these wishes; the quant of the file itself need not be named."""
    pairs = (
        ("--quant", wishes.quant if wishes.quant != own_quant else None), ("--ctx", wishes.n_ctx),
        ("--kv", wishes.kv_type), ("--ubatch", wishes.n_ubatch), ("--gpu-layers", wishes.n_gpu_layers),
        ("--cpu-experts", wishes.n_cpu_experts), ("--parallel", wishes.n_parallel if wishes.n_parallel != 1 else None),
    )  # fmt: skip
    return [word for name, value in pairs if value is not None for word in (name, str(value))]


def _quant_table(made: Plan, width: int) -> str:
    """Where the columns have no room, what the others tell nearly as well goes first."""
    ctx = context_text(made.best.placement.n_ctx)
    head = ("Quant", "Size", "Bits/weight", f"Memory at {ctx}", "Verdict", "Tokens/s", "Quality")
    rows = [head, *(_quant_row(one, is_best=one.candidate is made.best.candidate) for one in made.fits)]
    shown = table(rows)
    for column in (_BITS, _QUALITY):
        if max(map(len, shown.splitlines())) > width:
            rows = [(*row[:column], "", *row[column + 1 :]) for row in rows]
            shown = table(rows)
    return f"{shown}\n* judged above   (here) on this disk"


def _quant_row(fit: Fit, *, is_best: bool) -> tuple[str, ...]:
    shape = fit.candidate.shape
    quality = fit.candidate.measured or quality_of(fit.candidate.quant, architecture=shape.architecture)
    return (
        f"{fit.candidate.quant}{' *' if is_best else ''}{' (here)' if fit.candidate.path else ''}",
        bytes_text(shape.size_bytes or shape.weights_bytes),
        f"{shape.bits_per_weight:.1f}",
        memory_text(fit.need.total_bytes),
        f"{_MARKS[fit.verdict]} {words.verdict_text(fit)}",
        words.range_text(fit.decode),
        words.quality_text(quality) if quality else NOT_MEASURED,
    )


def _rooms_and_needs(fit: Fit, rooms: Rooms) -> list[tuple[Room, DeviceNeed]]:
    return [*zip(rooms.gpus, fit.need.gpus, strict=True), (rooms.ram, fit.need.ram)]


def table(rows: list[tuple[str, ...]]) -> str:
    """Columns as wide as their longest cell, empty ones left out; the first one and words to the left, sizes right."""
    filled = [column for column in range(len(rows[0])) if column == 0 or any(row[column] for row in rows)]
    rows = [tuple(row[column] for column in filled) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(filled))]
    lefts = [column == 0 or not any(row[column][:1].isdigit() for row in rows) for column in range(len(widths))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, lefts, strict=True)
        ).rstrip()
        for row in rows
    )
