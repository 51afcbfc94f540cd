"""An SQLite file whose loss costs little: set aside when damaged, replaced by memory when it cannot be written."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

_PATIENCE_S = 2.0  # another Carryon may be writing


def opened(path: Path, schema: str) -> sqlite3.Connection:
    """The file; a fresh one where it is damaged; memory where the disk does not take it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(sqlite3.DatabaseError):
            return _connected(path, schema)
        _set_aside(path)
        return _connected(path, schema)
    except (OSError, sqlite3.Error):
        log.warning("%s cannot be used; what it would keep lasts until the end", path, exc_info=True)
        return _connected(":memory:", schema)


@contextmanager
def tolerant(done: str) -> Iterator[None]:
    """Logs what the database refuses: `done` says what could not be."""
    try:
        yield
    except sqlite3.Error:
        log.warning("%s", done, exc_info=True)


def _connected(path: Path | str, schema: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_PATIENCE_S, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("the file is damaged")
        db.executescript(schema)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> None:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    log.warning("%s was damaged and is set aside", path)
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.replace(path.with_name(f"{path.name}{suffix}.damaged-{stamp}"))
