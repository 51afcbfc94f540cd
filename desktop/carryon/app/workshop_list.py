"""The workshop as the window and the commands see it: a source, what was found out about it, an order, its runs."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from carryon.base.errors import AppError

if TYPE_CHECKING:
    from carryon.fit.plan import Fit


class SourceKind(Enum):
    """Where a model comes from."""

    FOLDER = "folder"  # of Hugging Face: config.json and safetensors
    REPOSITORY = "repository"  # of the Hub, "owner/repo" or "owner/repo@revision"
    GGUF = "gguf"  # a file, to be quantized or measured


@dataclass(frozen=True)
class Source:
    """What the person chose in the first step; `place` is a path, or the repository's name."""

    kind: SourceKind
    place: str
    adapter: Path | None = None  # a PEFT folder that shall be merged into the model

    @property
    def name(self) -> str:
        """'SmolLM2-135M-Instruct': the last part of the path or of the repository's name."""
        last = self.place.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1].split("@")[0]
        return last.removesuffix(".gguf")


class Level(Enum):
    """How a finding of the preflight is to be taken."""

    GOOD = "good"
    NOTE = "note"  # it works, and this should be known
    BAD = "bad"  # it cannot work like this


class Subject(Enum):
    """What a finding of the preflight is about; findings come in this order."""

    WEIGHTS = "weights"  # which files, whole, of which number format
    ARCHITECTURE = "architecture"  # by us, by the fallback, by the engine
    VOCABULARY = "vocabulary"
    TEMPLATE = "template"
    MEMORY = "memory"
    DISK = "disk"
    TIME = "time"


@dataclass(frozen=True)
class Finding:
    """One line of the preflight's report: a sentence, and the next step where there is one."""

    subject: Subject
    level: Level
    message: str
    hint: str = ""


class Converter(Enum):
    """Who makes the GGUF file."""

    OURS = "ours"
    UPSTREAM = "upstream"  # llama.cpp's own, fetched when the person agrees
    NONE = "none"  # it is a GGUF file already
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True)
class Fallback:
    """A tensor whose rows do not fit the blocks of the type it should get: 'blk.3.ffn_down.weight', Q4_K -> Q5_0."""

    tensor: str
    wanted: str
    got: str


@dataclass(frozen=True)
class Target:
    """One quant type that can be made of a source: its exact size, and whether it fits this machine."""

    quant: str  # 'Q4_K_M'
    size_bytes: int
    bits_per_weight: float
    fallbacks: tuple[Fallback, ...] = ()
    needs_imatrix: bool = False
    fit: "Fit | None" = field(default=None, compare=False)  # None while the machine is unknown
    is_best: bool = False  # the highest quality that fits this machine with the wished context


@dataclass(frozen=True)
class Preflight:
    """What can be known of a source before a byte of its weights is read or downloaded."""

    source: Source
    architecture: str  # as GGUF calls it, 'qwen3moe'; '' where it is not known
    n_parameters: int
    source_bytes: int  # of the weights
    download_bytes: int  # of what is not here yet; 0 for a folder or a file
    ram_bytes: int  # at the peak of the work
    duration_s: float | None  # of converting and quantizing to one target; None where nothing was measured
    converter: Converter
    findings: tuple[Finding, ...]
    targets: tuple[Target, ...]  # the largest first
    revision: str = ""  # the commit of a repository

    @property
    def can_run(self) -> bool:
        return self.converter is not Converter.IMPOSSIBLE and all(one.level is not Level.BAD for one in self.findings)


@dataclass(frozen=True)
class Order:
    """What shall be made of a source."""

    source: Source
    quants: tuple[str, ...]  # the targets; F32, F16, BF16 and Q8_0 are converted to directly
    folder: Path  # where the files go
    name: str  # 'SmolLM2-135M-Instruct'; a file is called <name>-<quant>.gguf
    keeps_middle: bool = False  # the BF16 or F16 file that K-quants are made from
    imatrix_text: Path | None = None  # a text to make an importance matrix from
    imatrix: Path | None = None  # one that is there already
    measures: bool = False  # evaluate every target against the middle file
    text: Path | None = None  # for the measurement; None is the text that comes with Carryon
    may_fetch_converter: bool = False  # the person agreed to llama.cpp's own converter
    requantizes: bool = False  # the person knows that the source is quantized already
    revision: str = ""  # the commit of a repository; '' is the one that its name means when the run begins
    file_name: str = ""  # of the only target, where a person chose it

    def target(self, quant: str) -> Path:
        """The file of one quant type."""
        return self.folder / (self.file_name or f"{self.name}-{quant}.gguf")


class StageKind(Enum):
    """The whole steps of a run; after a restart it goes on with the first that is not done."""

    DOWNLOAD = "download"
    CONVERT = "convert"
    IMATRIX = "imatrix"
    QUANTIZE = "quantize"
    MEASURE = "measure"


@dataclass(frozen=True)
class Stage:
    """One step of a run; `quant` says which target it is for, '' where it is for all."""

    kind: StageKind
    quant: str = ""
    is_done: bool = False


@dataclass(frozen=True)
class Waiting:
    """It waits for its turn."""


@dataclass(frozen=True)
class Working:
    """A stage goes on: done and total in bytes, tensors or tokens; None where it is too early to say."""

    stage: Stage
    done: int = 0
    total: int | None = None
    note: str = ""
    left_s: float | None = None  # of this stage


@dataclass(frozen=True)
class Interrupted:
    """Carryon ended, or the person stopped it; whole stages are kept."""


@dataclass(frozen=True)
class FailedRun:
    """It cannot go on; the error says what to do."""

    error: AppError


@dataclass(frozen=True)
class FinishedRun:
    """Every file is in its place."""

    files: tuple[Path, ...]


RunState = Waiting | Working | Interrupted | FailedRun | FinishedRun


@dataclass(frozen=True)
class Run:
    """One line of the list of runs."""

    id: str
    order: Order
    stages: tuple[Stage, ...]
    state: RunState
    log_path: Path
    notices: tuple[str, ...] = ()  # what should be known of the result, such as a tensor that is stored differently

    @property
    def title(self) -> str:
        """'SmolLM2-135M-Instruct · Q4_K_M, Q8_0'."""
        return f"{self.order.name} · {', '.join(self.order.quants)}"

    @property
    def is_active(self) -> bool:
        """Whether it goes on by itself."""
        return isinstance(self.state, Waiting | Working)


class Workbench(Protocol):
    """What the window asks of app/workshop.py."""

    @property
    def now(self) -> tuple[Run, ...]: ...

    def listen(self, listener: Callable[[tuple[Run, ...]], None]) -> None: ...

    def inspecting(self, source: Source, n_ctx: int | None = None) -> Generator[None, None, Preflight]:
        """Work that finds out about a source; `n_ctx` None is the context that a fresh plan takes."""
        ...

    def start(self, order: Order) -> str:
        """Queues it and returns the run's id. Raises BadInput where a target is there already, or makes no sense."""
        ...

    def cancel(self, id: str) -> None:
        """Stops it in under two seconds; whole stages are kept, and it can be resumed."""
        ...

    def resume(self, id: str) -> None: ...

    def forget(self, id: str) -> None:
        """Takes it off the list and removes what it left unfinished; finished files stay."""
        ...
