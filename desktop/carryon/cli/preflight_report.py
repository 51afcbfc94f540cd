"""A preflight as a report for a terminal and as JSON for other programs."""

import textwrap
from typing import Any

from carryon.app.workshop_list import Converter, Finding, Level, Preflight, Target
from carryon.base.units import NOT_MEASURED, bytes_text, context_text, memory_text
from carryon.cli.fit_report import table
from carryon.fit import words
from carryon.fit.quality import quality_of

_MARKS = {Level.GOOD: "✓", Level.NOTE: "!", Level.BAD: "✗"}
_FALLBACKS = 3  # columns that give way where they have no room
_BITS, _QUALITY = 2, 7


def as_json(found: Preflight) -> dict[str, Any]:
    """Sizes in bytes, times in seconds; unknown is null."""
    return {
        "source": found.source.place,
        "revision": found.revision or None,
        "can_run": found.can_run,
        "converter": found.converter.value,
        "architecture": found.architecture or None,
        "parameters": found.n_parameters,
        "source_bytes": found.source_bytes,
        "download_bytes": found.download_bytes,
        "ram_bytes": found.ram_bytes,
        "duration_s": found.duration_s,
        "findings": [
            {"subject": one.subject.value, "level": one.level.value, "message": one.message, "hint": one.hint}
            for one in found.findings
        ],
        "targets": [target_json(one) for one in found.targets],
    }


def target_json(target: Target) -> dict[str, Any]:
    """One type."""
    fit = target.fit
    return {
        "quant": target.quant,
        "size_bytes": target.size_bytes,
        "bits_per_weight": round(target.bits_per_weight, 3),
        "fallbacks": [{"tensor": one.tensor, "wanted": one.wanted, "got": one.got} for one in target.fallbacks],
        "needs_imatrix": target.needs_imatrix,
        "verdict": fit.verdict.value if fit else None,
        "memory_bytes": fit.need.total_bytes if fit else None,
        "ctx": fit.placement.n_ctx if fit else None,
        "tokens_per_s": {"low": fit.decode.low, "high": fit.decode.high} if fit else None,
        "is_best": target.is_best,
    }


def as_text(found: Preflight, width: int) -> str:
    """The answer for people, in so many columns where words can give way."""
    parts = (_heading(found), "\n".join(_finding(one, width) for one in found.findings), _targets(found, width))
    return "\n\n".join(part for part in parts if part)


def _heading(found: Preflight) -> str:
    facts = [words.parameters_text(found.n_parameters)] if found.n_parameters else []
    facts += [bytes_text(found.source_bytes)] if found.source_bytes else []
    facts += [f"revision {found.revision[:12]}"] if found.revision else []
    return f"{found.source.name}: {', '.join(facts)}" if facts else found.source.name


def _finding(one: Finding, width: int) -> str:
    text = f"{one.message} {one.hint}".rstrip() if one.level is not Level.GOOD else one.message
    wide = max(width, 40)
    return textwrap.fill(
        f"{_MARKS[one.level]} {text}", wide, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _targets(found: Preflight, width: int) -> str:
    if not found.targets:
        return ""
    n_ctx = next((one.fit.placement.n_ctx for one in found.targets if one.fit), None)
    memory = f"Memory at {context_text(n_ctx)}" if n_ctx else "Memory"
    head = ("Quant", "Size", "Bits/weight", "Fallbacks", memory, "Verdict", "Tokens/s", "Quality")
    rows = [head, *(_row(one, found.architecture) for one in found.targets)]
    shown = table(rows)
    for column in (_BITS, _FALLBACKS, _QUALITY):
        if max(map(len, shown.splitlines())) > width:
            rows = [(*row[:column], "", *row[column + 1 :]) for row in rows]
            shown = table(rows)
    notes = ["* best for this machine"] if any(one.is_best for one in found.targets) else []
    notes += ["(i) needs an importance matrix"] if any(one.needs_imatrix for one in found.targets) else []
    notes += ["sizes are estimates"] if found.converter is Converter.UPSTREAM else []
    return "\n".join([shown, *(["   ".join(notes)] if notes else [])])


def _row(target: Target, architecture: str) -> tuple[str, ...]:
    fit = target.fit
    quality = quality_of(target.quant, architecture=architecture, with_imatrix=target.needs_imatrix)
    return (
        f"{target.quant}{' *' if target.is_best else ''}{' (i)' if target.needs_imatrix else ''}",
        bytes_text(target.size_bytes),
        f"{target.bits_per_weight:.2f}",
        str(len(target.fallbacks)) if target.fallbacks else NOT_MEASURED,
        memory_text(fit.need.total_bytes) if fit else NOT_MEASURED,
        words.verdict_text(fit) if fit else NOT_MEASURED,
        words.range_text(fit.decode) if fit else NOT_MEASURED,
        words.quality_text(quality) if quality else NOT_MEASURED,
    )
