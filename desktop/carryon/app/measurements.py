"""What was measured on this machine, in SQLite: loads and answers beside what was predicted, and how fast the RAM is.

    observation(id, kind, when_s, fields)      fields: the value as JSON
    ram_speed(cpu, bytes_per_s, when_s)

Losing it costs nothing but the experience, so nothing here fails: a damaged file is set aside, one that cannot be
written is replaced by memory, and what cannot be kept is logged.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from carryon.base.database import opened, tolerant
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

MOST_ROWS = 2000
_LEARNT_FROM = 500  # of the latest rows
_RAM_SPEED_HOLDS_S = 30 * 86400.0  # modules are added, BIOS settings change
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
        self._db = opened(path, _SCHEMA)

    def close(self) -> None:
        """Closes the file; nothing is asked or kept after it."""
        with self._lock:
            self._db.close()

    def add(self, observations: Iterable[Observation]) -> None:
        """Keeps what happened now."""
        now = self._clock()
        rows = [_row(replace(one, when_s=one.when_s or now)) for one in observations]
        with self._lock, tolerant("measurements could not be kept"):
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
        with self._lock, tolerant("measurements could not be read"):
            row = self._db.execute(query, (cpu_name or "", since)).fetchone()
            return float(row[0]) if row else None
        return None

    def keep_ram_bytes_per_s(self, cpu_name: str | None, bytes_per_s: float) -> None:
        """Keeps how fast this processor reads its RAM."""
        row = (cpu_name or "", bytes_per_s, self._clock())
        with self._lock, tolerant("measurements could not be kept"), self._db as db:
            db.execute("INSERT OR REPLACE INTO ram_speed(cpu, bytes_per_s, when_s) VALUES (?, ?, ?)", row)

    def _observations(self) -> Iterator[Observation]:
        """The latest first."""
        query = "SELECT kind, fields FROM observation ORDER BY id DESC LIMIT ?"
        with tolerant("measurements could not be read"):
            for kind, fields in self._db.execute(query, (_LEARNT_FROM,)):
                with suppress(ValueError, KeyError, TypeError):  # a newer Carryon's row, or half a one
                    yield _READERS[kind](json.loads(fields))


def _row(one: Observation) -> tuple[str, float, str]:
    return _KINDS[type(one)], one.when_s, json.dumps(asdict(one))


def _memory(fields: dict[str, Any]) -> MemoryObservation:
    return MemoryObservation(**{**fields, "backend": Backend(fields["backend"]), "kv_type": KvType(fields["kv_type"])})


def _speed(fields: dict[str, Any]) -> SpeedObservation:
    times = tuple(DeviceTime(**{**one, "backend": Backend(one["backend"])}) for one in fields["times"])
    return SpeedObservation(**{**fields, "task": Task(fields["task"]), "times": times})


_KINDS: dict[type, str] = {MemoryObservation: "memory", SpeedObservation: "speed"}
_READERS: dict[str, Callable[[dict[str, Any]], Observation]] = {"memory": _memory, "speed": _speed}
