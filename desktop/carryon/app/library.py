"""The library: which models lie on this disk, what is known of them, and what a person does with them."""

import re
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from carryon.app.model_trash import ModelTrash, Trashed
from carryon.base.errors import AppError, BadFile, BadInput
from carryon.base.files import disk_errors
from carryon.base.jobs import Done, Failed, Job, Lane, Outcome, Progress, Runner, drained
from carryon.base.paths import Home
from carryon.base.settings import Settings, SettingsFile
from carryon.gguf.split import parts_of
from carryon.hub.library.duplicates import Copies, finding_copies
from carryon.hub.library.entry import Entry, Known
from carryon.hub.library.index import Index, key_of
from carryon.hub.library.scanning import Looked, Scan, checking, scanning
from carryon.hub.library.shelves import Program, Shelf, Surroundings, shelves
from carryon.hub.library.walking import is_folder
from carryon.hub.names import safe_parts
from carryon.hub.origin import origin_file, read_origin

_SLICE_S = 0.4  # other jobs of the DISK lane wait no longer for the closer look at many files
_COMMAND_CHECK_S = 2.0  # a command does not wait longer for it
_PART = re.compile(r"-\d{5}-of-\d{5}$")
Undo = Callable[[], object]


@dataclass(frozen=True)
class LibraryState:
    """What is known at one moment."""

    scan: Scan | None = None  # None: not looked yet
    is_scanning: bool = False
    n_found: int = 0  # so far, while it is scanned
    n_unchecked: int = 0  # entries that still get a closer look
    trashed: tuple[Trashed, ...] = ()
    error: AppError | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.scan.listed if self.scan else ()


@dataclass(frozen=True)
class Renamed:
    """What came of a new name."""

    path: Path
    undo: Undo


class Library:
    """Lives on the main thread; the disk is read in the DISK lane. Only Carryon's own folder is ever changed."""

    def __init__(self, home: Home, settings: SettingsFile, runner: Runner, around: Surroundings | None = None) -> None:
        self._home, self._settings, self._runner = home, settings, runner
        self._around = around or Surroundings()
        self._trash = ModelTrash(home.models)
        self._listeners: list[Callable[[LibraryState], None]] = []
        self._index_lock = threading.Lock()
        self._opened: Index | None = None
        self._is_wanted_again = False
        self._looking: Job | None = None
        self._round = 0  # of the scan: a closer look at what an older one found is dropped
        self.state = LibraryState()

    def close(self) -> None:
        """Closes what was opened; the runner has ended before."""
        if self._opened:
            self._opened.close()

    def listen(self, listener: Callable[[LibraryState], None]) -> None:
        """Calls `listener` with every new state, and once now."""
        self._listeners.append(listener)
        listener(self.state)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The models that are known now."""
        return self.state.entries

    def refresh(self) -> None:
        """Looks at all folders again, in the background; once more if that is asked for meanwhile."""
        if self.state.is_scanning:
            self._is_wanted_again = True
            return
        self._round += 1
        self._tell(is_scanning=True, n_found=0, n_unchecked=0, error=None)
        self._runner.start(self._scanning(), self._found_more, self._scanned, Lane.DISK)

    def look_for_changes(self) -> None:
        """Asks the folders whether anything came or went, which is cheap, and refreshes if so."""
        if self.state.scan is None or self.state.is_scanning or (self._looking and self._looking.is_running):
            return
        work = _changed(self.state.scan.looked, self._shelves())
        self._looking = self._runner.start(work, on_end=self._looked)

    def models_here(self, repo_id: str) -> tuple[Entry, ...]:
        """What is on the disk of a repository on the Hub."""
        wanted = repo_id.lower()
        return tuple(one for one in self.entries if one.repo_id.lower() == wanted)

    def entry_at(self, path: Path) -> Entry | None:
        """The entry that is opened by this file."""
        return next((one for one in self.entries if one.path == path), None)

    def used(self, path: Path) -> None:
        """Keeps that a model is loaded now."""
        self._index.used(path)
        if self.state.scan is not None:  # else nobody has asked for the library yet
            self.refresh()

    def rename(self, entry: Entry, name: str) -> Renamed:
        """Another name: for the files where they are Carryon's, else only in this library. Raises BadInput, BadFile."""
        wanted = " ".join(name.split())
        if not wanted:
            raise BadInput("A model needs a name.", "Type one.")
        if not entry.is_own:
            return self._rename_shown(entry, wanted)
        moves = _moves(entry, wanted)
        _move(moves)
        self._moved(entry.path, moves[0][1])
        back = [(after, before) for before, after in moves]
        return Renamed(moves[0][1], lambda: self._move_back(back))

    def move_to_trash(self, entry: Entry) -> Trashed:
        """Raises BadInput for files of other programs, which are never deleted, and BadFile."""
        if not entry.is_own:
            raise BadInput(*others_text(entry))
        try:
            return self._trash.put(entry.name, files_of(entry))
        finally:
            self.refresh()

    def put_back(self, trashed: Trashed) -> None:
        """Takes a model out of the trash. Raises BadInput, BadFile."""
        self._trash.put_back(trashed)
        self.refresh()

    def empty_trash(self) -> None:
        """Deletes what is in the trash for good, in the background."""

        def emptied(outcome: Outcome) -> None:
            self._tell(error=outcome.error if isinstance(outcome, Failed) else None)
            self.refresh()

        self._runner.start(_once(self._trash.empty), on_end=emptied, lane=Lane.DISK)

    def finding_copies(self) -> Generator[Progress | None, None, tuple[Copies, ...]]:
        """Work that finds models which lie on the disk more than once."""
        return finding_copies(self.state.scan.entries if self.state.scan else (), self._index)

    def add_folder(self, folder: Path) -> None:
        """Looks into another folder from now on. Raises BadInput, NoRoom, BadFile."""
        whole = folder.expanduser().absolute()
        if not is_folder(whole):
            raise BadInput(f"{whole} is no folder.", "Choose a folder with GGUF files.")
        if any(shelf.root == whole for shelf in self._shelves()):
            raise BadInput(f"{whole} is looked into already.", "Choose another folder.")
        self._settings.change(lambda now: replace(now, model_folders=(*now.model_folders, str(whole))))
        self.refresh()

    def remove_folder(self, folder: Path) -> None:
        """Looks into an added folder no more; nothing in it changes. Raises NoRoom, BadFile."""
        self._settings.change(
            lambda now: replace(now, model_folders=tuple(one for one in now.model_folders if Path(one) != folder))
        )
        self.refresh()

    @property
    def _index(self) -> Index:
        """Opened when it is first wanted, in whichever thread that is."""
        with self._index_lock:
            if self._opened is None:
                self._opened = Index(self._home.library)
            return self._opened

    def _shelves(self) -> tuple[Shelf, ...]:
        return shelves_of(self._home, self._settings.now, self._around)

    def _scanning(self) -> Generator[Progress | None, None, tuple[Scan, tuple[Trashed, ...]]]:
        yield None
        scan = yield from scanning(self._shelves(), self._index)
        return scan, self._trash.content()

    def _found_more(self, news: Progress) -> None:
        self._tell(n_found=news.done)

    def _scanned(self, outcome: Outcome) -> None:
        match outcome:
            case Done((scan, trashed)):
                self._tell(is_scanning=False, scan=scan, trashed=trashed, n_unchecked=len(_unchecked(scan)))
            case Failed(error):
                self._tell(is_scanning=False, error=error)
            case _:
                self._tell(is_scanning=False)
        if self._is_wanted_again:
            self._is_wanted_again = False
            self.refresh()
        else:
            self._check()

    def _check(self) -> None:
        """A closer look at some entries; the next ones follow when whoever else waits for the disk had a turn."""
        if self.state.scan is None or not (entries := _unchecked(self.state.scan)):
            return
        round_then = self._round
        work = self._checking(entries)
        self._runner.start(work, on_end=lambda outcome: self._checked(round_then, outcome), lane=Lane.DISK)

    def _checking(self, entries: Sequence[Entry]) -> Generator[None, None, Scan]:
        assert self.state.scan
        scan = self.state.scan
        return scan.with_known((yield from checking(entries, self._index, _SLICE_S)))

    def _checked(self, round_then: int, outcome: Outcome) -> None:
        if round_then != self._round:
            return
        if isinstance(outcome, Done):
            self._tell(scan=outcome.result, n_unchecked=len(_unchecked(outcome.result)))
            self._check()
        else:
            self._tell(n_unchecked=0)

    def _looked(self, outcome: Outcome) -> None:
        if isinstance(outcome, Done) and outcome.result:
            self.refresh()

    def _rename_shown(self, entry: Entry, name: str) -> Renamed:
        before = self._index.names().get(key_of(entry.path))

        def call(other: str | None) -> None:
            self._index.name(entry.path, other)
            self.refresh()

        call(name)
        return Renamed(entry.path, lambda: call(before))

    def _move_back(self, moves: Sequence[tuple[Path, Path]]) -> None:
        _move(moves)
        self._moved(moves[0][0], moves[0][1])

    def _moved(self, old: Path, new: Path) -> None:
        self._index.moved(old, new)
        self._settings.change(lambda now: now.moved(str(old), str(new)))
        self.refresh()

    def _tell(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]
        for listener in self._listeners:
            listener(self.state)


def files_of(entry: Entry) -> list[Path]:
    """What goes with a model of Carryon: its parts, and what is known of where they came from."""
    return [*entry.parts, *(told for part in entry.parts if (told := origin_file(part)).exists())]


def shelves_of(home: Home, settings: Settings, around: Surroundings) -> tuple[Shelf, ...]:
    """Every folder that is looked into for this home."""
    return shelves(home.models, [Path(one).expanduser() for one in settings.model_folders], around)


def others_text(entry: Entry) -> tuple[str, str]:
    """Why a file of another program is not deleted, and who can do it."""
    return (
        f"“{entry.name}” lies in {entry.path.parent}, which is not Carryon's, so Carryon does not delete it.",
        "Delete it in the program that keeps it, or in your file manager.",
    )


@contextmanager
def index_of(home: Home) -> Iterator[Index]:
    """The index of this home, for a command."""
    index = Index(home.library)
    try:
        yield index
    finally:
        index.close()


def scanned(home: Home, around: Surroundings | None = None, *, is_brief: bool = False) -> Scan:
    """What lies on the disk, for a command: with a closer look at what is new, unless that is much."""
    settings = SettingsFile(home.settings).now
    with index_of(home) as index:
        scan = drained(scanning(shelves_of(home, settings, around or Surroundings()), index))
        if is_brief:
            return scan
        return scan.with_known(drained(checking(_unchecked(scan), index, _COMMAND_CHECK_S)))


def checked_entry(path: Path, name: str, home: Home, around: Surroundings | None = None) -> Entry:
    """What is known of one file for a command, whether a folder of the library has it or not."""
    scan = scanned(home, around, is_brief=True)
    entry = next((one for one in scan.listed if path in one.parts), None) or _alone(path, name)
    with index_of(home) as index:
        return Scan((entry,)).with_known(drained(checking((entry,), index, _COMMAND_CHECK_S))).entries[0]


def _alone(path: Path, name: str) -> Entry:
    """A file outside every folder of the library."""
    parts = tuple(one for one in parts_of(path) if one.is_file()) or (path,)
    told = [one.stat() for one in parts]
    size_bytes, modified_s = sum(one.st_size for one in told), max(one.st_mtime for one in told)
    shelf = Shelf(Program.FOLDER, path.parent)
    return Entry(name, shelf, parts, size_bytes, modified_s, Known(), read_origin(path))


def _unchecked(scan: Scan) -> tuple[Entry, ...]:
    return tuple(one for one in scan.entries if not one.known.is_checked)


def _changed(looked: Sequence[Looked], shelves_now: Sequence[Shelf]) -> Generator[None, None, bool]:
    if [one.shelf for one in looked] != list(shelves_now):
        return True
    for one in looked:
        yield None
        if one.has_changed():
            return True
    return False


def _moves(entry: Entry, name: str) -> list[tuple[Path, Path]]:
    """Which files get which paths for this name, origins included. Raises BadInput."""
    moves: list[tuple[Path, Path]] = []
    for part in entry.parts:
        number = _PART.search(part.stem)
        after = part.with_name(_safe_name(f"{name}{number[0] if number else ''}{part.suffix}"))
        moves += [(part, after), (origin_file(part), origin_file(after))]
    for before, after in moves:
        if after.exists() and not (before.exists() and after.samefile(before)):
            raise BadInput(f"There is a file {after.name} already.", "Choose another name.")
    return [(before, after) for before, after in moves if before.exists()]


def _safe_name(name: str) -> str:
    try:
        parts = safe_parts(name)
    except BadFile:
        parts = ()
    if len(parts) != 1:
        raise BadInput(
            f"“{name}” cannot be the name of a file.", "Use letters, digits, spaces and . _ - + ( ), and be brief."
        )
    return parts[0]


def _move(moves: Sequence[tuple[Path, Path]]) -> None:
    for before, after in moves:
        with disk_errors(before):
            before.rename(after)


def _once(call: Callable[[], object]) -> Generator[None, None, object]:
    yield None
    return call()
