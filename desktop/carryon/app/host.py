"""The one loaded model of the window: loads, watches, unloads, and says when any of it happens."""

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from carryon.app.models import ModelFacts, ModelFile, facts
from carryon.app.split import first_split
from carryon.base.errors import AppError
from carryon.base.jobs import Cancelled, Done, Failed, Job, Lane, Outcome, Runner
from carryon.base.paths import Home
from carryon.base.settings import RecentModel, SettingsFile
from carryon.engine.process import WORKER, Engine, start
from carryon.engine.protocol import DeviceKind, Loading, LoadRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadWish:
    """What the person chose in the load dialog. n_gpu_layers counts the output layer: 0 is CPU only."""

    file: ModelFile
    n_ctx: int
    n_gpu_layers: int


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
        self, home: Home, settings: SettingsFile, runner: Runner, engine_command: Sequence[str] = WORKER
    ) -> None:
        self._home, self._settings, self._runner = home, settings, runner
        self._engine_command = engine_command
        self._listeners: list[Callable[[ModelState], None]] = []
        self._job: Job | None = None
        self._leaving: list[Engine] = []
        self._round = 0
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

    def wish_for(self, file: ModelFile) -> LoadWish:
        """How this model was loaded the last time, else CPU only with a context that is safe. Raises BadFile."""
        return self.wish_from(facts(file))

    def wish_from(self, model: ModelFacts, gpu_free_bytes: int = 0) -> LoadWish:
        """The same from facts already read; on GPUs with so much free memory as many layers as surely fit."""
        recent = self._settings.now.recent(model.file.reference)
        if recent:
            return LoadWish(model.file, recent.n_ctx, min(recent.n_gpu_layers, model.n_gpu_layers_max))
        layers = first_split(model, gpu_free_bytes + self._gpu_held_bytes())
        return LoadWish(model.file, default_context(model.n_ctx_train), layers if gpu_free_bytes else 0)

    def _gpu_held_bytes(self) -> int:
        """What the loaded model holds on GPUs: it is unloaded before the next one comes."""
        if not isinstance(self.state, LoadedModel):
            return 0
        memory = self.state.engine.ready.memory
        return sum(one.total_bytes for one in memory if one.kind in (DeviceKind.GPU, DeviceKind.IGPU))

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
        request = LoadRequest(
            model_path=str(wish.file.path),
            n_ctx=wish.n_ctx,
            n_gpu_layers=wish.n_gpu_layers,
            n_threads=self._settings.now.n_threads,
            model_name=wish.file.name,
        )
        return (yield from start(request, self._home.logs, self._engine_command))

    def _loaded(self, round_now: int, wish: LoadWish, outcome: Outcome) -> None:
        match outcome:
            case Done(engine) if round_now != self._round:
                self._let_go(engine)
            case Done(engine):
                self._settings.change(
                    lambda now: now.with_recent(RecentModel(wish.file.reference, wish.n_ctx, wish.n_gpu_layers))
                )
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


def default_context(n_ctx_train: int) -> int:
    """8k tokens where the model was trained for as many: enough to work with, small enough to fit nearly anywhere."""
    return min(n_ctx_train, 8192) if n_ctx_train else 4096
