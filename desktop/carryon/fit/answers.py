"""What a plan is asked and what it answers: candidates, wishes, a site, fits, repairs."""

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from carryon.fit.calibration import Learnt
from carryon.fit.memory import Need
from carryon.fit.placement import Extras, Placement
from carryon.fit.quality import Quality
from carryon.fit.room import Program, Rooms
from carryon.fit.speed import Pace, Speeds
from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape


class Verdict(StrEnum):
    """How well a model fits, from best to worst."""

    GPU = "fits on the GPU"
    SPLIT = "fits, split"
    RAM = "fits in RAM"
    DISK = "runs from disk, slow"
    TOO_BIG = "too big"

    @property
    def fits(self) -> bool:
        return self in (Verdict.GPU, Verdict.SPLIT, Verdict.RAM)


RANK = {verdict: place for place, verdict in enumerate(Verdict)}


class Basis(StrEnum):
    """Where the memory figures come from."""

    INSTANT = "instant"  # arithmetic
    DRY_RUN = "dry run"  # the engine's own plan
    MEASURED = "measured"  # a real load


@dataclass(frozen=True)
class Candidate:
    """One file, or one quant type that could be made, of a model."""

    quant: str
    shape: ModelShape
    path: str | None = None  # the file, where it is here; None: inferred from a sibling's header
    measured: Quality | None = None  # of this very file, where somebody measured it


@dataclass(frozen=True)
class Wishes:
    """What the person wants; None leaves it to the plan."""

    quant: str | None = None
    n_ctx: int | None = None
    kv_type: KvType | None = None
    n_gpu_layers: int | None = None
    n_cpu_experts: int | None = None
    n_ubatch: int | None = None
    gpus: tuple[str, ...] | None = None  # the only GPUs that may take layers, by the engine's names
    n_parallel: int = 1
    use_mmap: bool = True
    extras: Extras = field(default_factory=Extras)


@dataclass(frozen=True)
class Site:
    """Where a model is to run: the memories, how fast they are, what earlier loads taught."""

    rooms: Rooms
    speeds: Speeds
    learnt: Learnt = field(default_factory=Learnt)


@dataclass(frozen=True)
class Fit:
    """How one candidate would lie in the rooms, and how fast it would run there."""

    candidate: Candidate
    placement: Placement
    need: Need
    verdict: Verdict
    missing_bytes: int  # by how much it is too big, or what is read from the disk again and again; 0 where it fits
    decode: Pace
    prefill: Pace
    basis: Basis = Basis.INSTANT
    within: float | None = None  # "checked on this machine: within 0.02"; None: never checked


class Limit(Enum):
    """What keeps a model from being faster or better here."""

    VRAM = "vram"
    RAM = "ram"
    NO_GPU = "no_gpu"
    TRAINED_CONTEXT = "trained_context"
    WISHES = "wishes"  # what a person has set
    NOTHING = "nothing"


class Change(Enum):
    """The one thing that a repair changes."""

    QUANT = "quant"
    KV_TYPE = "kv_type"
    CONTEXT = "context"
    LAYERS = "layers"
    EXPERTS = "experts"
    UBATCH = "ubatch"
    PARALLEL = "parallel"
    PROGRAM = "program"  # another program, which the person would have to close


@dataclass(frozen=True)
class Repair:
    """One change that would make it fit or make it faster, already evaluated. A click asks again with `wishes`."""

    wishes: Wishes
    fit: Fit
    saves_bytes: int  # of all memory together, or what the program holds; negative where it costs some
    speedup: float  # decode, 1.0 = as fast as before
    change: Change
    program: Program | None = None  # the one to close, for Change.PROGRAM


@dataclass(frozen=True)
class Plan:
    """The answer for one model on one machine. `fits` has one entry a candidate, best quality first."""

    rooms: Rooms
    wishes: Wishes
    best: Fit  # what is recommended, or what was asked for by `wishes.quant`
    fits: tuple[Fit, ...]
    limit: Limit
    reasons: tuple[str, ...]  # plain sentences (fit/words.py)
    repairs: tuple[Repair, ...]
    recommended: Fit | None = None  # what would be `best` had no quant been asked for
