"""Everything the Fit page shows, as plain values. No Qt."""

from dataclasses import dataclass, field
from pathlib import Path

from carryon.app.fitting import Subject
from carryon.app.models import ModelFile
from carryon.base.errors import AppError
from carryon.fit.plan import Basis, Fit, Plan, Wishes
from carryon.gguf.sketch import Parameters
from carryon.hardware.machine import Machine
from carryon.hub.names import Reference


@dataclass(frozen=True)
class ThisMachine:
    """The plan is for the machine that the app runs on."""


@dataclass(frozen=True)
class BuiltMachine:
    """Another machine, put together from GPUs by name and an amount of RAM."""

    gpus: tuple[str, ...]
    ram_bytes: int


@dataclass(frozen=True)
class FileMachine:
    """Another machine, as its own report describes it."""

    path: Path


Target = ThisMachine | BuiltMachine | FileMachine
# A file, the typed sizes of a model that does not exist yet, or a repository on the Hub.
Source = ModelFile | Parameters | Reference


@dataclass(frozen=True)
class Form:
    """The page draws it whole at every change."""

    sources: tuple[Source, ...] = ()
    source: Source | None = None
    subject: Subject | None = None  # None: nothing chosen, being read, or unreadable (then `error` says why)
    error: AppError | None = None
    target: Target = ThisMachine()
    machine: Machine | None = None  # what the plan is for; None: still being looked at
    here: Machine | None = None  # this machine
    machine_error: AppError | None = None
    wishes: Wishes = field(default_factory=Wishes)
    plan: Plan | None = None
    best_quant: str = ""  # what is recommended, whichever is looked at
    most_layers: int | None = None  # the most layers that fit on the GPUs, as the rest is asked
    is_confirming: bool = False  # the engine is making its own plan

    @property
    def is_here(self) -> bool:
        return isinstance(self.target, ThisMachine)

    @property
    def is_reading(self) -> bool:
        return self.source is not None and self.subject is None and self.error is None

    @property
    def fit(self) -> Fit | None:
        """What is looked at."""
        return self.plan.best if self.plan else None

    @property
    def file(self) -> str | None:
        """The file of the quant that is looked at, where it is here."""
        return self.plan.best.candidate.path if self.plan else None

    @property
    def can_load(self) -> bool:
        return self.is_here and self.file is not None

    @property
    def can_confirm(self) -> bool:
        """Whether the engine's own plan would tell more than the arithmetic does."""
        return self.can_load and self.plan is not None and self.plan.best.basis is Basis.INSTANT

    @property
    def is_automatic(self) -> bool:
        """Whether nothing was set by hand."""
        return self.wishes == Wishes()

    @property
    def n_ctx_train(self) -> int:
        return self.subject.candidates[0].shape.n_ctx_train if self.subject else 0
