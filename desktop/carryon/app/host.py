"""The one loaded model of the window: loads, watches, unloads, and says when any of it happens."""

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from carryon.app.models import ModelFile, facts
from carryon.app.wishes import LoadWish as LoadWish
from carryon.app.wishes import default_context as default_context
from carryon.app.wishes import planned_wish, recent_of, request_of, safe_wish, wishes_of
from carryon.base.errors import AppError, BadInput, Unsupported
from carryon.base.jobs import Cancelled, Done, Failed, Job, Lane, Outcome, Runner
from carryon.base.paths import Home
from carryon.base.settings import RecentModel, SettingsFile
from carryon.chat.message import Figures
from carryon.engine.process import WORKER, Engine, start
from carryon.engine.protocol import Loading, Ready
from carryon.hardware.machine import Machine

if TYPE_CHECKING:
    from carryon.app.fitting import Fitting

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NoModel:
    """Nothing is loaded."""


@dataclass(frozen=True)
class LoadingModel:
    """A model is on its way; fraction is None until the engine's first word."""

    wish: LoadWish
    fraction: float | None


@dataclass(frozen=True)
class LoadedModel:
    """A model answers."""

    wish: LoadWish
    engine: Engine


@dataclass(frozen=True)
class FailedModel:
    """A model could not be loaded or its engine died."""

    wish: LoadWish
    error: AppError


ModelState = NoModel | LoadingModel | LoadedModel | FailedModel


class ModelHost:
    """Owns the window's engine. All methods and listeners run on the main thread.

    Loading and ending an engine run in the MODEL lane, one after the other, so that what a model held
    is free before the next one comes, and the window waits for neither.
    """

    def __init__(
        self,
        home: Home,
        settings: SettingsFile,
        runner: Runner,
        engine_command: Sequence[str] = WORKER,
        fitting: "Callable[[], Fitting] | None" = None,
    ) -> None:
        self._home, self._settings, self._runner, self._fitting = home, settings, runner, fitting
        self._engine_command = engine_command
        self._listeners: list[Callable[[ModelState], None]] = []
        self._job: Job | None = None
        self._leaving: list[Engine] = []
        self._round = 0
        self._machine: Machine | None = None
        self._held_then: Ready | None = None  # the model that was loaded when the machine was looked at
        self.state: ModelState = NoModel()

    def listen(self, listener: Callable[[ModelState], None]) -> None:
        """Calls `listener` with every new state, and once now."""
        self._listeners.append(listener)
        listener(self.state)

    def load(self, wish: LoadWish) -> None:
        """Unloads what is loaded, then loads this."""
        self.unload()
        round_now = self._round
        self._turn(LoadingModel(wish, None))
        self._job = self._runner.start(
            self._loading(wish),
            on_news=lambda news: self._if_current(round_now, lambda: self._turn(LoadingModel(wish, news.fraction))),
            on_end=lambda outcome: self._loaded(round_now, wish, outcome),
            lane=Lane.MODEL,
        )

    def unload(self) -> None:
        """Ends the engine or cancels its loading."""
        self._round += 1
        if self._job:
            self._job.cancel()
            self._job = None
        if isinstance(self.state, LoadedModel):
            self._let_go(self.state.engine)
        if not isinstance(self.state, NoModel):
            self._turn(NoModel())

    def end(self) -> None:
        """Ends every engine here and now, for the end of the app; the runner has ended before."""
        self._round += 1
        loaded = (self.state.engine,) if isinstance(self.state, LoadedModel) else ()
        for engine in (*self._leaving, *loaded):
            engine.end()

    @property
    def ready(self) -> Ready | None:
        """What the loaded model's engine said of itself: this is what an unload gives back."""
        return self.state.engine.ready if isinstance(self.state, LoadedModel) else None

    def set_machine(self, machine: Machine | None) -> None:
        """What plans are made for; None while it is being looked at. What is loaded now counts as taken there."""
        self._machine, self._held_then = machine, self.ready

    def answered(self, figures: Figures) -> None:
        """How fast the loaded model really answered: later predictions learn from it."""
        wish = self.state.wish if isinstance(self.state, LoadedModel) else None
        if self._fitting and wish and wish.fit and wish.site:
            self._fitting().answered(wish.fit, wish.site, figures)

    def wish_for(self, file: ModelFile) -> LoadWish:
        """As a person set it the last time, else as the plan says, from the header alone. Raises BadFile."""
        model = facts(file)
        recent = self._settings.now.recent(file.reference)
        if recent and not recent.is_automatic:
            return safe_wish(model, recent)
        return self._planned(file, recent) or safe_wish(model, recent)

    def _planned(self, file: ModelFile, recent: RecentModel | None) -> LoadWish | None:
        """None where nothing can be planned: the machine is still unknown, or only the engine can read the model."""
        if self._fitting is None or self._machine is None:
            return None
        from carryon.fit.plan import Candidate, plan  # with what it needs a tenth of a cold start
        from carryon.gguf.shape import read_shape

        site = self._fitting().site(self._machine, self._held_then)
        try:
            shape = read_shape(file.path)
            made = plan((Candidate(shape.quant, shape, str(file.path)),), site, wishes_of(recent))
        except (Unsupported, BadInput):
            return None
        return planned_wish(file, made.best, site, is_automatic=True)

    def _let_go(self, engine: Engine) -> None:
        if not self._runner.is_open:
            engine.end()
            return
        self._leaving.append(engine)
        self._runner.start(self._ending(), lane=Lane.MODEL)

    def _ending(self) -> Generator[None, None, None]:
        yield None
        for engine in tuple(self._leaving):
            engine.end()
            self._leaving.remove(engine)

    def _loading(self, wish: LoadWish) -> Generator[Loading | None, None, Engine]:
        request = replace(request_of(wish), n_threads=self._settings.now.n_threads)
        return (yield from start(request, self._home.logs, self._engine_command))

    def _loaded(self, round_now: int, wish: LoadWish, outcome: Outcome) -> None:
        match outcome:
            case Done(engine) if round_now != self._round:
                self._let_go(engine)
            case Done(engine):
                if wish.is_kept:
                    self._settings.change(lambda now: now.with_recent(recent_of(wish)))
                if self._fitting and wish.fit and wish.site:
                    self._fitting().loaded(wish.fit, wish.site, engine.ready)
                self._turn(LoadedModel(wish, engine))
                self._job = self._runner.start(engine.watch(), on_end=lambda end: self._died(round_now, wish, end))
            case Failed(error):
                self._if_current(round_now, lambda: self._turn(FailedModel(wish, error)))
            case Cancelled():
                self._if_current(round_now, lambda: self._turn(NoModel()))

    def _died(self, round_now: int, wish: LoadWish, end: Outcome) -> None:
        if (
            round_now == self._round
            and isinstance(end, Done)
            and end.result is not None
            and isinstance(self.state, LoadedModel)
        ):
            self.state.engine.end()
            self._turn(FailedModel(wish, end.result))

    def _if_current(self, round_then: int, act: Callable[[], None]) -> None:
        """News of a load that was given up since must not be shown."""
        if round_then == self._round:
            act()

    def _turn(self, state: ModelState) -> None:
        self.state = state
        for listener in self._listeners:
            listener(state)

