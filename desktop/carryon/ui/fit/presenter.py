"""What the Fit page asks and answers: reads headers, plans at every movement, lets the engine confirm. No Qt."""

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from carryon.app.discovery import Discovery
from carryon.app.fitting import Fitting, Subject, refreshed, warming, warming_further
from carryon.app.host import LoadedModel, ModelHost, ModelState, NoModel
from carryon.app.machine_file import read_machine_file
from carryon.app.models import GUIDE, ModelFile, every, guide
from carryon.app.wishes import LoadWish, planned_wish
from carryon.base.errors import AppError
from carryon.base.jobs import Done, Failed, Job, Lane, Outcome, Runner
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile
from carryon.fit.plan import Fit, Plan, Repair, Site, Wishes, largest_layers, plan
from carryon.fit.room import Backend
from carryon.gguf.quants import KvType
from carryon.gguf.sketch import Parameters
from carryon.hardware.machine import Machine, MemoryUse
from carryon.hardware.parts import machine_with
from carryon.hub.names import Reference
from carryon.ui.fit.form import BuiltMachine, FileMachine, Form, Source, ThisMachine

SMALLEST_CONTEXT = 256
LARGEST_CONTEXT = 1 << 24
MOST_SLOTS = 64
NOTICED_BYTES = 128 << 20  # memory that other programs take or give back without a new plan


class View(Protocol):
    """What the presenter needs of a page."""

    def show_form(self, form: Form) -> None: ...


class FitPresenter:
    """Lives on the main thread. Files are read in the DISK lane, the engine is asked in the QUICK lane."""

    def __init__(
        self,
        home: Home,
        settings: SettingsFile,
        runner: Runner,
        host: ModelHost,
        fitting: Fitting,
        discovery: Callable[[], Discovery],
        view: View,
    ) -> None:
        self._home, self._settings, self._runner, self._host = home, settings, runner, host
        self._fitting, self._discovery, self._view = fitting, discovery, view
        self._site: Site | None = None
        self._use: MemoryUse | None = None  # how full this machine is
        self._confirming: Job | None = None
        self._measuring: Job | None = None
        self._is_open = False
        self._round = 0  # of the model that is read
        self._chosen_context: int | None = None  # the plan's own, while the person has set none
        self._warm: frozenset[Backend] = frozenset()  # where plans of this model are quick already
        self._warming: Job | None = None  # works out what a first plan takes long for
        self._awaited: Callable[[], None] | None = None  # makes the plan that follows it
        self._is_moving = False  # that one is for another machine, which a person chose
        self._planned = 0  # how many plans were made: an answer to an older one is dropped
        self.form = Form()
        host.listen(self._host_turned)

    def open(self) -> None:
        """Asked whenever the page is opened: lists the library, and begins with the model that is in use."""
        self._is_open = True
        self._show(sources=self._known_sources())
        self._runner.start(_once(lambda: every(self._home)), on_end=self._library_listed, lane=Lane.DISK)
        self._measure()  # a second's work, in the same lane
        if self.form.source is None and (first := self._first_choice()):
            self.choose(first)

    def choose(self, source: Source) -> None:
        """Reads a file's header in the background, or takes typed sizes, and plans for it."""
        self._round += 1
        self._forget_plan()
        self._show(
            sources=_with_source(self.form.sources, source), source=source, subject=None, error=None, wishes=Wishes()
        )
        self._chosen_context = None
        if plan_now := self._stop_warming():
            plan_now()  # without a model it only moves to the machine
        self._warm = frozenset()
        round_now, site = self._round, self._site
        lane = Lane.HUB if isinstance(source, Reference) else Lane.DISK
        self._runner.start(
            self._reading(source, site), on_end=lambda outcome: self._subject_read(round_now, outcome, site), lane=lane
        )

    def _reading(self, source: Source, site: Site | None) -> Generator[None, None, Subject]:
        match source:
            case Parameters():
                return _typing(self._fitting, source, site)
            case Reference():
                return _weighing(self._discovery(), source, site)
            case ModelFile(path):
                return self._fitting.reading(path, site)

    def choose_path(self, path: Path) -> None:
        """Any file from the disk."""
        self.choose(_opened(path))

    def read_again(self) -> None:
        """The chosen file anew."""
        if self.form.source:
            self.choose(self.form.source)

    def set_machine(self, machine: Machine | None) -> None:
        """What was found out about this machine; None while it is being looked at."""
        self._show(here=machine)
        if self.form.is_here:
            self._plan_on(self._now(machine), machine_error=None)
        self._measure()

    def set_use(self, use: MemoryUse) -> None:
        """How full this machine is now; what hardly differs from the last time does not disturb the page."""
        if self._is_asking or (self._use and not _differ(self._use, use)):
            return
        self._use = use
        if self.form.is_here and self.form.here:
            self._plan_on(self._now(self.form.here))

    def plan_here(self) -> None:
        """Back to the machine that the app runs on."""
        self._plan_on(self._now(self.form.here), target=ThisMachine(), machine_error=None)

    def plan_for_parts(self, gpus: tuple[str, ...], ram_bytes: int) -> None:
        """A machine that is put together from parts; GPUs by the names of hardware/parts.py."""
        target = BuiltMachine(gpus, ram_bytes)
        try:
            self._plan_on(machine_with(gpus, ram_bytes), target=target, machine_error=None)
        except AppError as error:
            self._show(machine_error=error)

    def plan_for_file(self, path: Path) -> None:
        """A machine's own report, read in the background."""
        self._runner.start(
            _once(lambda: read_machine_file(path)),
            on_end=lambda outcome: self._machine_read(path, outcome),
            lane=Lane.DISK,
        )

    def set_context(self, n_ctx: int | None) -> None:
        """In tokens; None leaves it to the plan."""
        self._wish(n_ctx=None if n_ctx is None else min(max(n_ctx, SMALLEST_CONTEXT), LARGEST_CONTEXT))

    def set_kv_type(self, kv_type: KvType | None) -> None:
        """None leaves it to the plan."""
        self._wish(kv_type=kv_type)

    def set_parallel(self, n_parallel: int) -> None:
        """How many sequences share the context."""
        self._wish(n_parallel=min(max(n_parallel, 1), MOST_SLOTS))

    def set_layers(self, n_gpu_layers: int | None) -> None:
        """0 is CPU only, one more than the model's layers is everything; None leaves layers and experts to the plan."""
        experts = None if n_gpu_layers is None else self.form.wishes.n_cpu_experts
        self._wish(n_gpu_layers=n_gpu_layers, n_cpu_experts=experts)

    def set_experts(self, n_cpu_experts: int | None) -> None:
        """The experts of so many layers stay in RAM; None leaves it to the plan."""
        self._wish(n_cpu_experts=n_cpu_experts)

    def choose_quant(self, quant: str) -> None:
        """Looks at another row; the recommended one is what the plan chooses by itself."""
        if self.form.fit and quant != self.form.fit.candidate.quant:
            self._wish(quant=None if quant == self.form.best_quant else quant)

    def repair(self, repair: Repair) -> None:
        """Does what a repair proposes."""
        self._wish(**vars(repair.wishes))

    def reset(self) -> None:
        """Leaves everything to the plan again."""
        self._wish(**vars(Wishes()))

    def confirm(self) -> None:
        """Asks the engine for its own plan of what is looked at; the page asks once the person rests."""
        form = self.form
        if not (form.can_confirm and form.fit and form.machine and self._site):
            return
        planned = self._planned
        self._show(is_confirming=True)
        self._confirming = self._runner.start(
            self._fitting.confirming(form.fit, self._site, form.machine),
            on_end=lambda outcome: self._confirmed(planned, outcome),
        )

    def load_wish(self) -> LoadWish | None:
        """What the load dialog begins with; None where there is nothing to load here."""
        form = self.form
        if not (form.can_load and form.fit and form.file):
            return None
        return planned_wish(self._file_of(form.file), form.fit, is_automatic=form.wishes.n_gpu_layers is None)

    def _file_of(self, path: str) -> ModelFile:
        """The guide keeps its name."""
        source = self.form.source
        is_source = isinstance(source, ModelFile) and str(source.path) == path
        return source if is_source and isinstance(source, ModelFile) else _opened(Path(path))

    def _first_choice(self) -> ModelFile | None:
        state = self._host.state
        if not isinstance(state, NoModel):
            return state.wish.file
        recent = self._settings.now.recent_models
        return _recent_file(recent[0].path) if recent else None

    def _known_sources(self) -> tuple[Source, ...]:
        recents = [_recent_file(one.path) for one in self._settings.now.recent_models]
        known: tuple[Source, ...] = self.form.sources
        for source in (*recents, guide()):
            known = _with_source(known, source, at_end=True)
        return known

    def _library_listed(self, outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            sources = self.form.sources
            for file in outcome.result:
                sources = _with_source(sources, file, at_end=True)
            self._show(sources=sources)

    def _subject_read(self, round_then: int, outcome: Outcome, site: Site | None) -> None:
        """`site`: where its first plan was made already; the machine may have become known only since."""
        if round_then != self._round:
            return  # another model was chosen since
        match outcome:
            case Done(Subject() as subject):
                self._warm = _backends(site)
                self._show(subject=subject)
                self._plan_soon(self._site, self._replan)
                if self._warm and site:
                    self._runner.start(warming_further(subject.candidates, site))
            case Failed(error):
                self._show(error=error)

    def _machine_read(self, path: Path, outcome: Outcome) -> None:
        match outcome:
            case Done(Machine() as machine):
                self._plan_on(machine, target=FileMachine(path), machine_error=None)
            case Failed(error):
                self._show(machine_error=error)

    def _measure(self) -> None:
        """How fast the RAM is read, once it matters; an engine at work would disturb it."""
        here = self.form.here
        if self._is_open and here and self._measuring is None and isinstance(self._host.state, NoModel):
            self._measuring = self._runner.start(self._fitting.measuring(here), on_end=self._measured, lane=Lane.DISK)

    def _measured(self, outcome: Outcome) -> None:
        if isinstance(outcome, Done) and outcome.result and self.form.is_here:
            self._plan_on(self.form.machine)

    def _host_turned(self, state: ModelState) -> None:
        """What is loaded would be unloaded first, so it decides how much is free."""
        if isinstance(state, LoadedModel | NoModel) and self.form.is_here:
            self._plan_on(self.form.machine)

    @property
    def _is_asking(self) -> bool:
        """A child process of ours computes: the memory it takes meanwhile is no news, and would start it anew."""
        return self.form.is_confirming or (self._measuring is not None and self._measuring.is_running)

    def _now(self, machine: Machine | None) -> Machine | None:
        return refreshed(machine, self._use) if machine and self._use else machine

    def _plan_on(self, machine: Machine | None, **changes: Any) -> None:
        is_here = isinstance(changes.get("target", self.form.target), ThisMachine)
        is_moving = "target" in changes
        if self._awaited and self._is_moving and not is_moving:
            return
        ready = self._host.state.engine.ready if isinstance(self._host.state, LoadedModel) else None
        site = self._fitting.site(machine, ready, is_here=is_here) if machine else None
        self._is_moving = is_moving
        self._plan_soon(site, lambda: self._plan_at(site, machine, changes))

    def _plan_at(self, site: Site | None, machine: Machine | None, changes: dict[str, Any]) -> None:
        self._site = site
        # What was set by hand for one machine's GPUs means nothing on another's.
        wishes = replace(self.form.wishes, n_gpu_layers=None, n_cpu_experts=None) if changes.get("target") else None
        self._show(machine=machine, wishes=wishes or self.form.wishes, **changes)
        self._replan()

    def _plan_soon(self, site: Site | None, plan_now: Callable[[], None]) -> None:
        """At once where plans are quick; else what a first plan works out is worked out in the background."""
        self._stop_warming()
        subject, new = self.form.subject, _backends(site) - self._warm
        if subject is None or site is None or not new:
            plan_now()
            return
        self._awaited = plan_now

        def warmed(_: Outcome) -> None:
            if self._awaited is plan_now:
                self._awaited = None
                self._warm |= new
                plan_now()
                self._runner.start(warming_further(subject.candidates, site))

        self._warming = self._runner.start(warming(subject.candidates, site, self.form.wishes), on_end=warmed)

    def _stop_warming(self) -> Callable[[], None] | None:
        """Nothing is awaited any more; returns what was."""
        if self._warming:
            self._warming.cancel()
            self._warming = None
        awaited, self._awaited = self._awaited, None
        return awaited

    def _wish(self, **changes: Any) -> None:
        self.form = replace(self.form, wishes=replace(self.form.wishes, **changes))
        self._replan()

    def _replan(self) -> None:
        """A plan takes milliseconds, so it is made anew at every movement."""
        self._forget_plan()
        form = self.form
        if form.subject is None or self._site is None:
            self._show(plan=None)
            return
        asked = form.wishes
        if asked.quant is not None and asked.n_ctx is None:
            asked = replace(asked, n_ctx=self._chosen_context)  # to look at another row must not move the slider
        try:
            changes = _planned(form.subject, asked, self._site)
        except AppError as error:  # a wish that makes no sense
            self._show(error=error)
            return
        self._chosen_context = changes["plan"].best.placement.n_ctx
        self._show(error=None, **changes)

    def _forget_plan(self) -> None:
        self._planned += 1
        if self._confirming:
            self._confirming.cancel()
            self._confirming = None
        self.form = replace(self.form, plan=None, is_confirming=False)

    def _confirmed(self, planned: int, outcome: Outcome) -> None:
        """A plan that the engine would not make keeps the arithmetic's figures: they say on what they rest."""
        if planned != self._planned:
            return
        made = self.form.plan
        if made and isinstance(outcome, Done) and isinstance(outcome.result, Fit):
            made = _with_fit(made, outcome.result)
        self._show(plan=made, is_confirming=False)

    def _show(self, **changes: Any) -> None:
        self.form = replace(self.form, **changes)
        self._view.show_form(self.form)


def _weighing(discovery: Discovery, reference: Reference, site: Site | None) -> Generator[None, None, Subject]:
    """A model on the Hub, by its headers."""
    look = yield from discovery.weighing(reference, site)
    assert look.subject is not None
    return look.subject


def _typing(fitting: Fitting, parameters: Parameters, site: Site | None) -> Generator[None, None, Subject]:
    """A model that does not exist yet, and what its first plan works out."""
    yield None
    subject = fitting.typed(parameters)
    if site:
        yield from warming(subject.candidates, site)
    return subject


def _backends(site: Site | None) -> frozenset[Backend]:
    """What a first plan depends on: memory is laid out for each of them."""
    return frozenset(room.backend for room in (site.rooms.ram, *site.rooms.gpus)) if site else frozenset()


def _planned(subject: Subject, wishes: Wishes, site: Site) -> dict[str, Any]:
    """What is looked at, what is recommended whichever that is, and where the slider's tick stands."""
    made = plan(subject.candidates, site, wishes)
    most = largest_layers(made.best.candidate, made.best.placement, site)
    best = made.recommended or made.best
    return {"plan": made, "best_quant": best.candidate.quant, "most_layers": most}


def _differ(one: MemoryUse, other: MemoryUse) -> bool:
    """Whether any memory is noticeably fuller or emptier."""
    pairs = [(one.ram.available_bytes, other.ram.available_bytes)]
    pairs += [(gpu.used_bytes or 0, same.used_bytes or 0) for gpu, same in zip(one.gpus, other.gpus, strict=False)]
    return len(one.gpus) != len(other.gpus) or any(abs(old - new) > NOTICED_BYTES for old, new in pairs)


def _with_fit(made: Plan, fit: Fit) -> Plan:
    fits = tuple(fit if one.candidate.quant == fit.candidate.quant else one for one in made.fits)
    return replace(made, best=fit, fits=fits)


def _with_source(sources: tuple[Source, ...], source: Source, *, at_end: bool = False) -> tuple[Source, ...]:
    if any(_identity(one) == _identity(source) for one in sources):
        return sources
    return (*sources, source) if at_end else (source, *sources)


def _identity(source: Source) -> object:
    return source.reference if isinstance(source, ModelFile) else source


def _recent_file(reference: str) -> ModelFile:
    return guide() if reference == GUIDE else _opened(Path(reference))


def _opened(path: Path) -> ModelFile:
    """Any file on the disk as a model; whether it is one is seen when it is read."""
    whole = path.expanduser().absolute()
    return ModelFile(whole, whole.stem, str(whole))


def _once(call: Callable[[], Any]) -> Generator[None, None, Any]:
    """A short read as work: it looks once whether anybody still wants it."""
    yield None
    return call()
