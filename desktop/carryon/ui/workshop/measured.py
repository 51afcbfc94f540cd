"""What the files of a finished run were measured to have lost, as the points of a chart. No Qt."""

from collections.abc import Callable, Generator

from carryon.app.evaluations import Evaluations
from carryon.app.workshop_list import FinishedRun, Run
from carryon.evaluate.chart import Point, points
from carryon.evaluate.result import Measured


def charting(run: Run, evaluations: Callable[[], Evaluations]) -> Generator[None, None, tuple[Point, ...]]:
    """Work that looks the figures up; without any, or of a run that goes on, there are no points."""
    yield None
    files = run.state.files if isinstance(run.state, FinishedRun) else ()
    figures = [found for found in map(evaluations().of, files) if found]
    yield None
    return points((*_bases(figures, evaluations()), *figures)) if figures else ()


def _bases(figures: list[Measured], evaluations: Evaluations) -> tuple[Measured, ...]:
    """What they were compared with: a file that may have been removed since, for only its figures are wanted."""
    here = {one.path for one in figures}
    wanted = {one.base for one in figures if one.base} - here
    latest = {one.path: one for one in reversed(evaluations.all()) if one.is_base and one.path in wanted}
    return tuple(latest.values())
