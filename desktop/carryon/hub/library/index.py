"""What was found out about the files of the library, in library.sqlite, so that nothing is read twice.

    model_file(path, size_bytes, mtime_ns, known)      known: entry.py Known as JSON
    model_hash(path, size_bytes, mtime_ns, sha256)
    model_name(path, name)                             what a person calls a file that is not Carryon's
    model_use(path, when_s)

Losing it costs a second look at the files, names and dates; nothing here fails (base/database.py).
"""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from carryon.base.database import opened, tolerant
from carryon.hub.library.entry import Known
from carryon.hub.library.knowing import as_json, from_json
from carryon.hub.library.walking import FoundFile

_VERSION = 1  # of what is kept in `known`: another one is read anew
_SCHEMA = """
CREATE TABLE IF NOT EXISTS model_file (
    path TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, version INTEGER NOT NULL,
    known TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS model_hash (
    path TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS model_name (path TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS model_use (path TEXT PRIMARY KEY, when_s REAL NOT NULL);
"""
_Stamp = tuple[int, int]  # size and time: who has both is taken for the same file


def key_of(path: Path) -> str:
    """A path as the index has it: SQLite takes no bytes that are no text, which names on Linux may hold."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class Index:
    """The index of one home, for any thread. `clock` tells the time in seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._db = opened(path, _SCHEMA)

    def close(self) -> None:
        """Closes the file; nothing is asked or kept after it."""
        with self._lock:
            self._db.close()

    def known(self) -> "Remembered":
        """All that is known of files, read at once."""
        query = "SELECT path, size_bytes, mtime_ns, known FROM model_file WHERE version = ?"
        rows = self._rows(query, (_VERSION,))
        return Remembered({str(path): ((size, mtime), text) for path, size, mtime, text in rows})

    def keep(self, found: Iterable[tuple[FoundFile, Known]]) -> None:
        """Keeps what the files with these first parts were found to be."""
        rows = [(key_of(file.path), file.size_bytes, file.mtime_ns, _VERSION, as_json(known)) for file, known in found]
        self._write("INSERT OR REPLACE INTO model_file VALUES (?, ?, ?, ?, ?)", rows)

    def sha256(self, file: FoundFile) -> str | None:
        """What this file was hashed to while it had this size and time."""
        query = "SELECT sha256 FROM model_hash WHERE path = ? AND size_bytes = ? AND mtime_ns = ?"
        rows = self._rows(query, (key_of(file.path), file.size_bytes, file.mtime_ns))
        return str(rows[0][0]) if rows else None

    def keep_sha256(self, file: FoundFile, sha256: str) -> None:
        """Keeps a hash that took reading the whole file."""
        row = (key_of(file.path), file.size_bytes, file.mtime_ns, sha256)
        self._write("INSERT OR REPLACE INTO model_hash VALUES (?, ?, ?, ?)", [row])

    def names(self) -> dict[str, str]:
        """What a person calls files, by their keys."""
        return {str(path): str(name) for path, name in self._rows("SELECT path, name FROM model_name")}

    def name(self, path: Path, name: str | None) -> None:
        """Another name for a file; None takes it back."""
        if name is None:
            self._write("DELETE FROM model_name WHERE path = ?", [(key_of(path),)])
        else:
            self._write("INSERT OR REPLACE INTO model_name VALUES (?, ?)", [(key_of(path), name)])

    def uses(self) -> dict[str, float]:
        """When files were last loaded, by their keys."""
        return {str(path): float(when_s) for path, when_s in self._rows("SELECT path, when_s FROM model_use")}

    def used(self, path: Path) -> None:
        """Keeps that a file is loaded now."""
        self._write("INSERT OR REPLACE INTO model_use VALUES (?, ?)", [(key_of(path), self._clock())])

    def moved(self, old: Path, new: Path) -> None:
        """What is known of a file goes with it to its new path."""
        for table in ("model_file", "model_hash", "model_use"):
            self._write(f"UPDATE OR REPLACE {table} SET path = ? WHERE path = ?", [(key_of(new), key_of(old))])

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock, tolerant("the library's index could not be read"):
            return list(self._db.execute(query, values))
        return []

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self._lock, tolerant("the library's index could not be kept"), self._db as db:
            db.executemany(statement, list(rows))


class Remembered:
    """What was known at one moment; JSON is read only of files that are still the same."""

    def __init__(self, rows: dict[str, tuple[_Stamp, str]]) -> None:
        self._rows = rows

    def of(self, file: FoundFile) -> Known | None:
        """What is known of this file, if it is the one that was looked at."""
        stamp, text = self._rows.get(key_of(file.path), (None, ""))
        return from_json(text) if stamp == (file.size_bytes, file.mtime_ns) else None
