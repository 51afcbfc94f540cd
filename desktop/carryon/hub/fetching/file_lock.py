"""One process at a time: a lock on a file that ends with its process, whatever ends that."""

import os
from contextlib import suppress
from pathlib import Path

from carryon.base.files import disk_errors

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class FileLock:
    """Held from a successful `take` until `release`, which removes the file again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> bool:
        """Whether it is ours now. Raises BadFile where the folder cannot be written."""
        with disk_errors(self._path):
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o644)
        if _locked(handle) and self._is_still_there(handle):
            self._handle = handle
            return True
        os.close(handle)
        return False

    def release(self) -> None:
        """Gives it back; twice is once."""
        if self._handle is None:
            return
        if os.name != "nt":  # Windows removes no file that is open
            self._path.unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = None
        if os.name == "nt":
            with suppress(OSError):
                self._path.unlink()

    def _is_still_there(self, handle: int) -> bool:
        """Whether the locked file is the one that others would open: its last holder may have removed it meanwhile."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(handle)
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _locked(handle: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
