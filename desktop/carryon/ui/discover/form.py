"""Everything the Discover page shows, as plain values. No Qt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from carryon.app.discovery import Look, RoughFit
from carryon.app.download_list import Download
from carryon.base.errors import AppError
from carryon.fit.plan import Fit, Plan, Wishes
from carryon.hub.names import Reference
from carryon.hub.repo import FoundModel, Gate, QuantFiles
from carryon.hub.search import Next, SearchWish
from carryon.ui.markdown.blocks import Block


class Phase(Enum):
    """What the list shows."""

    STARTERS = "starters"  # nothing is looked for: the models that Carryon names by itself
    SEARCHING = "searching"
    FOUND = "found"
    FAILED = "failed"  # the Hub did not answer; the starters stand in


@dataclass(frozen=True)
class Line:
    """One model of the list."""

    found: FoundModel
    good_for: str = ""  # of a starter
    rough: RoughFit | None = None


@dataclass(frozen=True)
class SearchForm:
    """The list and what is looked for; the page draws it whole at every change."""

    wish: SearchWish = field(default_factory=SearchWish)
    phase: Phase = Phase.STARTERS
    all_lines: tuple[Line, ...] = ()
    only_fitting: bool = False
    error: AppError | None = None
    next: Next | None = None
    is_more_coming: bool = False
    has_gpu: bool = False  # the verdicts' colours depend on it

    @property
    def lines(self) -> tuple[Line, ...]:
        """Those that are shown: with “fits this machine” only those that do."""
        if not self.only_fitting:
            return self.all_lines
        return tuple(one for one in self.all_lines if one.rough and one.rough.verdict.fits)

    @property
    def n_hidden(self) -> int:
        return len(self.all_lines) - len(self.lines)


@dataclass(frozen=True)
class RepoForm:
    """One repository; the page draws it whole at every change."""

    reference: Reference
    look: Look | None = None  # None: being asked for, or it cannot be opened (then `error` says why)
    error: AppError | None = None
    wishes: Wishes = field(default_factory=Wishes)
    plan: Plan | None = None
    best_quant: str = ""  # what is recommended, whichever is looked at
    chosen: str = ""  # the quant that is looked at
    shows_all: bool = False
    with_projector: bool = True
    card: tuple[Block, ...] | None = None  # None: still on its way
    is_card_cut: bool = False
    downloads: Mapping[str, Download] = field(default_factory=dict)  # by quant

    @property
    def fit(self) -> Fit | None:
        """Of the quant that is looked at."""
        return self.plan.best if self.plan else None

    @property
    def quant(self) -> QuantFiles | None:
        """Its files; None where it is not on the Hub as a file."""
        if self.look is None:
            return None
        return next((one for one in self.look.files.quants if one.quant == self.chosen), None)

    @property
    def is_here(self) -> bool:
        return self.look is not None and self.chosen in self.look.here

    @property
    def download(self) -> Download | None:
        """What is going on with the quant that is looked at."""
        return self.downloads.get(self.chosen)

    @property
    def is_gated(self) -> bool:
        return self.look is not None and self.look.repo.found.gate is not Gate.OPEN
