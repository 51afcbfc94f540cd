"""Turns choices into plans and plans into loads; reads files and free memory in jobs. No Qt."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from carryon.app.fitting import Subject, confirmed, refreshed, warming
from carryon.app.host import FailedModel, LoadedModel, LoadingModel, LoadWish, ModelState, NoModel
from carryon.app.models import GUIDE, ModelFacts, ModelFile, every, facts, guide
from carryon.app.services import Services
from carryon.app.wishes import planned_wish, safe_wish, wishes_again, wishes_of
from carryon.base.errors import AppError, BadInput, Unsupported
from carryon.base.jobs import Done, Failed, Job, Lane, Outcome
from carryon.base.settings import RecentModel
from carryon.engine.protocol import KvType
from carryon.fit.memory import Placement
from carryon.fit.plan import Basis, Candidate, Fit, Repair, Site, Verdict, Wishes, fewest_experts, largest_layers, plan
from carryon.hardware.machine import Machine, MemoryUse
from carryon.ui.loading.command import command_line
from carryon.ui.loading.form import (
    CPU_DEVICE,
    Check,
    Entry,
    Form,
    Place,
    full_device,
    is_swap_certain,
    no_offload,
    parsed_context,
)
from carryon.ui.loading.limits import Remembered, largest_context
from carryon.ui.loading.rungs import next_rung

_VERDICTS = tuple(Verdict)  # from best to worst
_NO_LIMITS = {"most_layers": None, "most_context": None, "fewest_experts": None}


class View(Protocol):
    """What the presenter needs of a page."""

    def show_form(self, form: Form) -> None: ...

    def close_after_load(self) -> None: ...


class LoadPresenter:
    """Keeps the form, starts and cancels loads. Lives on the main thread; `metering` reads free memory."""

    def __init__(
        self, services: Services, view: View, metering: Callable[[], Generator[None, None, MemoryUse]]
    ) -> None:
        self._services, self._view, self._metering = services, view, metering
        self._settings, self._runner, self._host = services.settings, services.runner, services.host
        self._is_open = False
        self._reading = 0
        self._site: Site | None = None
        self._most_layers, self._most_context, self._fewest_experts = Remembered(), Remembered(), Remembered()
        self._confirmation: Job | None = None
        self.form = Form()
        self._host.listen(self._host_turned)

    def open(self, file: ModelFile | None = None, wish: LoadWish | None = None) -> None:
        """Begins anew: with this wish or file, else with what is loaded, else with the latest, else with the guide."""
        self._is_open = True
        self._show(entries=self._known_entries(), error=None)
        self._runner.start(_once(lambda: every(self._services.home)), on_end=self._library_listed, lane=Lane.DISK)
        self._runner.start(self._services.probing(), on_end=self._looked)
        if wish:
            self.choose(wish.file, wishes_again(wish))
        else:
            self.choose(file or self._first_choice())

    def close(self) -> None:
        """The page is gone; a load that runs goes on."""
        self._is_open = False

    def choose_path(self, path: Path) -> None:
        """A file from the disk."""
        self.choose(model_file(path))

    def choose(self, file: ModelFile, wishes: Wishes | None = None) -> None:
        """Reads the file in the background, then plans: as it was loaded the last time, or as wished."""
        self._reading += 1
        reading = self._reading
        recent = self._settings.now.recent(file.reference)
        wished = wishes or wishes_of(recent)
        self._show(
            entries=_with_entry(self.form.entries, file), file=file, facts=None, candidate=None, others=(),
            wishes=wished, is_manual=wished.n_gpu_layers is not None, is_context_readable=True, is_kept=True,
            plan=None, no_plan=None, **_NO_LIMITS, check=None, error=None, rung=None,
        )  # fmt: skip
        self._runner.start(
            self._reading_file(file), on_end=lambda outcome: self._file_read(reading, outcome), lane=Lane.DISK
        )

    def set_context(self, text: str) -> None:
        """What was typed or picked: '8k', '8,192' or '8192'."""
        n_ctx = parsed_context(text)
        if n_ctx is None:
            self._show(is_context_readable=False, check=None)
        else:
            self._replan(is_context_readable=True, wishes=replace(self.form.wishes, n_ctx=n_ctx))

    def set_kv(self, kv_type: KvType) -> None:
        """How the cache is stored; the context stays what it is."""
        self._replan(wishes=replace(self.form.wishes, kv_type=kv_type, n_ctx=self.form.n_ctx))

    def set_layers(self, n_gpu_layers: int) -> None:
        """0 is CPU only; one more than the model's layers is everything. From then on it is the person's."""
        if self.form.facts:
            most = self.form.facts.n_gpu_layers_max
            self._replan(is_manual=True, wishes=replace(self._pinned(), n_gpu_layers=max(0, min(n_gpu_layers, most))))

    def set_experts(self, n_cpu_experts: int) -> None:
        """So many layers keep their experts in RAM."""
        if self.form.facts:
            most = self.form.facts.n_layers
            self._replan(is_manual=True, wishes=replace(self._pinned(), n_cpu_experts=max(0, min(n_cpu_experts, most))))

    def set_manual(self, is_manual: bool) -> None:
        """By hand everything stays as it is; automatically the plan chooses layers and experts anew."""
        if is_manual:
            self._replan(is_manual=True, wishes=self._pinned())
        else:
            free = replace(self.form.wishes, n_gpu_layers=None, n_cpu_experts=None, n_ubatch=None)
            self._replan(is_manual=False, wishes=free)

    def set_kept(self, is_kept: bool) -> None:
        """Whether these choices are remembered for this model."""
        self._show(is_kept=is_kept)

    def apply(self, repair: Repair) -> None:
        """Takes one of the offered changes; another quant type is another file."""
        wanted = repair.fit.candidate.path
        if self.form.candidate and wanted and wanted != self.form.candidate.path:
            self.choose(model_file(Path(wanted)), repair.wishes)
        else:
            self._replan(wishes=repair.wishes, is_manual=repair.wishes.n_gpu_layers is not None)

    def set_machine(self, machine: Machine | None) -> None:
        """What was found of this machine, before the loaded model came: nothing is to be given back."""
        self._know(machine, self._services.fitting.site(machine) if machine else None)

    def load(self) -> None:
        """Reads free memory once more, then loads what the form says; it is remembered once it answers."""
        if not self.form.can_load:
            return
        if self.form.check is Check.SURE:
            self._load_now()
            return
        reading = self._reading
        self._show(error=None, rung=None, check=Check.MEMORY)
        self._runner.start(self._reading_memory(), on_end=lambda outcome: self._memory_read(reading, outcome))

    def load_rung(self) -> None:
        """After a load that ran out of memory: the next smaller way, at once."""
        rung = self.form.rung
        if rung:
            self.apply(rung)
            self._show(rung=None)
            self.load()

    def stop_loading(self) -> None:
        """Cancels the load that runs."""
        if self.form.loading:
            self._host.unload()

    def confirm(self) -> None:
        """Lets the engine itself plan what is shown; its figures replace the arithmetic when they come."""
        fit, site, machine = self.form.fit, self._site, self.form.machine
        if fit is None or site is None or machine is None or fit.basis is not Basis.INSTANT or self.form.loading:
            return
        if self._confirmation:
            self._confirmation.cancel()
        work = self._services.fitting.confirming(fit, site, machine)
        self._confirmation = self._runner.start(work, on_end=lambda outcome: self._confirmed(fit, outcome))

    def command(self) -> str:
        """What the form says as a command for a terminal."""
        wish = self._wish()
        return command_line(wish) if wish else ""

    def _pinned(self) -> Wishes:
        """What the plan chose so far, as wishes: by hand, nothing moves but what is moved."""
        form = self.form
        n_ubatch = form.fit.placement.n_ubatch if form.fit else form.wishes.n_ubatch
        return replace(
            form.wishes, n_ctx=form.n_ctx, kv_type=form.kv_type, n_gpu_layers=form.n_gpu_layers,
            n_cpu_experts=form.n_cpu_experts, n_ubatch=n_ubatch,
        )  # fmt: skip

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

    def _reading_file(self, file: ModelFile) -> Generator[None, None, tuple[ModelFacts, Subject | None]]:
        """A model that only the engine understands has facts, and no fit."""
        yield None
        known = facts(file)
        try:
            subject = yield from self._services.fitting.reading(file.path)
        except Unsupported:
            return known, None
        if self._site:  # else the first plan comes with the machine
            yield from warming([one for one in subject.candidates if one.path], self._site)
        return replace(known, size_bytes=subject.named.shape.size_bytes or known.size_bytes), subject

    def _file_read(self, reading: int, outcome: Outcome) -> None:
        if reading != self._reading:
            return  # another file was chosen since
        match outcome:
            case Done((known, subject)):
                named = subject.named if subject else None
                others = [one for one in subject.candidates if one.path and one is not named] if subject else []
                self._replan(facts=known, candidate=named, others=tuple(others))
            case Failed(error):
                self._show(error=error)

    def _looked(self, outcome: Outcome) -> None:
        """A look at the machine as it is now: what the loaded model holds comes back before the next one loads."""
        if isinstance(outcome, Done):
            self._know(outcome.result, self._services.fitting.site(outcome.result, self._host.ready))
            self._measure(outcome.result)

    def _measure(self, machine: Machine) -> None:
        """How fast the RAM is read, once a month; an engine at work would disturb it."""
        if self._is_open and isinstance(self._host.state, NoModel):
            work = self._services.fitting.measuring(machine)
            self._runner.start(work, on_end=lambda outcome: self._measured(machine, outcome), lane=Lane.DISK)

    def _measured(self, machine: Machine, outcome: Outcome) -> None:
        if isinstance(outcome, Done) and outcome.result and self.form.machine is machine:
            self._know(machine, self._services.fitting.site(machine, self._host.ready))

    def _know(self, machine: Machine | None, site: Site | None) -> None:
        self._site = site
        for limit in (self._most_layers, self._most_context, self._fewest_experts):
            limit.clear()
        self._replan(check=self.form.check, machine=machine, no_offload=no_offload(machine))

    def _replan(self, **changes: Any) -> None:
        """Applies changes and plans anew; what was asked about the former choice is asked no more."""
        changes = {"check": None, **changes}
        self._show(**changes, **self._planned(replace(self.form, **changes)))

    def _planned(self, form: Form) -> dict[str, Any]:
        if form.candidate is None or self._site is None:
            return {"plan": None, "no_plan": None, **_NO_LIMITS}
        wishes = replace(form.wishes, quant=form.candidate.quant)
        if form.no_offload is not None and wishes.n_gpu_layers:
            wishes = replace(wishes, n_gpu_layers=0)
        try:
            made = plan((form.candidate, *form.others), self._site, wishes)
        except BadInput as error:
            return {"plan": None, "no_plan": error, **_NO_LIMITS}
        return {"plan": made, "no_plan": None, **self._limits(form.candidate, made.best.placement, self._site)}

    def _limits(self, candidate: Candidate, placed: Placement, site: Site) -> dict[str, Any]:
        """The slider's tick depends on everything but the slider, the longest context on all but the context."""
        where = replace(placed, n_gpu_layers=0, gpus=(), split=())
        long = replace(placed, n_ctx=0)
        layers = self._most_layers.get((candidate.path, where), lambda: largest_layers(candidate, placed, site))
        context = self._most_context.get((candidate.path, long), lambda: largest_context(candidate, placed, site))
        if not site.rooms.gpus:
            return {**_NO_LIMITS, "most_context": context}
        if not candidate.shape.is_moe:
            return {**_NO_LIMITS, "most_context": context, "most_layers": layers}
        few = (candidate.path, replace(placed, n_cpu_experts=0, split=()))
        experts = self._fewest_experts.get(few, lambda: fewest_experts(candidate, placed, site))
        return {"most_layers": layers, "most_context": context, "fewest_experts": experts}

    def _reading_memory(self) -> Generator[None, None, Machine]:
        if self.form.machine is None:
            return (yield from self._services.probing())
        use = yield from self._metering()
        return refreshed(self.form.machine, use)

    def _memory_read(self, reading: int, outcome: Outcome) -> None:
        if reading != self._reading or self.form.check is not Check.MEMORY:
            return  # something else was chosen since
        shown = self.form.fit
        self._looked(outcome)
        if shown and self.form.fit and _is_other(shown, self.form.fit):
            self._show(check=Check.CHANGED)
        elif self.form.fit and self.form.plan and is_swap_certain(self.form.fit, self.form.plan.rooms):
            self._show(check=Check.SURE)
        else:
            self._load_now()

    def _load_now(self) -> None:
        wish = self._wish()
        self._show(error=None, check=None)
        if wish:
            self._host.load(wish)

    def _wish(self) -> LoadWish | None:
        form = self.form
        if form.facts is None or form.file is None or form.n_ctx is None:
            return None
        if form.fit and self._site:
            return planned_wish(
                form.file, form.fit, self._site, is_automatic=not form.is_manual, is_kept=form.is_kept
            )
        safe = safe_wish(form.facts, self._settings.now.recent(form.file.reference))
        return replace(
            safe, n_ctx=form.n_ctx, n_gpu_layers=form.n_gpu_layers, n_cpu_experts=form.n_cpu_experts,
            kv_type=form.kv_type, is_automatic=not form.is_manual, is_kept=form.is_kept,
        )  # fmt: skip

    def _confirmed(self, fit: Fit, outcome: Outcome) -> None:
        if isinstance(outcome, Done) and self.form.plan and self._site and self.form.fit is fit:
            self._show(plan=confirmed(self.form.plan, outcome.result, self._site))

    def _host_turned(self, state: ModelState) -> None:
        match state:
            case LoadingModel():
                self._show(loading=state, check=None)
            case LoadedModel():
                was_loading = self.form.loading is not None
                self._show(loading=None)
                if was_loading and self._is_open:
                    self._view.close_after_load()
            case FailedModel(wish, error):
                is_about_this = self.form.loading is not None and wish.file == self.form.file
                self._show(loading=None)
                if is_about_this:
                    self._show(error=error, rung=self._rung(error))
            case NoModel():
                self._show(loading=None)

    def _rung(self, error: AppError) -> Repair | None:
        """What would help: one of the plan's repairs that saves, else a step of our own."""
        device, made = full_device(error), self.form.plan
        if device is None or made is None or self._site is None:
            return None
        saving = (one for one in made.repairs if one.saves_bytes > 0 and self.form.is_possible(one))
        is_gpu_full = device != CPU_DEVICE and made.best.placement.n_gpu_layers > 0
        return next(saving, None) or next_rung(made.best, self._pinned(), self._site, is_gpu_full=is_gpu_full)

    def _show(self, **changes: Any) -> None:
        self.form = replace(self.form, **changes)
        if self._is_open:
            self._view.show_form(self.form)


def _is_other(shown: Fit, now: Fit) -> bool:
    """Whether what was shown is no longer true enough to load without a word."""
    is_worse = _VERDICTS.index(now.verdict) > _VERDICTS.index(shown.verdict)
    return is_worse or now.placement.n_ctx != shown.placement.n_ctx


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
