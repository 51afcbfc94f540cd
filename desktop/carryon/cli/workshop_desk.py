"""What the workshop's commands share: the objects of this home, and how a run is shown on a terminal."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from carryon.app.download_work import Terms
from carryon.app.fitting import Fitting
from carryon.app.hub_access import HubAccess
from carryon.app.preflight import Inspector
from carryon.app.services import probing_for_plan
from carryon.app.workshop_list import FinishedRun, Order, Stage, StageKind, Working
from carryon.app.workshop_pace import Paces
from carryon.app.workshop_places import check_targets, id_of
from carryon.app.workshop_run import Bench, News, Noticed, Whole
from carryon.app.workshop_store import WorkshopStore
from carryon.base.jobs import drained
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile
from carryon.base.units import done_text, left_text
from carryon.cli.progress_bar import Shown, shown_on
from carryon.fit.answers import Site

T = TypeVar("T")
_DOING = {
    StageKind.DOWNLOAD: "Downloading", StageKind.CONVERT: "Converting to {}",
    StageKind.IMATRIX: "Making an importance matrix", StageKind.QUANTIZE: "Quantizing to {}",
    StageKind.MEASURE: "Measuring",
}  # fmt: skip


@dataclass(frozen=True)
class Desk:
    """What a command works with."""

    bench: Bench
    inspector: Inspector


@contextmanager
def desk(home: Home) -> Iterator[Desk]:
    """The objects of this home, closed at the end."""
    settings = SettingsFile(home.settings)
    access, store, fitting = HubAccess(home, settings), WorkshopStore(home.library), Fitting(home)

    def locating() -> Generator[None, None, Site | None]:
        machine = yield from probing_for_plan()
        yield from fitting.measuring(machine)
        return fitting.site(machine)

    try:
        inspector = Inspector(home, lambda: access, locating, Paces(store.units_per_s))
        yield Desk(Bench(home, Terms(access, settings), store), inspector)
    finally:
        fitting.close()
        store.close()


def begun(order: Order, bench: Bench) -> str:
    """The id of the run: the one that was interrupted, or a new one. Raises BadFile for a target that is there."""
    id = id_of(order)
    kept = next((one for one in bench.store.runs() if one.id == id), None)
    if kept is None or isinstance(kept.state, FinishedRun):
        check_targets(order, frozenset())
        bench.store.add(id, order)
    return id


class Screen:
    """Shows on stderr how far the stages of a run are, a bar for each; Ctrl+C closes the work."""

    def __init__(self) -> None:
        self._out: Shown = shown_on(sys.stderr)
        self._stage: Stage | None = None

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self._out.end()

    def shown(self, work: Generator[Any, None, T], on_other: Callable[[Any], None] = lambda _: None) -> T:
        """Runs work to its end; news that are none of a run go to `on_other`."""

        def hear(news: Any) -> None:
            if isinstance(news, Working | Whole | Noticed):
                self._show(news)
            elif news is not None:
                on_other(news)

        return drained(work, hear)

    def say(self, sentence: str) -> None:
        """A sentence that stays."""
        self._out.say(sentence)

    def _show(self, news: News) -> None:
        match news:
            case Working(stage):
                self._begin(stage)
                self._draw(news)
            case Noticed(words):
                self._out.say(words)
            case Whole():
                pass

    def _begin(self, stage: Stage) -> None:
        if stage != self._stage:
            self._stage = stage
            self._out.end()
            self._out = shown_on(sys.stderr)
            self._out.say(stage_text(stage))

    def _draw(self, news: Working) -> None:
        if not news.total:
            self._out.draw(None, [news.note] if news.note else [])
            return
        facts = [done_text(news.done, news.total)] if news.stage.kind is not StageKind.MEASURE else []
        facts += [left_text(news.left_s)] if news.left_s is not None else []
        self._out.draw(news.done / news.total, [*facts, *([news.note] if news.note else [])])


def stage_text(stage: Stage) -> str:
    """'Quantizing to Q4_K_M'."""
    return _DOING[stage.kind].format(stage.quant or "the file in between")
