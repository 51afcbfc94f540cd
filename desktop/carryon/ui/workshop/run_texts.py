"""The words of the Workshop page about runs and what was measured: states come in, words go out. No Qt."""

from collections.abc import Sequence
from pathlib import Path

from carryon.app.workshop_list import FailedRun, FinishedRun, Interrupted, Run, Stage, StageKind, Waiting, Working
from carryon.base.units import bytes_text, done_text, left_text, speed_text
from carryon.evaluate.chart import Point
from carryon.evaluate.texts import divergence_text
from carryon.ui.run_words import fraction as fraction

LOG, CANCEL, RESUME, FORGET = "Log", "Stop", "Resume", "Remove from the list"
USE, SHOW_FOLDER = "Use in chat", "Show in folder"
OPEN_WHEN_READY = "Use it in the chat when it is ready"
SHOWN_NOT = "No program shows folders here. The path is copied instead."
RUNS, NEW_MODEL = "Runs", "Check another model"
NO_RUNS = "Nothing was made here yet."
NO_RUNS_NOTE = "Check a model and choose what to make of it; its progress, its files and what they cost stand here."
MEASURED = "What it cost"
CHART = "Quality lost against size"
CHART_NOTE = (
    "Further down is better, further left is smaller, a larger dot is faster. The line joins the files that no other "
    "file here beats in both; hollow dots are beaten."
)
CHART_COLUMNS = ("File", "Size", "Quality lost", "Tokens/s", "Among these files")
BASE, ON_FRONT, BEATEN = "the base", "on the line", "beaten"
LOSS_AXIS = "Quality lost (KL divergence)"

_STAGES = {
    StageKind.DOWNLOAD: ("Download", "Downloading"),
    StageKind.CONVERT: ("Convert", "Converting"),
    StageKind.IMATRIX: ("Importance matrix", "Learning which weights matter"),
    StageKind.QUANTIZE: ("Quantize", "Quantizing"),
    StageKind.MEASURE: ("Measure", "Measuring"),
}


def stage_name(stage: Stage) -> str:
    """'Quantize Q4_K_M'."""
    return f"{_STAGES[stage.kind][0]} {stage.quant}".strip()


def stage_sign(stage: Stage, *, is_now: bool) -> tuple[str, str]:
    """Icon and role: done, at work, still to come."""
    if stage.is_done:
        return "ph.check-circle-fill", "good"
    return ("ph.play", "accent") if is_now else ("ph.circle", "soft")


def stages_spoken(stages: Sequence[Stage], working: Stage | None) -> str:
    """'Download: done, Convert: at work, Quantize Q4_K_M: to come', for a screen reader."""

    def state(one: Stage) -> str:
        is_now = working is not None and (one.kind, one.quant) == (working.kind, working.quant)
        return "done" if one.is_done else "at work" if is_now else "to come"

    return ", ".join(f"{stage_name(one)}: {state(one)}" for one in stages)


def state_text(run: Run) -> str:
    """What goes on, in one line."""
    match run.state:
        case Waiting():
            return "Waits for its turn"
        case Working() as working:
            return _working_text(working)
        case Interrupted():
            n_done = sum(one.is_done for one in run.stages)
            return f"Stopped. {n_done} of {len(run.stages)} stages are done and kept; it goes on with the next one."
        case FailedRun():
            return "It could not go on"
        case FinishedRun(files):
            size = sum(size_of(one) or 0 for one in files)
            return f"Ready: {_files(len(files))}" + (f", {bytes_text(size)}" if size else "")


def _working_text(working: Working) -> str:
    doing = f"{_STAGES[working.stage.kind][1]} {working.stage.quant}".strip()
    parts = [f"{doing}: {_done_text(working)}" if working.total else f"{doing}…"]
    if working.left_s is not None:
        parts.append(left_text(working.left_s))
    if working.note:
        parts.append(working.note)
    return " · ".join(parts)


def _done_text(working: Working) -> str:
    """In the unit that the stage counts in."""
    total = working.total or 0
    match working.stage.kind:
        case StageKind.DOWNLOAD | StageKind.CONVERT:
            return done_text(working.done, total)
        case StageKind.QUANTIZE:
            return f"{working.done:,} of {total:,} tensors"
        case _:
            return f"{working.done:,} of {total:,} tokens"


def run_sign(run: Run) -> tuple[str, str]:
    """Icon and role."""
    match run.state:
        case Waiting():
            return "ph.hourglass", "soft"
        case Working():
            return "ph.play", "accent"
        case Interrupted():
            return "ph.pause", "warn"
        case FailedRun():
            return "ph.warning-circle-fill", "bad"
        case FinishedRun():
            return "ph.check-circle-fill", "good"


def run_name(run: Run) -> str:
    """The whole row for a screen reader."""
    return f"{run.title}. {state_text(run)}"


def file_line(path: Path) -> str:
    """'SmolLM2-135M-Q4_K_M.gguf · 105 MB'."""
    return f"{path.name} · {bytes_text(size_of(path))}"


def size_of(path: Path) -> int | None:
    """Of a file that may be gone by now, in bytes."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _files(count: int) -> str:
    return f"{count} files" if count != 1 else "1 file"


# the measurement


def chart_rows(points: Sequence[Point]) -> tuple[tuple[str, ...], ...]:
    """The table beside the chart, as CHART_COLUMNS; the smallest first."""
    return tuple(_chart_row(one) for one in sorted(points, key=lambda one: one.size_bytes))


def _chart_row(point: Point) -> tuple[str, ...]:
    remark = BASE if point.is_base else ON_FRONT if point.is_on_front else BEATEN
    loss = "none" if point.is_base else divergence_text(point.loss)
    return point.quant, bytes_text(point.size_bytes), loss, _speed(point.tokens_per_s), remark


def _speed(tokens_per_s: float | None) -> str:
    """The title of the column says what it is."""
    return speed_text(tokens_per_s).removesuffix(" tokens/s")


def size_unit(points: Sequence[Point]) -> tuple[float, str]:
    """Bytes in a step of the axis of sizes, and its words: one unit for all."""
    largest = max(one.size_bytes for one in points)
    return next((step, f"Size, {name}") for step, name in ((1e9, "GB"), (1e6, "MB"), (1.0, "bytes")) if largest >= step)


def chart_spoken(points: Sequence[Point]) -> str:
    """The chart in words."""
    said = (f"{row[0]}: {row[1]}, lost {row[2]}, {row[3]} tokens/s" for row in chart_rows(points))
    return f"{CHART}. {'; '.join(said)}."
