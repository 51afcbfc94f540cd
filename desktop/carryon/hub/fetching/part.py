"""The unfinished file on the disk: bytes at their places, never through a link, never out of its folder."""

import errno
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carryon.base.errors import BadFile, NoRoom
from carryon.base.files import disk_errors
from carryon.base.units import bytes_text
from carryon.hub.names import safe_parts

SUFFIX = ".part"
RESERVE_BYTES = 1_000_000_000  # what a system needs to go on living
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def part_file(target: Path) -> Path:
    """Where the bytes are until the file is whole."""
    return target.with_name(target.name + SUFFIX)


class Part:
    """Open from its making to `close`; several threads may read and write."""

    def __init__(self, target: Path, size_bytes: int) -> None:
        self.path, self._size_bytes = part_file(target), size_bytes
        with disk_errors(self.path):
            self._handle = _opened(self.path)
        self._place = threading.Lock()  # Windows has one place of reading and writing in a file

    def grow(self) -> None:
        """Gives it its full length, without taking the room yet."""
        with self._room_errors(self._size_bytes):
            os.ftruncate(self._handle, self._size_bytes)

    def write(self, at: int, view: memoryview, left_bytes: int) -> None:
        """Puts all of it there. Raises NoRoom, which names what is missing of the bytes that are left."""
        with self._room_errors(left_bytes):
            while len(view):
                n_bytes = self._written(at, view)
                at, view = at + n_bytes, view[n_bytes:]

    def read(self, at: int, n_bytes: int) -> bytes:
        """Bytes from there. Raises BadFile where the file is shorter."""
        with disk_errors(self.path):
            found = self._found(at, n_bytes)
        if len(found) != n_bytes:
            raise BadFile(f"{self.path} became shorter while it was being downloaded.", "Start the download again.")
        return found

    def sync(self) -> None:
        """Returns when what was written survives a power cut."""
        with self._room_errors(0):
            getattr(os, "fdatasync", os.fsync)(self._handle)

    def empty(self) -> None:
        """Throws away what is here."""
        with disk_errors(self.path):
            os.ftruncate(self._handle, 0)
        self.grow()

    def close(self) -> None:
        """Ends the use; nobody may read or write any more."""
        handle, self._handle = self._handle, -1  # a late writer must not meet another file
        if handle >= 0:
            os.close(handle)

    def _written(self, at: int, view: memoryview) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._handle, view, at)
        with self._place:
            os.lseek(self._handle, at, os.SEEK_SET)
            return os.write(self._handle, view)

    def _found(self, at: int, n_bytes: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._handle, n_bytes, at)
        with self._place:
            os.lseek(self._handle, at, os.SEEK_SET)
            return os.read(self._handle, n_bytes)

    @contextmanager
    def _room_errors(self, left_bytes: int) -> Iterator[None]:
        try:
            with disk_errors(self.path):
                yield
        except NoRoom as error:
            raise no_room(self.path, left_bytes) from error
        except BadFile as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EFBIG:
                raise NoRoom(
                    f"The disk that holds {self.path.parent} takes no file of {bytes_text(self._size_bytes)}.",
                    "Choose a folder on a disk with another file system than FAT32.",
                ) from error
            raise


def no_room(path: Path, left_bytes: int) -> NoRoom:
    """The disk is full, and so much more should have fitted on it."""
    missing_bytes = max(left_bytes - _free_bytes(path.parent), 1)
    return NoRoom(
        f"The disk that holds {path.parent} is full: {bytes_text(missing_bytes)} more are needed.",
        "Free that much and go on: what is here stays.",
    )


def room_missing(folder: Path, wanted_bytes: int, reserve_bytes: int = RESERVE_BYTES) -> int:
    """How many bytes must be freed before so many more fit on the folder's disk with some to spare; 0 if they do."""
    return max(0, wanted_bytes + reserve_bytes - _free_bytes(folder))


def check_place(target: Path, path: str) -> None:
    """Raises BadFile unless the target is where this path of a repository belongs, in its own folder's reach.

    The folders of the path are made here; a link among them that leads out of the folder above them is not followed.
    """
    parts = safe_parts(path)
    is_below = tuple(target.parts[-len(parts) :]) == parts
    root = target.parents[len(parts) - 1] if is_below else target.parent
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        inside, real = root.resolve(), target.parent.resolve()
    if real != inside and inside not in real.parents:
        raise BadFile(f"{target.parent} leads out of {root}.", "Remove the link that stands there instead of a folder.")
    if target.is_symlink() or target.is_dir():
        raise BadFile(f"{target} is a link or a folder.", "Remove it, or choose another folder.")


def _opened(path: Path) -> int:
    """The part, made if need be. One that has another name elsewhere is left to that and made anew."""
    flags = os.O_RDWR | os.O_CREAT | _NO_LINK | _BINARY
    handle = os.open(path, flags, 0o644)
    told = os.fstat(handle)
    if stat.S_ISREG(told.st_mode) and told.st_nlink == 1:
        return handle
    os.close(handle)
    path.unlink()
    return os.open(path, flags | os.O_EXCL, 0o644)


def _free_bytes(folder: Path) -> int:
    """Of the disk that holds the folder, or will hold it."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    with disk_errors(folder):
        return shutil.disk_usage(there).free
