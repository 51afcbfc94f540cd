"""Whole or not at all: nobody ever sees half a file, and a kill leaves the old one or the new one."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from carryon.base.errors import BadFile, NoRoom

_FSCTL_SET_SPARSE = 0x900C4  # winioctl.h


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """Writes `target` through a `.part` beside it: synced and renamed at the end, removed on an error.

    Raises NoRoom when the disk is full and BadFile when the folder cannot be written.
    """
    part = target.with_name(target.name + ".part")
    with disk_errors(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            part.replace(target)
            sync_folder(target.parent)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise


def write_whole(target: Path, content: bytes) -> None:
    """Replaces the content of `target` in one step."""
    with whole_file(target) as out:
        out.write(content)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns the system's errors about `path` into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoom(
                f"The disk that holds {path.parent} is full.", "Free some space there and try again."
            ) from error
        if isinstance(error, FileNotFoundError):
            raise BadFile(f"{path} is not there.", "Check whether it was moved, renamed or deleted.") from error
        raise BadFile(
            f"{path} cannot be used: {error.strerror or error}.", "Check that the path exists and is yours to use."
        ) from error


def grow_sparse(out: BinaryIO, size_bytes: int) -> None:
    """Gives a file this length without taking the room, where the disk can do that."""
    out.flush()
    if os.name == "nt":  # takes the room of what is not written unless it is told not to
        import ctypes
        import msvcrt

        handle, told = msvcrt.get_osfhandle(out.fileno()), ctypes.c_ulong()  # type: ignore[attr-defined]
        ctypes.windll.kernel32.DeviceIoControl(  # type: ignore[attr-defined]
            handle, _FSCTL_SET_SPARSE, None, 0, None, 0, ctypes.byref(told), None
        )
    out.truncate(size_bytes)


def free_bytes_at(folder: Path) -> int | None:
    """The free bytes of the disk on which a folder is or would be; None where that cannot be told."""
    for one in (folder, *folder.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(one).free
    return None


def sync_folder(folder: Path) -> None:
    """Makes the rename itself durable; Windows cannot open folders and needs no such call."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
