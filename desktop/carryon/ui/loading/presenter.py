"""What the load dialog offers and what was chosen in it, as plain values. No Qt."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, LoadWish, ModelHost, ModelState, NoModel
from carryon.app.models import GUIDE, ModelFacts, ModelFile, facts, guide, library
from carryon.base.errors import AppError
from carryon.base.jobs import Done, Failed, Lane, Outcome, Runner
from carryon.base.paths import Home
from carryon.base.settings import RecentModel, SettingsFile
from carryon.hardware.machine import Machine

SMALLEST_CONTEXT = 256  # the engine pads every context to a multiple of this
LARGEST_CONTEXT = 1 << 24
_FIRST_STEP = 2048


class Place(Enum):
    """Why a model is in the list."""

    GUIDE = "guide"
    RECENT = "recent"
    LIBRARY = "library"
    OPENED = "opened"  # chosen from the disk or dropped just now


@dataclass(frozen=True)
class Entry:
    """A line of the model list; `recent` is how it was loaded the last time."""

    file: ModelFile
    place: Place
    recent: RecentModel | None = None


class NoOffload(Enum):
    """Why no layer can go to a GPU."""

    LOOKING = "looking"
    NO_GPU = "no_gpu"
    NO_GPU_SUPPORT = "no_gpu_support"  # a GPU is there, the installed engine cannot use it
    ENGINE_SILENT = "engine_silent"  # the engine did not say what it sees


@dataclass(frozen=True)
class Form:
    """Everything the dialog shows; the page draws it whole at every change."""

    entries: tuple[Entry, ...] = ()
    file: ModelFile | None = None
    facts: ModelFacts | None = None  # None: being read, or unreadable (then `error` says why)
    n_ctx: int | None = None  # None: what was typed is no number
    n_gpu_layers: int = 0
    no_offload: NoOffload | None = NoOffload.LOOKING
    gpu_names: tuple[str, ...] = ()
    error: AppError | None = None
    loading: LoadingModel | None = None

    @property
    def is_above_trained(self) -> bool:
        """Whether the context is longer than the model ever saw."""
        return bool(self.facts and self.facts.n_ctx_train and self.n_ctx and self.n_ctx > self.facts.n_ctx_train)

    @property
    def can_load(self) -> bool:
        return self.facts is not None and self.n_ctx is not None and self.loading is None

    @property
    def contexts(self) -> tuple[int, ...]:
        """The round steps up to the trained maximum, which is always the last."""
        return context_steps(self.facts.n_ctx_train if self.facts else 0)


class View(Protocol):
    """What the presenter needs of a page."""

    def show_form(self, form: Form) -> None: ...

    def close_after_load(self) -> None: ...


class LoadPresenter:
    """Reads files in jobs, keeps the form, starts and cancels loads. Lives on the main thread."""

    def __init__(self, home: Home, settings: SettingsFile, runner: Runner, host: ModelHost, view: View) -> None:
        self._home, self._settings, self._runner, self._host, self._view = home, settings, runner, host, view
        self._is_open = False
        self._reading = 0
        self._gpu_free_bytes = 0
        self._is_split_chosen = False  # the person moved the slider: from then on it is theirs
        self.form = Form()
        host.listen(self._host_turned)

    def open(self, file: ModelFile | None = None) -> None:
        """Begins anew: with this file, else with what is loaded, else with the latest, else with the guide."""
        self._is_open = True
        self._show(entries=self._known_entries(), error=None)
        self._runner.start(_once(lambda: library(self._home)), on_end=self._library_listed, lane=Lane.DISK)
        self.choose(file or self._first_choice())

    def close(self) -> None:
        """The page is gone; a load that runs goes on."""
        self._is_open = False

    def choose_path(self, path: Path) -> None:
        """A file from the disk."""
        self.choose(model_file(path))

    def choose(self, file: ModelFile) -> None:
        """Reads the file's facts in the background, then fills the form as it was loaded the last time."""
        self._reading += 1
        self._is_split_chosen = False
        reading = self._reading
        self._show(entries=_with_entry(self.form.entries, file), file=file, facts=None, error=None)
        self._runner.start(
            _once(lambda: facts(file)), on_end=lambda outcome: self._facts_read(reading, outcome), lane=Lane.DISK
        )

    def set_context(self, text: str) -> None:
        """What was typed or picked: '8k', '8,192' or '8192'."""
        self._show(n_ctx=parsed_context(text))

    def set_layers(self, n_gpu_layers: int) -> None:
        """0 is CPU only; one more than the model's layers is everything."""
        if self.form.facts:
            self._is_split_chosen = True
            self._show(n_gpu_layers=max(0, min(n_gpu_layers, self.form.facts.n_gpu_layers_max)))

    def set_machine(self, machine: Machine | None) -> None:
        """What the engine can use decides whether the slider does anything."""
        reason = no_offload(machine)
        gpus = machine.engine.gpus if machine and machine.engine else ()
        self._gpu_free_bytes = sum(one.free_bytes or 0 for one in gpus)
        layers = self.form.n_gpu_layers
        if self.form.facts and not self._is_split_chosen:
            layers = self._host.wish_from(self.form.facts, self._gpu_free_bytes).n_gpu_layers
        names = tuple(one.description or one.name for one in gpus)
        self._show(no_offload=reason, gpu_names=names, n_gpu_layers=self._possible(layers, reason))

    def load(self) -> None:
        """Loads what the form says; it is remembered for this model once it answers."""
        form = self.form
        if form.can_load and form.file and form.n_ctx:
            self._show(error=None)
            self._host.load(LoadWish(form.file, form.n_ctx, form.n_gpu_layers))

    def stop_loading(self) -> None:
        """Cancels the load that runs."""
        if self.form.loading:
            self._host.unload()

    def _first_choice(self) -> ModelFile:
        state = self._host.state
        if not isinstance(state, NoModel):
            return state.wish.file
        recent = self._settings.now.recent_models
        return _recent_file(recent[0]) if recent else guide()

    def _known_entries(self) -> tuple[Entry, ...]:
        recents = {one.path: one for one in self._settings.now.recent_models}
        others = (Entry(_recent_file(one), Place.RECENT, one) for path, one in recents.items() if path != GUIDE)
        return (Entry(guide(), Place.GUIDE, recents.get(GUIDE)), *others)

    def _library_listed(self, outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            entries = self.form.entries
            known = {one.file.reference for one in entries}
            found = (Entry(file, Place.LIBRARY) for file in outcome.result if file.reference not in known)
            self._show(entries=(*entries, *found))

    def _facts_read(self, reading: int, outcome: Outcome) -> None:
        if reading != self._reading:
            return  # another file was chosen since
        match outcome:
            case Done(read):
                wish = self._host.wish_from(read, self._gpu_free_bytes)
                layers = self._possible(wish.n_gpu_layers, self.form.no_offload)
                self._show(facts=read, n_ctx=wish.n_ctx, n_gpu_layers=layers)
            case Failed(error):
                self._show(error=error)

    def _possible(self, n_gpu_layers: int, reason: NoOffload | None) -> int:
        """While the machine is still being looked at, what was remembered stays; nothing is taken back unseen."""
        return n_gpu_layers if reason in (None, NoOffload.LOOKING) else 0

    def _host_turned(self, state: ModelState) -> None:
        match state:
            case LoadingModel():
                self._show(loading=state)
            case LoadedModel():
                was_loading = self.form.loading is not None
                self._show(loading=None)
                if was_loading and self._is_open:
                    self._view.close_after_load()
            case FailedModel(wish, error):
                is_about_this = self.form.loading is not None and wish.file == self.form.file
                self._show(loading=None, error=error if is_about_this else self.form.error)
            case NoModel():
                self._show(loading=None)

    def _show(self, **changes: Any) -> None:
        self.form = replace(self.form, **changes)
        if self._is_open:
            self._view.show_form(self.form)


def context_steps(n_ctx_train: int) -> tuple[int, ...]:
    """2k, 4k, 8k ... below the trained maximum, and that maximum itself; up to 32k where it is unknown."""
    steps, step = [], _FIRST_STEP
    while step < (n_ctx_train or 2 * 32768):
        steps.append(step)
        step *= 2
    return (*steps, n_ctx_train) if n_ctx_train else tuple(steps)


def parsed_context(text: str) -> int | None:
    """Tokens from '8k', '8 k', '8,192', '8192'; None when it is none of these or out of bounds."""
    plain = text.strip().lower().replace(",", "").replace(" ", "").replace("\u00a0", "").removesuffix("tokens")
    factor = 1024 if plain.endswith("k") else 1
    digits = plain.removesuffix("k")
    if not digits.isascii() or not digits.isdigit():
        return None
    n_ctx = int(digits[:12]) * factor
    return n_ctx if SMALLEST_CONTEXT <= n_ctx <= LARGEST_CONTEXT else None


def no_offload(machine: Machine | None) -> NoOffload | None:
    """Why the slider cannot do anything, or None when it can. The engine's own devices decide, never a build flag."""
    if machine is None:
        return NoOffload.LOOKING
    if machine.engine is None:
        return NoOffload.ENGINE_SILENT
    if machine.engine.gpus:
        return None
    return NoOffload.NO_GPU_SUPPORT if machine.gpus else NoOffload.NO_GPU


def model_file(path: Path) -> ModelFile:
    """Any file on the disk as a model; whether it is one is seen when its facts are read."""
    whole = path.expanduser().absolute()
    return ModelFile(whole, whole.stem, str(whole))


def _recent_file(recent: RecentModel) -> ModelFile:
    return guide() if recent.path == GUIDE else model_file(Path(recent.path))


def _with_entry(entries: Sequence[Entry], file: ModelFile) -> tuple[Entry, ...]:
    if any(one.file.reference == file.reference for one in entries):
        return tuple(entries)
    return (Entry(file, Place.OPENED), *entries)


def _once(call: Callable[[], Any]) -> Generator[None, None, Any]:
    """A short read as work: it looks once whether anybody still wants it."""
    yield None
    return call()
