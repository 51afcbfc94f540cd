"""What the Library page shows, as one value: the state of the library, what is looked for, what is chosen. No Qt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path

from carryon.app.fits_here import FitHere, Judged
from carryon.app.library import LibraryState
from carryon.app.made_here import Story
from carryon.fit.answers import RANK
from carryon.hub.library.entry import Entry
from carryon.hub.library.shelves import Program, Shelf
from carryon.hub.library.words import context_of, path_text, quant_text, where_text


class Column(IntEnum):
    """The columns of the table, in their order."""

    NAME = 0
    QUANT = 1
    SIZE = 2
    CONTEXT = 3
    WHERE = 4
    USED = 5
    FIT = 6


Place = Program | Path | None  # a program, a folder that the person added, or everywhere


@dataclass(frozen=True)
class Form:
    """Everything that is drawn."""

    state: LibraryState = field(default_factory=LibraryState)
    search: str = ""
    place: Place = None
    column: Column = Column.NAME
    is_descending: bool = False
    selected: Path | None = None
    judged: Mapping[Path, Judged] = field(default_factory=dict)
    stories: Mapping[Path, Story] = field(default_factory=dict)  # of what was looked at
    has_gpu: bool = True
    is_judging: bool = False  # the machine is known, so every model gets its answer

    @cached_property
    def rows(self) -> tuple[Entry, ...]:
        """What is looked for, in its order."""
        found = [one for one in self.state.entries if _is_in(one.shelf, self.place) and _has(one, self.search)]
        found.sort(key=lambda one: (one.name.lower(), str(one.path)))
        found.sort(key=lambda one: _key(one, self.column, self.judged.get(one.path)), reverse=self.is_descending)
        return tuple(found)

    @property
    def entry(self) -> Entry | None:
        """What is chosen, if it is still there."""
        return next((one for one in self.state.entries if one.path == self.selected), None)

    @property
    def places(self) -> tuple[Place, ...]:
        """The choices of the filter: where models lie, and the folders that the person added."""
        looked = self.state.scan.looked if self.state.scan else ()
        added = [one.shelf for one in looked if one.shelf.program is Program.FOLDER]
        shelves = [*(one.shelf for one in self.state.entries), *added]
        return tuple(dict.fromkeys((None, *map(place_of, shelves))))

    @property
    def is_empty(self) -> bool:
        """Whether it was looked and nothing was found."""
        return self.state.scan is not None and not self.state.entries


def place_of(shelf: Shelf) -> Place:
    """The choice of the filter that shows this shelf."""
    return shelf.root if shelf.program is Program.FOLDER else shelf.program


def _is_in(shelf: Shelf, place: Place) -> bool:
    return place is None or place_of(shelf) == place


def _has(entry: Entry, search: str) -> bool:
    """Whether every word that is looked for stands somewhere."""
    if not search:
        return True
    texts = (entry.name, *entry.other_names, quant_text(entry), entry.known.architecture, entry.known.title,
             entry.repo_id, where_text(entry), path_text(entry.path))  # fmt: skip
    whole = " ".join(texts).lower()
    return all(word in whole for word in search.lower().split())


def _key(entry: Entry, column: Column, judged: Judged | None) -> tuple[object, ...]:
    match column:
        case Column.NAME:
            return (entry.name.lower(),)
        case Column.QUANT:
            return (quant_text(entry),)
        case Column.SIZE:
            return (entry.size_bytes,)
        case Column.CONTEXT:
            return (entry.known.n_ctx_train or 0, context_of(entry))
        case Column.WHERE:
            return (where_text(entry).lower(),)
        case Column.USED:
            return (entry.last_used_s or 0.0,)
        case Column.FIT:
            return _fit_key(judged)


def _fit_key(judged: Judged | None) -> tuple[object, ...]:
    """The best first; what has no answer comes last."""
    if isinstance(judged, FitHere):
        return RANK[judged.verdict], -judged.tokens_per_s
    return len(RANK), 0.0
