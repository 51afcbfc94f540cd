"""What was measured on this machine, in SQLite: loads and answers beside what was predicted, and how fast the RAM is.

    observation(id, kind, when_s, fields)      fields: the value as JSON
    ram_speed(cpu, bytes_per_s, when_s)

Losing it costs nothing but the experience, so nothing here fails: a damaged file is set aside, one that cannot be
written is replaced by memory, and what cannot be kept is logged.
"""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from carryon.fit.calibration import (
    DeviceTime,
    Learnt,
    MemoryObservation,
    Observation,
    SpeedObservation,
    Task,
    learn,
)
from carryon.fit.room import Backend
from carryon.gguf.quants import KvType

log = logging.getLogger(__name__)

MOST_ROWS = 2000
_LEARNT_FROM = 500  # of the latest rows
_RAM_SPEED_HOLDS_S = 30 * 86400.0  # modules are added, BIOS settings change
_PATIENCE_S = 2.0  # another Carryon may be writing
_SCHEMA = """
CREATE TABLE IF NOT EXISTS observation (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, when_s REAL NOT NULL, fields TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS ram_speed (cpu TEXT PRIMARY KEY, bytes_per_s REAL NOT NULL, when_s REAL NOT NULL);
"""


class Measurements:
    """The measurements of one home, for any thread. `clock` tells the time in seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._learnt: Learnt | None = None
        self._db = _opened(path)

    def close(self) -> None:
        """Closes the file; nothing is asked or kept after it."""
        with self._lock:
            self._db.close()

    def add(self, observations: Iterable[Observation]) -> None:
        """Keeps what happened now."""
        now = self._clock()
        rows = [_row(replace(one, when_s=one.when_s or now)) for one in observations]
        with self._lock, _tolerant("kept"):
            self._learnt = None
            with self._db as db:
                db.executemany("INSERT INTO observation(kind, when_s, fields) VALUES (?, ?, ?)", rows)
                db.execute("DELETE FROM observation WHERE id <= (SELECT max(id) FROM observation) - ?", (MOST_ROWS,))

    def learnt(self) -> Learnt:
        """What all of it teaches; worked out once after each addition."""
        with self._lock:
            if self._learnt is None:
                self._learnt = learn(tuple(self._observations())[::-1])  # in their order
            return self._learnt

    def ram_bytes_per_s(self, cpu_name: str | None) -> float | None:
        """How fast this processor read its RAM; None where it was not measured in the last 30 days."""
        since = self._clock() - _RAM_SPEED_HOLDS_S
        query = "SELECT bytes_per_s FROM ram_speed WHERE cpu = ? AND when_s >= ?"
        with self._lock, _tolerant("read"):
            row = self._db.execute(query, (cpu_name or "", since)).fetchone()
            return float(row[0]) if row else None
        return None

    def keep_ram_bytes_per_s(self, cpu_name: str | None, bytes_per_s: float) -> None:
        """Keeps how fast this processor reads its RAM."""
        row = (cpu_name or "", bytes_per_s, self._clock())
        with self._lock, _tolerant("kept"), self._db as db:
            db.execute("INSERT OR REPLACE INTO ram_speed(cpu, bytes_per_s, when_s) VALUES (?, ?, ?)", row)

    def _observations(self) -> Iterator[Observation]:
        """The latest first."""
        query = "SELECT kind, fields FROM observation ORDER BY id DESC LIMIT ?"
        with _tolerant("read"):
            for kind, fields in self._db.execute(query, (_LEARNT_FROM,)):
                with suppress(ValueError, KeyError, TypeError):  # a newer Carryon's row, or half a one
                    yield _READERS[kind](json.loads(fields))


@contextmanager
def _tolerant(done: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error:
        log.warning("measurements could not be %s", done, exc_info=True)


def _opened(path: Path) -> sqlite3.Connection:
    """The file; a fresh one where it is damaged; memory where the disk does not take it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(sqlite3.DatabaseError):
            return _connected(path)
        _set_aside(path)
        return _connected(path)
    except (OSError, sqlite3.Error):
        log.warning("%s cannot be used; measurements last until the end", path, exc_info=True)
        return _connected(":memory:")


def _connected(path: Path | str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_PATIENCE_S, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("the file is damaged")
        db.executescript(_SCHEMA)
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


def _row(one: Observation) -> tuple[str, float, str]:
    return _KINDS[type(one)], one.when_s, json.dumps(asdict(one))


def _memory(fields: dict[str, Any]) -> MemoryObservation:
    return MemoryObservation(**{**fields, "backend": Backend(fields["backend"]), "kv_type": KvType(fields["kv_type"])})


def _speed(fields: dict[str, Any]) -> SpeedObservation:
    times = tuple(DeviceTime(**{**one, "backend": Backend(one["backend"])}) for one in fields["times"])
    return SpeedObservation(**{**fields, "task": Task(fields["task"]), "times": times})


_KINDS: dict[type, str] = {MemoryObservation: "memory", SpeedObservation: "speed"}
_READERS: dict[str, Callable[[dict[str, Any]], Observation]] = {"memory": _memory, "speed": _speed}
