"""The words of the workshop's runs that are not one page's own: what goes on, how far, how it ended. No Qt."""

from collections.abc import Sequence

from carryon.app.workshop_list import FailedRun, FinishedRun, Interrupted, Run, Stage, StageKind, Waiting, Working
from carryon.base.units import left_text

_DOING = {
    StageKind.DOWNLOAD: "Downloading",
    StageKind.CONVERT: "Converting",
    StageKind.IMATRIX: "Learning which weights matter",
    StageKind.QUANTIZE: "Quantizing",
    StageKind.MEASURE: "Measuring",
}


def doing_text(stage: Stage) -> str:
    """'Quantizing to Q4_K_M', 'Measuring'."""
    return f"{_DOING[stage.kind]} to {stage.quant}" if stage.quant else _DOING[stage.kind]


def state_text(run: Run) -> str:
    """'Quantizing to Q4_K_M · 43 % · 2 min left · step 2 of 3', or what it waits for."""
    match run.state:
        case Waiting():
            return " · ".join(("Waits for its turn", *_kept(run)))
        case Working() as working:
            return " · ".join((*_working(working), *_step(run, working.stage)))
        case Interrupted() | FailedRun():
            left = next((one for one in run.stages if not one.is_done), None)
            where = f"Stopped at {_lowered(left)}" if left else "Stopped"
            return " · ".join((where, *_kept(run)))
        case FinishedRun(files):
            return f"Ready · {files[0].name if len(files) == 1 else f'{len(files)} files'}"


def fraction(run: Run) -> float | None:
    """Of the stage that goes on, 0 to 1; None where it is too early to say, or nothing goes on."""
    match run.state:
        case Working(done=done, total=int() as total) if total > 0:
            return min(1.0, done / total)
        case _:
            return None


def whole_fraction(run: Run) -> float:
    """Of all stages, each taken for as long as the others: nobody knows that before."""
    if not run.stages:
        return 0.0
    n_done = sum(one.is_done for one in run.stages)
    return min(1.0, (n_done + (fraction(run) or 0.0)) / len(run.stages))


def percent_text(share: float) -> str:
    """'43 %'; 100 only when nothing is missing."""
    return f"{int(share * 100)} %"


def spoken_text(runs: Sequence[Run]) -> str:
    """'Quantizing to Q4_K_M, 43 %, 2 min left, 1 run waits', of runs that go on."""
    working = [one.state for one in runs if isinstance(one.state, Working)]
    n_waiting = sum(isinstance(one.state, Waiting) for one in runs)
    waiting = [f"{n_waiting} runs wait" if n_waiting > 1 else "1 run waits"] if n_waiting else []
    return ", ".join([*(", ".join(_working(one)) for one in working), *waiting])


def ready_text(run: Run) -> str:
    """Said when a run came to its end."""
    return f"“{run.title}” is ready."


def failed_text(run: Run) -> str:
    """Said when one stopped by itself."""
    why = run.state.error.message if isinstance(run.state, FailedRun) else ""
    return f"The workshop could not finish “{run.title}”. {why}".strip()


def kept_text(run: Run) -> str:
    """'2 of 4 steps are done and kept'; empty where none is."""
    n_done = sum(one.is_done for one in run.stages)
    are = "is" if n_done == 1 else "are"
    return f"{n_done} of {len(run.stages)} steps {are} done and kept" if n_done else ""


def _working(working: Working) -> tuple[str, ...]:
    share = (percent_text(min(1.0, working.done / working.total)),) if working.total else ()
    left = (left_text(working.left_s),) if working.left_s is not None else ()
    return (doing_text(working.stage), *share, *left)


def _step(run: Run, stage: Stage) -> tuple[str, ...]:
    """Its bar begins anew with every step, so it says which one this is."""
    keys = [(one.kind, one.quant) for one in run.stages]
    if len(keys) < 2 or (stage.kind, stage.quant) not in keys:
        return ()
    return (f"step {keys.index((stage.kind, stage.quant)) + 1} of {len(keys)}",)


def _kept(run: Run) -> tuple[str, ...]:
    kept = kept_text(run)
    return (kept,) if kept else ()


def _lowered(stage: Stage) -> str:
    """'quantizing to Q4_K_M': the name of the type stays as it is."""
    words = doing_text(stage)
    return words[0].lower() + words[1:]
