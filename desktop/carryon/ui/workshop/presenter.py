"""What the Workshop page asks and answers: finds out about a source, composes an order, follows the runs. No Qt."""

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from carryon.app.best import with_matrix
from carryon.app.workshop_list import FinishedRun, Order, Preflight, Run, Source, SourceKind, Workbench
from carryon.app.workshop_source import source_of_path, source_of_text
from carryon.base.errors import AppError, BadInput
from carryon.base.files import free_bytes_at
from carryon.base.jobs import Cancelled, Done, Failed, Job, Lane, Outcome, Runner
from carryon.evaluate.chart import Point
from carryon.ui.workshop import texts
from carryon.ui.workshop.form import Choices, Form, Matrix, ModelHere, Step, in_order, with_choices
from carryon.ui.workshop.sources import models_in, name_for

RECENT_KEPT = 6
ChartWork = Generator[None, None, tuple[Point, ...]]


class View(Protocol):
    """What the presenter needs of a page."""

    def show_form(self, form: Form) -> None: ...

    def say(self, words: str) -> None: ...

    def use(self, path: Path) -> None: ...


class WorkshopPresenter:
    """Lives on the main thread; a folder is looked at in the lane QUICK, a repository in the lane HUB."""

    def __init__(
        self,
        bench: Workbench,
        runner: Runner,
        models: Path,
        view: View,
        charting: Callable[[Run], ChartWork],
    ) -> None:
        self._bench, self._runner, self._models, self._view = bench, runner, models, view
        self._charting = charting
        self._charted: set[str] = set()
        self._inspecting: Job | None = None
        self._round = 0  # of the preflight: an answer for another source is dropped
        self._opened: list[Source] = []
        self.form = Form(choices=Choices(folder=models))
        bench.listen(self._runs_turned)

    # the four steps

    def go(self, step: Step) -> None:
        """To a step, where it is open; what was set in the others stays."""
        if not self.form.is_open(step):
            return
        if step is Step.PREFLIGHT and self.form.preflight is None and not self.form.is_inspecting:
            self._inspect()
        if step is Step.TARGETS:
            self._measure_disk()
        self._show(step=step)

    def go_on(self) -> None:
        """To the next step, as Alt+Right does."""
        if self.form.step < Step.RUN:
            self.go(Step(self.form.step + 1))

    def go_back(self) -> None:
        """To the step before."""
        if self.form.step > Step.SOURCE:
            self.go(Step(self.form.step - 1))

    # the first step

    def open_text(self, text: str) -> None:
        """A typed source: a repository, a folder or a file."""
        self._attempt_open(lambda: source_of_text(text))

    def open_path(self, path: Path) -> None:
        """A folder or a GGUF file that was chosen or dropped."""
        self._attempt_open(lambda: source_of_path(path))

    def open(self, source: Source, *, measures: bool = False) -> None:
        """A source from another page, the recent ones or the library: straight to its preflight."""
        if source.adapter is None and source.kind is not SourceKind.GGUF:
            source = replace(source, adapter=self.form.adapter)
        self._remember(source)
        if source != self.form.source or self.form.error or self.form.was_stopped:
            self._take(source)
        if measures:
            self.choose(measures=True)
        self.go(Step.PREFLIGHT)

    def check_again(self) -> None:
        """The same source, whose files may be others now; what was set for it stays."""
        if not self.form.is_inspecting:
            self._inspect()
        self.go(Step.PREFLIGHT)

    def set_adapter(self, folder: Path | None) -> None:
        """A LoRA that is merged into the model; another one is another source."""
        if folder is not None and not (folder / "adapter_config.json").is_file():
            self._show(source_error=BadInput(*texts.NO_ADAPTER))
            return
        self._show(adapter=folder, source_error=None)
        source = self.form.source
        if source is not None and source.kind is not SourceKind.GGUF and source.adapter != folder:
            self._take(replace(source, adapter=folder))

    def show_models(self, models: tuple[ModelHere, ...]) -> None:
        """The GGUF files of the library."""
        if models != self.form.models:
            self._show(models=models)

    # the second step

    def inspect_again(self) -> None:
        """The same source once more: its files may be others now."""
        self._inspect()

    def stop_inspecting(self) -> None:
        """The person does not want to wait."""
        if self._inspecting:
            self._inspecting.cancel()

    def agree_to_fetch(self, is_agreed: bool) -> None:
        """To llama.cpp's own converter."""
        self._show(may_fetch=is_agreed)

    # the third step

    def tick(self, quant: str, is_on: bool) -> None:
        """Makes this type too, or no more."""
        ticked = self.form.choices.quants
        self.choose(quants=ticked | {quant} if is_on else ticked - {quant})

    def look_at(self, quant: str) -> None:
        """The row that the keyboard is at."""
        if quant != self.form.current:
            self._show(current=quant)

    def show_all(self, is_wanted: bool) -> None:
        """All types, or the usual ones."""
        self._show(shows_all=is_wanted)

    def choose(self, **changes: Any) -> None:
        """Changes one of the `Choices`; another folder may lie on another disk."""
        before = self.form.choices
        self.form = with_choices(self.form, **changes)
        if self.form.choices.folder != before.folder:
            self._measure_disk()
        self._view.show_form(self.form)
        if self.form.choices.n_ctx != before.n_ctx:
            self._inspect(keeps=True)

    def set_matrix(self, matrix: Matrix, path: Path | None) -> None:
        """Where the importance matrix comes from; without one the types that need it are not made."""
        self.choose(matrix=matrix, matrix_path=path)

    def make(self) -> None:
        """Begins with what is ticked."""
        self._start(self.form.order(), is_used=False)

    def make_best(self) -> None:
        """Begins with the best for this machine, and nothing else; it is used in the chat when it is ready."""
        best = self.form.best
        if best and (order := self.form.order((best.quant,))):
            self._start(with_matrix(order, best), is_used=True)

    # the fourth step

    def cancel(self, id: str) -> None:
        """Whole stages are kept."""
        self._attempt(lambda: self._bench.cancel(id))

    def resume(self, id: str) -> None:
        """Goes on with the first stage that is not done."""
        self._attempt(lambda: self._bench.resume(id))

    def forget(self, id: str) -> None:
        """Off the list; what was left unfinished is removed, finished files stay."""
        self._attempt(lambda: self._bench.forget(id))

    def open_when_ready(self, id: str, is_wanted: bool) -> None:
        """Whether the file of a run is used in the chat as soon as it is ready."""
        opening = self.form.opening
        self._show(opening=opening | {id} if is_wanted else opening - {id})

    def refresh(self) -> None:
        """The page is opened, or seen for a while: how much room the disk has now."""
        if self.form.step is Step.TARGETS:
            self._measure_disk()
        self._view.show_form(self.form)

    # within

    def _attempt_open(self, find: Callable[[], Source]) -> None:
        try:
            source = find()
        except AppError as error:
            self._show(source_error=error, step=Step.SOURCE)
            return
        self.open(source)

    def _take(self, source: Source) -> None:
        """Another source: what was chosen for the last one is not for this one, but for where files go and how."""
        self._give_up()
        kept = self.form.choices
        choices = Choices(folder=kept.folder, name=name_for(source), keeps_middle=kept.keeps_middle, text=kept.text)
        self._show(
            source=source, source_error=None, preflight=None, error=None, may_fetch=False, choices=choices,
            current="", was_stopped=False,
            is_inspecting=False, order_error=None,
        )  # fmt: skip

    def _remember(self, source: Source) -> None:
        plain = replace(source, adapter=None)
        self._opened = [plain, *(one for one in self._opened if one != plain)]
        self._show(recent=self._recent(self.form.runs))

    def _recent(self, runs: tuple[Run, ...]) -> tuple[Source, ...]:
        """What was opened since the start, then what the runs were made of: these survive a restart."""
        of_runs = (replace(one.order.source, adapter=None) for one in reversed(runs))
        return tuple(dict.fromkeys((*self._opened, *of_runs)))[:RECENT_KEPT]

    def _give_up(self) -> None:
        self._round += 1
        if self._inspecting:
            self._inspecting.cancel()
            self._inspecting = None

    def _inspect(self, *, keeps: bool = False) -> None:
        """Finds out; `keeps` shows what is known meanwhile: only the wished context is another one."""
        source = self.form.source
        if source is None:
            return
        self._give_up()
        round_now = self._round
        known = self.form.preflight if keeps else None
        self._show(is_inspecting=True, was_stopped=False, error=None, preflight=known)
        work = self._bench.inspecting(source, self.form.choices.n_ctx)
        lane = Lane.HUB if source.kind is SourceKind.REPOSITORY else Lane.QUICK
        self._inspecting = self._runner.start(work, on_end=lambda end: self._inspected(round_now, end), lane=lane)

    def _inspected(self, round_then: int, outcome: Outcome) -> None:
        if round_then != self._round:
            return
        self._inspecting = None
        match outcome:
            case Done(Preflight() as found):
                self._found(found)
            case Failed(error):
                self._show(is_inspecting=False, error=error, preflight=None)
            case Cancelled():
                self._show(is_inspecting=False, was_stopped=self.form.preflight is None)

    def _found(self, found: Preflight) -> None:
        """The best is ticked and nothing else, until the person ticks something."""
        before, ticked = self.form.best, self.form.choices.quants
        self.form = replace(self.form, is_inspecting=False, preflight=found, error=None)
        if not ticked or (before and ticked == {before.quant}):
            best = self.form.best
            self.form = with_choices(self.form, quants=frozenset([best.quant] if best else []))
        self._show(current=self.form.current or (self.form.best.quant if self.form.best else ""))

    def _start(self, order: Order | None, *, is_used: bool) -> None:
        if order is None or not order.quants:
            return
        try:
            id = self._bench.start(order)
        except AppError as error:
            self._show(order_error=error, step=Step.TARGETS)
            return
        opening = self.form.opening | {id} if is_used else self.form.opening
        self._show(step=Step.RUN, opening=opening, order_error=None)

    def _runs_turned(self, runs: tuple[Run, ...]) -> None:
        finished = {one.id for one in self.form.runs if isinstance(one.state, FinishedRun)}
        known = {one.id for one in self.form.runs}
        step = Step.SOURCE if not runs and self.form.step is Step.RUN else self.form.step
        self._show(runs=in_order(runs), recent=self._recent(runs), step=step)
        for run in runs:
            if not isinstance(run.state, FinishedRun):
                self._charted.discard(run.id)
                continue
            self._chart(run)
            if run.id in known - finished:
                self._ended(run, run.state.files)

    def _ended(self, run: Run, files: tuple[Path, ...]) -> None:
        """The ring of the jobs says that it is ready."""
        if run.id in self.form.opening and files:
            self._show(opening=self.form.opening - {run.id})
            self._view.use(files[-1])

    def _chart(self, run: Run) -> None:
        """Looks up once what was measured."""
        if not run.order.measures or run.id in self._charted:
            return
        self._charted.add(run.id)

        def found(outcome: Outcome) -> None:
            if isinstance(outcome, Done):
                self._show(charts={**self.form.charts, run.id: outcome.result})

        self._runner.start(self._charting(run), on_end=found)

    def _measure_disk(self) -> None:
        folder = self.form.choices.folder
        self.form = replace(self.form, free_bytes=free_bytes_at(folder), taken=models_in(folder))

    def _attempt(self, act: Callable[[], object]) -> None:
        try:
            act()
        except AppError as error:
            self._view.say(f"{error.message} {error.hint}".strip())

    def _show(self, **changes: Any) -> None:
        self.form = replace(self.form, **changes)
        self._view.show_form(self.form)
