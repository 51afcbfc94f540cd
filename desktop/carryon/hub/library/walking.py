"""A walk through a folder that somebody else fills: no link is followed, no pipe is opened, nothing waits for ever."""

import os
import stat
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from carryon.base.files import disk_errors

MOST_FILES = 200_000  # a person may add the whole disk
DEEPEST = 24
_HEARTBEAT_S = 0.05


@dataclass(frozen=True)
class FoundFile:
    """An ordinary file as the disk has it now; `link` is where it really lies when it is reached through a link."""

    path: Path
    size_bytes: int
    mtime_ns: int
    link: Path | None = None


@dataclass
class Walk:
    """What a walk came by."""

    files: list[FoundFile] = field(default_factory=list)
    folders: dict[Path, int] = field(default_factory=dict)  # looked into, and when each had changed, in ns
    n_unreadable: int = 0
    is_cut: bool = False  # there is more than is ever looked at

    def visit(self, folder: Path) -> None:
        """Remembers that a folder is looked into from now on."""
        self.folders[folder] = changed_ns(folder)

    def add(self, other: "Walk") -> None:
        """What another walk came by as well."""
        self.files += other.files
        self.folders |= other.folders
        self.n_unreadable += other.n_unreadable
        self.is_cut |= other.is_cut


def walking(root: Path, links_into: Path | None = None, suffix: str = ".gguf") -> Generator[None, None, Walk]:
    """The files below `root` with this suffix. Links count only where they end in `links_into`; hidden folders do not.

    Raises BadFile when `root` itself cannot be read.
    """
    with disk_errors(root), os.scandir(root):
        pass
    walk, left, n_seen, beat_s = Walk(), [(root, 0)], 0, time.monotonic()
    inside = os.path.realpath(links_into) if links_into else None
    while left and not walk.is_cut:
        folder, depth = left.pop()
        walk.visit(folder)
        for entry in _entries(folder, walk):
            n_seen += 1
            if time.monotonic() - beat_s > _HEARTBEAT_S:
                yield None
                beat_s = time.monotonic()
            if not _is_folder(entry):
                _take(entry, walk, inside, suffix)
            elif depth < DEEPEST and not entry.name.startswith("."):
                left.append((Path(entry.path), depth + 1))
            if n_seen >= MOST_FILES:
                walk.is_cut = True
                break
    walk.files.sort(key=lambda one: one.path)
    return walk


def is_folder(path: Path) -> bool:
    """Whether there is a folder. Raises BadFile where that may not even be asked, as with a service's own files."""
    with disk_errors(path):
        try:
            return stat.S_ISDIR(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False


def can_be_listed(folder: Path) -> bool:
    """Whether there is a folder and its content can be seen."""
    try:
        with os.scandir(folder):
            return True
    except OSError:
        return False


def changed_ns(folder: Path) -> int:
    """When a file came into a folder, left it or got another name; 0 where the folder cannot be asked."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def file_at(path: Path) -> FoundFile | None:
    """An ordinary file by its path; None where it is none."""
    try:
        told = path.stat()
    except (OSError, ValueError):
        return None
    return FoundFile(path, told.st_size, told.st_mtime_ns) if stat.S_ISREG(told.st_mode) else None


def small_text(path: Path, most_bytes: int) -> str:
    """The start of a text file; nothing where there is none: a pipe would be waited for."""
    if not file_at(path):
        return ""
    try:
        with path.open("rb") as file:
            return file.read(most_bytes).decode("utf-8", "replace")
    except OSError:
        return ""


def _entries(folder: Path, walk: Walk) -> "Iterator[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        walk.n_unreadable += 1


def _take(entry: "os.DirEntry[str]", walk: Walk, inside: str | None, suffix: str) -> None:
    if entry.name.lower().endswith(suffix) and (found := _file(entry, inside)):
        walk.files.append(found)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _file(entry: "os.DirEntry[str]", inside: str | None) -> FoundFile | None:
    try:
        if entry.is_symlink():
            return _linked(entry, inside) if inside else None
        told = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return FoundFile(Path(entry.path), told.st_size, told.st_mtime_ns) if stat.S_ISREG(told.st_mode) else None


def _linked(entry: "os.DirEntry[str]", inside: str) -> FoundFile | None:
    """A link of the Hugging Face cache: it names a blob of the same cache, or it is left alone."""
    path, target = Path(entry.path), os.path.realpath(entry.path)
    if not target.startswith(inside + os.sep):
        return None
    told = Path(target).stat()
    if not stat.S_ISREG(told.st_mode):
        return None
    first = Path(os.path.normpath(path.parent / path.readlink()))
    return FoundFile(path, told.st_size, told.st_mtime_ns, first)
