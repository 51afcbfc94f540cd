"""What the load dialog shows and what was chosen in it, as frozen values. No Qt."""

from dataclasses import dataclass, field
from enum import Enum

from carryon.app.host import LoadingModel
from carryon.app.models import ModelFacts, ModelFile
from carryon.app.wishes import default_context
from carryon.base.errors import AppError
from carryon.base.settings import RecentModel
from carryon.base.units import parsed_tokens
from carryon.engine.protocol import KvType, Reason
from carryon.engine.reasons import Refusal
from carryon.fit.plan import Candidate, Fit, Plan, Repair, Wishes
from carryon.fit.room import Rooms
from carryon.gguf.quants import USUAL_KV_TYPES
from carryon.hardware.machine import Machine

SMALLEST_CONTEXT = 256  # the engine pads every context to a multiple of this
LARGEST_CONTEXT = 1 << 24
KV_TYPES = (*USUAL_KV_TYPES, *(one for one in KvType if one not in USUAL_KV_TYPES))
CPU_DEVICE = "CPU"
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


class Check(Enum):
    """What stands between the button and the load."""

    MEMORY = "memory"  # free memory is read once more
    CHANGED = "changed"  # it is less than what was shown, and the verdict is another one
    SURE = "sure"  # memory would certainly overflow: the person is asked once


@dataclass(frozen=True)
class Form:
    """Everything the dialog shows; the page draws it whole at every change."""

    entries: tuple[Entry, ...] = ()
    file: ModelFile | None = None
    facts: ModelFacts | None = None  # None: being read, or unreadable (then `error` says why)
    candidate: Candidate | None = None  # None: only the engine can tell what it needs
    others: tuple[Candidate, ...] = ()  # files of the same model in other quant types
    wishes: Wishes = field(default_factory=Wishes)
    is_manual: bool = False  # layers and experts were set by hand
    is_context_readable: bool = True
    is_kept: bool = True  # what is chosen is remembered for this model
    plan: Plan | None = None
    no_plan: AppError | None = None  # why these wishes cannot be planned
    most_layers: int | None = None  # the largest number of GPU layers that fits
    fewest_experts: int | None = None  # of how many layers the experts have to stay in RAM
    most_context: int | None = None  # the longest context that fits with these layers; 0 = none does
    machine: Machine | None = None
    no_offload: NoOffload | None = NoOffload.LOOKING
    check: Check | None = None
    error: AppError | None = None
    rung: Repair | None = None  # after a load that ran out of memory: a smaller way to try
    loading: LoadingModel | None = None

    @property
    def fit(self) -> Fit | None:
        return self.plan.best if self.plan else None

    @property
    def n_ctx(self) -> int | None:
        """The context that would be loaded; None when what was typed is no number."""
        if not self.is_context_readable:
            return None
        if self.wishes.n_ctx is not None:
            return self.wishes.n_ctx
        return self.fit.placement.n_ctx if self.fit else default_context(self.facts.n_ctx_train if self.facts else 0)

    @property
    def n_gpu_layers(self) -> int:
        return self.fit.placement.n_gpu_layers if self.fit else self.wishes.n_gpu_layers or 0

    @property
    def n_cpu_experts(self) -> int:
        return self.fit.placement.n_cpu_experts if self.fit else self.wishes.n_cpu_experts or 0

    @property
    def kv_type(self) -> KvType:
        return self.fit.placement.kv_type if self.fit else self.wishes.kv_type or KvType.F16

    @property
    def has_experts(self) -> bool:
        return bool(self.candidate and self.candidate.shape.is_moe)

    @property
    def is_above_trained(self) -> bool:
        """Whether the context is longer than the model ever saw."""
        return bool(self.facts and self.facts.n_ctx_train and self.n_ctx and self.n_ctx > self.facts.n_ctx_train)

    @property
    def can_choose(self) -> bool:
        return self.facts is not None and self.loading is None

    @property
    def can_load(self) -> bool:
        """Never because of a verdict: what does not fit can be tried."""
        return self.can_choose and self.n_ctx is not None and self.check is not Check.MEMORY

    @property
    def contexts(self) -> tuple[int, ...]:
        """The round steps up to the trained maximum, which is always the last."""
        return context_steps(self.facts.n_ctx_train if self.facts else 0)

    def is_possible(self, repair: Repair) -> bool:
        """Whether a click can do it: another quant type has to be here as a file, a program is its owner's to close."""
        return repair.fit.candidate.path is not None and repair.program is None


def full_device(error: AppError | None) -> str | None:
    """The engine's name of the device whose memory did not suffice, where that is why a load was refused."""
    if isinstance(error, Refusal) and error.refused.reason is Reason.OUT_OF_MEMORY:
        return str(error.refused.facts.get("device") or CPU_DEVICE)
    return None


def is_swap_certain(fit: Fit, rooms: Rooms) -> bool:
    """Whether RAM must overflow: more that cannot be dropped than is free. Mapped weights can be dropped."""
    needs = (fit.need.ram, *fit.need.gpus) if rooms.is_unified else (fit.need.ram,)
    wanted_bytes = sum(one.total_bytes for one in needs)
    if fit.placement.use_mmap:
        wanted_bytes -= fit.need.ram.weights_bytes
    return wanted_bytes > rooms.ram.free_bytes


def context_steps(n_ctx_train: int) -> tuple[int, ...]:
    """2k, 4k, 8k ... below the trained maximum, and that maximum itself; up to 32k where it is unknown."""
    steps, step = [], _FIRST_STEP
    while step < (n_ctx_train or 2 * 32768):
        steps.append(step)
        step *= 2
    return (*steps, n_ctx_train) if n_ctx_train else tuple(steps)


def parsed_context(text: str) -> int | None:
    """Tokens from '8k', '8 k', '8,192', '8192'; None when it is none of these or out of bounds."""
    n_ctx = parsed_tokens(text)
    return n_ctx if n_ctx is not None and SMALLEST_CONTEXT <= n_ctx <= LARGEST_CONTEXT else None


def no_offload(machine: Machine | None) -> NoOffload | None:
    """Why the slider cannot do anything, or None when it can. The engine's own devices decide, never a build flag."""
    if machine is None:
        return NoOffload.LOOKING
    if machine.engine is None:
        return NoOffload.ENGINE_SILENT
    if machine.engine.gpus:
        return None
    return NoOffload.NO_GPU_SUPPORT if machine.gpus else NoOffload.NO_GPU
