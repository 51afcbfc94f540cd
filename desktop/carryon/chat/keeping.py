"""Keeps the chats sound: a backup a day, and the latest one instead of a damaged file."""

import sqlite3
import time
from pathlib import Path

from carryon.base.files import disk_errors, write_whole

BACKUPS_KEPT = 7


def make_sound(path: Path) -> bool:
    """Backs a sound store up once a day; sets a damaged one aside and restores the latest sound backup.

    Returns True if it was damaged. Raises NoRoom or BadFile when the folder cannot be used.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            return False
        if _is_sound(path):
            _back_up(path)
            return False
        _set_aside(path)
        for backup in reversed(_backups(path)):
            if _is_sound(backup):
                write_whole(path, backup.read_bytes())
                break
        return True


def _is_sound(path: Path) -> bool:
    try:
        connection = sqlite3.connect(path)
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return False


def _back_up(path: Path) -> None:
    folder = path.parent / "backups"
    target = folder / f"{path.stem}-{time.strftime('%Y%m%d')}{path.suffix}"
    if target.exists():
        return
    folder.mkdir(exist_ok=True)
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    try:
        connection.execute("VACUUM INTO ?", (str(part),))
    finally:
        connection.close()
    part.replace(target)
    for old in _backups(path)[:-BACKUPS_KEPT]:
        old.unlink()


def _backups(path: Path) -> list[Path]:
    return sorted((path.parent / "backups").glob(f"{path.stem}-*{path.suffix}"))


def _set_aside(path: Path) -> None:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.replace(path.with_name(f"{path.name}{suffix}.damaged-{stamp}"))
