"""What the Workshop page shows, as one value: the step, the source, its preflight, the choices, the runs. No Qt."""

from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from pathlib import Path

from carryon.app.workshop_list import (
    Converter,
    FailedRun,
    FinishedRun,
    Interrupted,
    Order,
    Preflight,
    Run,
    Source,
    SourceKind,
    Target,
    Waiting,
)
from carryon.base.errors import AppError
from carryon.evaluate.chart import Point

FRONT_QUANTS = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")  # what nearly everybody takes; the rest is folded
DIRECT_QUANTS = frozenset(["F32", "F16", "BF16", "Q8_0"])  # converted to without a file between
_BASE_QUANTS = ("F32", "BF16", "F16")  # the others can be made from these: app/workshop_places.py
_MIDDLE_QUANTS = ("BF16", "F16")
_MIDDLE_BYTES = 2  # a number of a middle file, where its size is not among the targets
_LEAST_BITS_UNQUANTIZED = 15.5  # a weight of F16 and BF16 has 16, one of Q8_0 has 8.5


class Step(IntEnum):
    """The page from left to right."""

    SOURCE = 0
    PREFLIGHT = 1
    TARGETS = 2
    RUN = 3


class Matrix(Enum):
    """Where the importance matrix comes from."""

    NONE = "none"
    TEXT = "text"  # made here from a text
    FILE = "file"  # it is there already


@dataclass(frozen=True)
class Choices:
    """What is set in the third step."""

    quants: frozenset[str] = frozenset()
    folder: Path = Path()
    name: str = ""
    keeps_middle: bool = False
    matrix: Matrix = Matrix.NONE
    matrix_path: Path | None = None  # the text, or the matrix itself
    measures: bool = False
    text: Path | None = None  # None is the one that comes with Carryon
    requantizes: bool = False
    n_ctx: int | None = None  # the context that the verdicts are for; None is a fresh plan's

    @property
    def has_matrix(self) -> bool:
        return self.matrix is not Matrix.NONE and self.matrix_path is not None


@dataclass(frozen=True)
class ModelHere:
    """A GGUF file of the library that can be quantized or measured."""

    path: Path
    name: str
    quant: str
    size_bytes: int


@dataclass(frozen=True)
class Form:
    """Everything that is drawn."""

    step: Step = Step.SOURCE
    source: Source | None = None
    source_error: AppError | None = None  # what was typed or dropped cannot be used
    adapter: Path | None = None
    recent: tuple[Source, ...] = ()
    models: tuple[ModelHere, ...] = ()
    is_inspecting: bool = False
    was_stopped: bool = False  # the person did not want to wait for the preflight
    preflight: Preflight | None = None
    error: AppError | None = None  # of the preflight
    may_fetch: bool = False  # llama.cpp's own converter
    choices: Choices = field(default_factory=Choices)
    shows_all: bool = False
    current: str = ""  # the row of the table that the keyboard is at
    free_bytes: int | None = None
    taken: frozenset[str] = frozenset()  # names of files that are in the folder already
    order_error: AppError | None = None  # why the work could not begin
    runs: tuple[Run, ...] = ()
    opening: frozenset[str] = frozenset()  # runs whose file is used in the chat when it is ready
    charts: dict[str, tuple[Point, ...]] = field(default_factory=dict)  # by run

    @property
    def best(self) -> Target | None:
        """The highest quality that fits this machine."""
        return next((one for one in self.targets if one.is_best), None)

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.preflight.targets if self.preflight else ()

    @property
    def is_from_gguf(self) -> bool:
        return self.source is not None and self.source.kind is SourceKind.GGUF

    @property
    def is_quantized_already(self) -> bool:
        """Whether the source is a file that lost something already: what is made of it loses once more."""
        found = self.preflight
        if found is None or not self.is_from_gguf or not found.n_parameters:
            return False
        return 8 * found.source_bytes / found.n_parameters < _LEAST_BITS_UNQUANTIZED

    @property
    def can_continue(self) -> bool:
        """Whether the preflight lets one choose what to make."""
        return self.preflight is not None and self.preflight.can_run and bool(self.targets) and self.has_converter

    @property
    def has_converter(self) -> bool:
        return not self.wants_consent or self.may_fetch

    @property
    def wants_consent(self) -> bool:
        return self.preflight is not None and self.preflight.converter is Converter.UPSTREAM

    def is_open(self, step: Step) -> bool:
        """Whether one can go to a step now."""
        match step:
            case Step.SOURCE:
                return True
            case Step.PREFLIGHT:
                return self.source is not None
            case Step.TARGETS:
                return self.can_continue
            case Step.RUN:
                return bool(self.runs)

    @property
    def chosen(self) -> tuple[Target, ...]:
        """What is ticked and can be made."""
        return tuple(one for one in self.targets if one.quant in self.choices.quants and self.can_make(one))

    def can_make(self, target: Target) -> bool:
        """Types of less than three bits are useless without an importance matrix."""
        return not target.needs_imatrix or self.choices.has_matrix

    @property
    def shown_targets(self) -> tuple[Target, ...]:
        """The usual ones first, what is best here and what is ticked; then all others, the smallest first."""
        front = [one for name in FRONT_QUANTS for one in self.targets if one.quant == name]
        rest = sorted((one for one in self.targets if one not in front), key=lambda one: one.size_bytes)
        wanted = {*self.choices.quants} | ({self.best.quant} if self.best else set())
        return (*front, *(one for one in rest if self.shows_all or one.quant in wanted))

    @property
    def has_middle(self) -> bool:
        """Whether a file between source and targets is made."""
        if self.is_from_gguf or not self.chosen or any(one.quant in _BASE_QUANTS for one in self.chosen):
            return False
        is_measured = self.choices.measures or self.choices.matrix is Matrix.TEXT
        return is_measured or any(one.quant not in DIRECT_QUANTS for one in self.chosen)

    @property
    def middle_bytes(self) -> int:
        """Of the file between; 0 where there is none."""
        if not self.has_middle:
            return 0
        sizes = [one.size_bytes for name in _MIDDLE_QUANTS for one in self.targets if one.quant == name]
        return sizes[0] if sizes else _MIDDLE_BYTES * (self.preflight.n_parameters if self.preflight else 0)

    @property
    def needed_bytes(self) -> int:
        """On the disk, at the peak."""
        download = self.preflight.download_bytes if self.preflight else 0
        return sum(one.size_bytes for one in self.chosen) + self.middle_bytes + download

    @property
    def missing_bytes(self) -> int:
        """What the disk has too little; 0 where that is not known."""
        return 0 if self.free_bytes is None else max(0, self.needed_bytes - self.free_bytes)

    @property
    def in_the_way(self) -> str:
        """The name of a file that is there already; nothing is overwritten."""
        order = self.order()
        names = [order.target(quant).name for quant in order.quants] if order else []
        return next((one for one in names if one in self.taken), "")

    def order(self, quants: tuple[str, ...] | None = None) -> Order | None:
        """What shall be made; `quants` instead of the ticked ones."""
        if self.source is None or self.preflight is None:
            return None
        ticked, wanted = tuple(one.quant for one in self.chosen), self.choices
        is_text = wanted.matrix is Matrix.TEXT
        return Order(
            source=self.source,
            quants=ticked if quants is None else quants,
            folder=wanted.folder,
            name=wanted.name.strip(),
            keeps_middle=wanted.keeps_middle,
            imatrix_text=wanted.matrix_path if is_text else None,
            imatrix=wanted.matrix_path if wanted.matrix is Matrix.FILE else None,
            measures=wanted.measures,
            text=wanted.text,
            may_fetch_converter=self.may_fetch,
            requantizes=wanted.requantizes,
            revision=self.preflight.revision,
        )

    def run(self, id: str) -> Run | None:
        """The run with this id, if it is still on the list."""
        return next((one for one in self.runs if one.id == id), None)


def with_choices(form: Form, **changes: object) -> Form:
    """The same form with other choices."""
    return replace(form, choices=replace(form.choices, **changes), order_error=None)  # type: ignore[arg-type]


def in_order(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """What is at work, what waits for its turn; then, the newest first, what waits for the person, what is finished."""
    queue = sorted((one for one in runs if one.is_active), key=lambda one: isinstance(one.state, Waiting))
    latest = [one for one in runs[::-1] if not one.is_active]
    return (*queue, *sorted(latest, key=lambda one: isinstance(one.state, FinishedRun)))


def can_resume(run: Run) -> bool:
    """Whether it stopped on its way."""
    return isinstance(run.state, Interrupted | FailedRun)
