"""Joins what a fit needs: a model's quants, the machine's rooms and speeds, the engine's own plan, what was learnt."""

from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from carryon.app.evaluations import Evaluations
from carryon.app.measurements import Measurements
from carryon.base.errors import AppError, BadInput
from carryon.base.paths import Home
from carryon.chat.message import Figures
from carryon.engine.dryrun import DryRun, dry_running
from carryon.engine.protocol import DeviceMemory, LoadRequest, Ready
from carryon.fit.answers import Basis, Candidate, Fit, Plan, Site, Wishes
from carryon.fit.calibration import Learnt
from carryon.fit.choice import USUAL_CONTEXT
from carryon.fit.ladder import best_fit
from carryon.fit.memory import DeviceNeed, Need
from carryon.fit.observing import observed_load, observed_speed
from carryon.fit.placement import Placement
from carryon.fit.plan import plan
from carryon.fit.reasons import limit_of, reasons
from carryon.fit.room import Rooms, rooms_of
from carryon.fit.speed import speeds_of
from carryon.fit.verdict import judged
from carryon.gguf.mix import QUANTS, requantized_each
from carryon.gguf.quants import GGML_TYPES_BY_NAME, KvType
from carryon.gguf.shape import ModelShape, read_shape
from carryon.gguf.sketch import Parameters, sketched
from carryon.gguf.split import parts_of
from carryon.hardware.bandwidth import measuring_bandwidth
from carryon.hardware.machine import DeviceKind, EngineDevice, Machine, MemoryUse

NO_WISHES = Wishes()
THIS_FILE = "this file"  # a quant type that nobody can name
# What is published for nearly every model; the others appear where a file of them is here.
_SHOWN = (
    "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "IQ4_NL", "IQ4_XS", "Q4_0", "Q3_K_L", "Q3_K_M",
    "IQ3_M", "IQ3_XXS", "Q3_K_S", "IQ2_M", "Q2_K",
)  # fmt: skip
_SHOWN_OF_MXFP4 = ("MXFP4_MOE",)  # trained in it: larger types gain nothing, smaller ones save next to nothing
_MXFP4 = GGML_TYPES_BY_NAME["MXFP4"].type_id


@dataclass(frozen=True)
class Subject:
    """A model whose fit is asked: its quants, best quality first. Those with a path are here, the others could be."""

    name: str
    candidates: tuple[Candidate, ...]
    chosen: str | None = None  # the quant of the file that was named; None: a model that does not exist yet

    @property
    def named(self) -> Candidate:
        """The file that was asked for, else the best quant."""
        return next((one for one in self.candidates if one.quant == self.chosen), self.candidates[0])


class Fitting:
    """The fit of this home: reads headers, asks the engine, and keeps what really happened."""

    def __init__(self, home: Home) -> None:
        self._home = home

    @cached_property
    def measurements(self) -> Measurements:
        """What was measured on this machine; opened when it is first wanted."""
        return Measurements(self._home.library)

    @cached_property
    def evaluations(self) -> Evaluations:
        """What quants were measured to have lost; opened when it is first wanted."""
        return Evaluations(self._home.library)

    def close(self) -> None:
        """Closes what was opened."""
        for name in ("measurements", "evaluations"):
            if name in vars(self):
                vars(self)[name].close()

    def reading(self, path: Path, site: Site | None = None) -> Generator[None, None, Subject]:
        """Reads a file's header and those of its siblings of other quants beside it. Raises BadFile, Unsupported.

        With a site, plans there are quick from the first one on.
        """
        yield None
        shape = read_shape(path)
        here = {shape.quant or THIS_FILE: self._candidate(shape, path)}
        for sibling in _files_beside(path):
            yield None
            other = _sibling_shape(sibling, shape)
            if other and other.quant:
                here.setdefault(other.quant, self._candidate(other, sibling))
        yield None
        subject = Subject(shape.name or path.stem, _with_others(here, shape), shape.quant or THIS_FILE)
        if site:
            yield from warming(subject.candidates, site)
        return subject

    def _candidate(self, shape: ModelShape, path: Path) -> Candidate:
        """A file that is here, with what was measured of it."""
        return Candidate(shape.quant or THIS_FILE, shape, str(path), self.evaluations.measured_quality(path))

    def typed(self, parameters: Parameters) -> Subject:
        """A model that does not exist yet, in every quant it could have."""
        return Subject(parameters.name, _with_others({}, sketched(parameters)))

    def site(self, machine: Machine, ready: Ready | None = None, *, is_here: bool = True) -> Site:
        """Where a model would lie; `ready` is the loaded one, which would be unloaded. Another machine is not here."""
        rooms = rooms_of(machine, giving_back(ready) if ready and is_here else {})
        learnt = self.measurements.learnt() if is_here else Learnt()
        bandwidth = self.measurements.ram_bytes_per_s(machine.cpu.name) if is_here else None
        return Site(rooms, speeds_of(machine, rooms, bandwidth, learnt), learnt)

    def measuring(self, machine: Machine) -> Generator[None, None, bool]:
        """Measures how fast the RAM is read, once a month; True where it was measured now."""
        if self.measurements.ram_bytes_per_s(machine.cpu.name):
            return False
        found = yield from measuring_bandwidth()
        if found:
            self.measurements.keep_ram_bytes_per_s(machine.cpu.name, found)
        return bool(found)

    def confirming(self, fit: Fit, site: Site, machine: Machine) -> Generator[None, None, Fit]:
        """The same fit by the engine's own plan. Raises AppError where it would not plan; needs the file to be here."""
        if fit.candidate.path is None:
            return fit
        request = planned_request(fit.candidate.path, fit.placement)
        planned: DryRun = yield from dry_running(request, self._home.cache, machine.engine)
        return judged(fit.candidate, fit.placement, need_of(planned.devices, site.rooms, fit.need), site, Basis.DRY_RUN)

    def loaded(self, fit: Fit, site: Site, ready: Ready) -> None:
        """Keeps what a real load took, beside what was predicted."""
        held = need_of(ready.memory, site.rooms, fit.need)
        self.measurements.add(observed_load(fit, site.rooms, held))

    def answered(self, fit: Fit, site: Site, figures: Figures) -> None:
        """Keeps how fast an answer was; one of a few words says nothing of a speed."""
        depth_tokens = figures.cached_n + figures.prompt_n + figures.predicted_n // 2
        seen = observed_speed(
            fit, site, figures.tokens_per_s, figures.prompt_tokens_per_s, depth_tokens,
            n_written=figures.predicted_n, n_read=figures.prompt_n,
        )  # fmt: skip
        self.measurements.add(seen)


def warming(candidates: Sequence[Candidate], site: Site, wishes: Wishes = NO_WISHES) -> Generator[None, None, None]:
    """Plans and forgets: what a first plan works out for a model takes longer than a frame, every later one does not.

    What cannot be planned is left to the plan that somebody waits for.
    """
    trained = candidates[0].shape.n_ctx_train or USUAL_CONTEXT
    settled = replace(wishes, n_ctx=wishes.n_ctx or min(trained, USUAL_CONTEXT))
    for one in candidates:
        yield None
        best_fit(one, site, settled)
    yield None
    with suppress(BadInput):
        plan(candidates, site, wishes)


def warming_further(candidates: Sequence[Candidate], site: Site) -> Generator[None, None, None]:
    """The same for what people try next: a smaller cache, other layers."""
    half = candidates[0].shape.n_gpu_layers_max // 2
    for wishes in (Wishes(kv_type=KvType.Q8_0), Wishes(n_gpu_layers=half), Wishes(n_ubatch=256)):
        yield from warming(candidates, site, wishes)


def confirmed(made: Plan, fit: Fit, site: Site) -> Plan:
    """The plan with better figures for one of its fits, and the reasons that follow from them."""

    def better(one: Fit) -> Fit:
        return fit if one.candidate is fit.candidate and one.placement == fit.placement else one

    fits, best = tuple(map(better, made.fits)), better(made.best)
    limit = limit_of(best, fits, site.rooms, made.repairs)
    said = reasons(best, fits, site, made.wishes, limit)
    recommended = better(made.recommended) if made.recommended else None
    return replace(made, best=best, fits=fits, limit=limit, reasons=said, recommended=recommended)


def giving_back(ready: Ready) -> dict[str, int]:
    """What unloading a model frees, by device. Weights mapped from the file are counted as available already."""
    return {one.name: one.total_bytes - one.mapped_bytes for one in ready.memory}


def refreshed(machine: Machine, use: MemoryUse) -> Machine:
    """The machine with what is free at this moment."""
    free = _free_by_name(use)
    gpus = tuple(replace(one, free_bytes=next(free[one.name], None) or one.free_bytes) for one in machine.gpus)
    engine = machine.engine
    if engine:
        free = _free_by_name(use)
        engine = replace(engine, devices=tuple(_refreshed(one, free, use) for one in engine.devices))
    return replace(machine, ram=use.ram, gpus=gpus, engine=engine)


def need_of(held: Sequence[DeviceMemory], rooms: Rooms, predicted: Need) -> Need:
    """What the engine holds, device by device of the rooms; extras are not in its account and stay as predicted."""
    by_name = {one.name: one for one in held}
    ram = [one for one in held if one.name not in {room.name for room in rooms.gpus}]
    return Need(
        _device_need(ram, predicted.ram.extra_bytes),
        tuple(
            _device_need([by_name[room.name]] if room.name in by_name else [], was.extra_bytes)
            for room, was in zip(rooms.gpus, predicted.gpus, strict=True)
        ),
    )


def planned_request(path: str, placement: Placement) -> LoadRequest:
    """What the engine would be asked to load."""
    return LoadRequest(
        model_path=path,
        n_ctx=placement.n_ctx,
        n_gpu_layers=placement.n_gpu_layers,
        n_cpu_experts=placement.n_cpu_experts,
        gpus=placement.gpus,
        split=placement.split,
        n_ubatch=placement.n_ubatch,
        n_parallel=placement.n_parallel,
        kv_type=placement.kv_type,
        use_mmap=placement.use_mmap,
    )


def _free_by_name(use: MemoryUse) -> dict[str, Iterator[int | None]]:
    """What is free on the GPUs of each name, in their order: several may have the same."""
    free: dict[str, list[int | None]] = defaultdict(list)
    for one in use.gpus:
        free[one.name].append(one.total_bytes - one.used_bytes if one.total_bytes and one.used_bytes else None)
    return defaultdict(lambda: iter(()), {name: iter(sizes) for name, sizes in free.items()})


def _refreshed(device: EngineDevice, free: dict[str, Iterator[int | None]], use: MemoryUse) -> EngineDevice:
    if device.kind is DeviceKind.CPU:
        return replace(device, free_bytes=use.ram.available_bytes)
    known = next(free[device.description], None)
    return device if known is None else replace(device, free_bytes=known)


def _device_need(held: Sequence[DeviceMemory], extra_bytes: int) -> DeviceNeed:
    return DeviceNeed(
        weights_bytes=sum(one.weights_bytes for one in held),
        kv_bytes=sum(one.kv_bytes for one in held),
        compute_bytes=sum(one.compute_bytes for one in held),
        output_bytes=sum(one.output_bytes for one in held),
        extra_bytes=extra_bytes,
    )


def _files_beside(path: Path) -> list[Path]:
    own = parts_of(path)
    return sorted(one for one in path.parent.glob("*.gguf") if one not in own and parts_of(one)[0] == one)


def _sibling_shape(path: Path, shape: ModelShape) -> ModelShape | None:
    """The shape of a file beside it that holds the same model, in another quant."""
    try:
        other = read_shape(path)
    except AppError:
        return None
    same = (shape.architecture, shape.name, shape.n_layers, shape.n_embd, shape.n_vocab)
    is_same = (other.architecture, other.name, other.n_layers, other.n_embd, other.n_vocab) == same
    if not is_same or other.quant == shape.quant:
        return None
    if other.is_quant_of(shape):
        other.join(shape.family)
    return other


def _with_others(here: dict[str, Candidate], shape: ModelShape) -> tuple[Candidate, ...]:
    """Those that are here and those that could be made, best quality first; what cannot be ranked comes first."""
    shown = _SHOWN_OF_MXFP4 if any(one.type_id == _MXFP4 for one in shape.tensors) else _SHOWN
    wanted = [quant for quant in shown if quant not in here]
    made = zip(wanted, requantized_each(shape, wanted), strict=True)
    others = {quant: Candidate(quant, other) for quant, other in made}
    known = [(others | here)[quant] for quant in QUANTS if quant in others | here]
    return (*(one for quant, one in here.items() if quant not in QUANTS), *known)
