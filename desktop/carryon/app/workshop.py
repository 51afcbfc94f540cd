"""The workshop: a queue of runs that convert, quantize and measure, one at a time, kept over restarts and kills."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from carryon.app.download_work import Terms
from carryon.app.hub_access import HubAccess
from carryon.app.preflight import Inspector
from carryon.app.workshop_list import (
    FailedRun,
    FinishedRun,
    Interrupted,
    Order,
    Preflight,
    Run,
    RunState,
    Source,
    Stage,
    Waiting,
    Working,
)
from carryon.app.workshop_places import check_targets, id_of, settled, stages_of
from carryon.app.workshop_run import Bench, News, Noticed, Whole, clearing, tidying, working
from carryon.app.workshop_store import KeptRun, WorkshopStore
from carryon.base.jobs import Cancelled, Done, Failed, Job, Lane, Outcome, Runner
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile

Listener = Callable[[tuple[Run, ...]], None]


@dataclass
class _Line:
    """A run and what works for it."""

    run: Run
    job: Job | None = None
    turn: int = 0  # news of an earlier turn count no more
    is_leaving: bool = False


class Workshop:
    """Lives on the main thread, listeners too; `made` is told of the files of every run that came to its end."""

    def __init__(
        self,
        home: Home,
        settings: SettingsFile,
        runner: Runner,
        access: HubAccess,
        inspector: Inspector,
        made: Callable[[tuple[Path, ...]], object] = lambda _: None,
        store: WorkshopStore | None = None,
    ) -> None:
        self._runner, self._inspector, self._made = runner, inspector, made
        self._bench = Bench(home, Terms(access, settings), store or WorkshopStore(home.library))
        self._lines = {one.id: _Line(self._run(one)) for one in self._bench.store.runs()}
        self._listeners: list[Listener] = []

    @property
    def now(self) -> tuple[Run, ...]:
        """The runs, in the order in which they were asked for."""
        return tuple(line.run for line in self._lines.values() if not line.is_leaving)

    def listen(self, listener: Listener) -> None:
        """Calls `listener` once now, and then with every change."""
        self._listeners.append(listener)
        listener(self.now)

    def begin(self) -> None:
        """Removes what killed runs left half. For after the first frame."""
        self._runner.start(self._inspector.tidying(), lane=Lane.DISK)
        for line in self._lines.values():
            if isinstance(line.run.state, Interrupted | FailedRun):
                self._runner.start(tidying(line.run.id, line.run.order), lane=Lane.DISK)

    def inspecting(self, source: Source, n_ctx: int | None = None) -> Generator[None, None, Preflight]:
        """Work that finds out about a source. Raises BadFile, BadInput, Offline and NoAccess."""
        return self._inspector.inspecting(source, n_ctx)

    def start(self, order: Order) -> str:
        """Queues it and returns the run's id. Raises BadInput for no order, BadFile for a target that is there."""
        order = settled(order)
        id = id_of(order)
        line = self._lines.get(id)
        if line is not None and line.run.is_active:
            return id
        if line is None or isinstance(line.run.state, FinishedRun):
            check_targets(order, frozenset())
            self._bench.store.add(id, order)
            kept = KeptRun(id, order, Waiting())
            self._lines.pop(id, None)  # it is the newest now
            line = self._lines[id] = _Line(self._run(kept), turn=line.turn + 1 if line else 0)
        self._queue(line)
        return id

    def cancel(self, id: str) -> None:
        """Stops it; whole stages are kept."""
        line = self._lines.get(id)
        if line is None or not line.run.is_active:
            return
        if line.job:
            line.job.cancel()
        if isinstance(line.run.state, Waiting):  # its turn may be hours away
            line.turn += 1
            line.job = None
            self._bench.store.set_state(id, Interrupted())
            self._set(line, Interrupted())

    def resume(self, id: str) -> None:
        """Goes on with the first stage that is not whole."""
        line = self._lines.get(id)
        if line and not line.is_leaving and isinstance(line.run.state, Interrupted | FailedRun):
            self._queue(line)

    def forget(self, id: str) -> None:
        """Takes it off the list and removes what it left unfinished; finished files stay."""
        line = self._lines.get(id)
        if line is None or line.is_leaving:
            return
        line.is_leaving = True
        if line.job:
            line.job.cancel()
        if line.job is None or isinstance(line.run.state, Waiting):
            self._leave(line)
        self._tell()

    def end(self) -> None:
        """Closes the store; for the end of the app, when its jobs have ended."""
        self._listeners.clear()
        self._bench.store.close()

    def _queue(self, line: _Line) -> None:
        line.turn += 1
        id, order = line.run.id, line.run.order
        self._set(line, Waiting())
        self._bench.store.set_state(id, Waiting())
        line.job = self._runner.start(
            working(id, order, self._bench),
            on_news=partial(self._heard, line, line.turn),
            on_end=partial(self._ended, line, line.turn),
            lane=Lane.WORKSHOP,
        )

    def _heard(self, line: _Line, turn: int, news: News) -> None:
        if turn != line.turn:
            return
        match news:
            case Working():
                self._set(line, news)
            case Whole(stage):
                stages = tuple(_done(one) if _same(one, stage) else one for one in line.run.stages)
                line.run = replace(line.run, stages=stages)
                self._tell()
            case Noticed(words):
                line.run = replace(line.run, notices=(*line.run.notices, words))
                self._tell()

    def _ended(self, line: _Line, turn: int, outcome: Outcome) -> None:
        if turn != line.turn:
            return
        line.job = None
        if line.is_leaving:
            self._leave(line)
            return
        match outcome:
            case Done(files):
                self._set(line, FinishedRun(files))
                self._made(files)
            case Failed(error):
                self._set(line, FailedRun(error))
            case Cancelled():
                self._set(line, Interrupted())

    def _leave(self, line: _Line) -> None:
        """Many gigabytes take a while to remove."""
        self._lines.pop(line.run.id, None)
        line.turn += 1
        self._bench.store.forget(line.run.id)
        self._runner.start(clearing(line.run.id, line.run.order), lane=Lane.DISK)

    def _run(self, kept: KeptRun) -> Run:
        whole = self._bench.store.whole(kept.id)
        stages = tuple(replace(one, is_done=(one.kind, one.quant) in whole) for one in stages_of(kept.order))
        return Run(kept.id, kept.order, stages, kept.state, self._bench.log_path(kept.id), kept.notices)

    def _set(self, line: _Line, state: RunState) -> None:
        line.run = replace(line.run, state=state)
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener(self.now)


def _same(one: Stage, other: Stage) -> bool:
    return (one.kind, one.quant) == (other.kind, other.quant)


def _done(stage: Stage) -> Stage:
    return replace(stage, is_done=True)
