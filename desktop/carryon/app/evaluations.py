"""What quants were measured to have lost, in library.sqlite; figures follow a file that is moved or renamed.

    evaluation(fingerprint, text_sha256, base, path, size_bytes, mtime_ns, when_s, fields)
        fingerprint   of the file (evaluate/fingerprint.py); base: that of what it was compared with, '' for none
        fields        the value as JSON (evaluate/kept.py)

A file with the same path, size and time is taken for the same; else one of the same size is told by its fingerprint.
Losing the table costs the time of measuring again, so nothing here fails (base/database.py).
"""

import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carryon.base.database import opened, tolerant
from carryon.base.errors import BadFile
from carryon.evaluate.fingerprint import fingerprint
from carryon.evaluate.kept import as_json, from_json
from carryon.evaluate.result import Evaluation, Measured
from carryon.fit.quality import Quality, measured_quality
from carryon.gguf.split import parts_of
from carryon.hub.library.index import key_of

log = logging.getLogger(__name__)
MOST_ROWS = 2000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS evaluation (
    fingerprint TEXT NOT NULL, text_sha256 TEXT NOT NULL, base TEXT NOT NULL, path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, when_s REAL NOT NULL, fields TEXT NOT NULL,
    PRIMARY KEY (fingerprint, text_sha256, base)
);
"""
_ALL = "SELECT fields FROM evaluation ORDER BY when_s DESC"
# what was compared says more than what was not; then the latest counts
_ORDER = " ORDER BY base = '', when_s DESC"
_AT_PATH = "SELECT fields FROM evaluation WHERE path = ? AND size_bytes = ? AND mtime_ns = ?" + _ORDER
_OF_FILE = "SELECT fields FROM evaluation WHERE fingerprint = ?" + _ORDER


@dataclass(frozen=True)
class _Stamp:
    """What a file is known by at a glance."""

    path: str
    size_bytes: int
    mtime_ns: int


class Evaluations:
    """The figures of one home, for any thread."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = opened(path, _SCHEMA)

    def close(self) -> None:
        """Closes the file; nothing is asked or kept after it."""
        with self._lock:
            self._db.close()

    def keep(self, evaluation: Evaluation) -> None:
        """Keeps all figures of an evaluation; of one file, text and base only the latest, of none with itself."""
        try:
            base = fingerprint(evaluation.base.path)
            rows = [_row(evaluation.base, base, "")]
            others = ((one, fingerprint(one.path)) for one in evaluation.others)
            rows += [_row(one, own, base) for one, own in others if own != base]
        except BadFile:  # somebody moved a file meanwhile
            log.warning("what was measured could not be kept", exc_info=True)
            return
        with self._lock, tolerant("what was measured could not be kept"), self._db as db:
            db.executemany("INSERT OR REPLACE INTO evaluation VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            db.execute(
                "DELETE FROM evaluation WHERE rowid NOT IN (SELECT rowid FROM evaluation ORDER BY when_s DESC LIMIT ?)",
                (MOST_ROWS,),
            )

    def of(self, path: Path) -> Measured | None:
        """What is known of this file, wherever it was when it was measured; None where it was not, or has changed."""
        stamp = _stamp(path)
        if stamp is None:
            return None
        found = self._first(_AT_PATH, (stamp.path, stamp.size_bytes, stamp.mtime_ns)) or self._moved(path, stamp)
        return replace(found, path=path) if found else None

    def all(self) -> tuple[Measured, ...]:
        """Everything, the latest first; whether the files are still there is not asked."""
        kept = (from_json(fields) for (fields,) in self._rows(_ALL))
        return tuple(one for one in kept if one)

    def measured_quality(self, path: Path) -> Quality | None:
        """What the Fit page shows of a file; None where it was never compared with another."""
        found = self.of(path)
        if found is None or found.base is None or found.kl_divergence is None:
            return None
        return measured_quality(found.perplexity_rise, found.kl_divergence, found.base_quant or found.base.stem)

    def _moved(self, path: Path, stamp: _Stamp) -> Measured | None:
        """By its fingerprint, which is made only where a file of its size was measured."""
        if not self._rows("SELECT 1 FROM evaluation WHERE size_bytes = ? LIMIT 1", (stamp.size_bytes,)):
            return None
        with suppress(BadFile):
            own = fingerprint(path)
            if found := self._first(_OF_FILE, (own,)):
                self._keep_stamp(own, stamp)
                return found
        return None

    def _keep_stamp(self, own: str, stamp: _Stamp) -> None:
        """The next look is cheap again."""
        row = (stamp.path, stamp.mtime_ns, own)
        with self._lock, tolerant("where a file lies now could not be kept"), self._db as db:
            db.execute("UPDATE evaluation SET path = ?, mtime_ns = ? WHERE fingerprint = ?", row)

    def _first(self, query: str, values: tuple[object, ...]) -> Measured | None:
        """The first row that can be read."""
        return next(filter(None, (from_json(fields) for (fields,) in self._rows(query, values))), None)

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> Iterable[tuple[Any, ...]]:
        with self._lock, tolerant("what was measured could not be read"):
            return list(self._db.execute(query, values))
        return []


def _row(measured: Measured, own: str, base: str) -> tuple[object, ...]:
    """Raises BadFile."""
    stamp = _stamp(measured.path)
    if stamp is None:
        raise BadFile(f"{measured.path.name} is not there any more.", "Measure it again where it is now.")
    return (
        own, measured.text_sha256, base, stamp.path, stamp.size_bytes, stamp.mtime_ns, measured.when_s,
        as_json(measured),
    )  # fmt: skip


def _stamp(path: Path) -> _Stamp | None:
    """Of all parts together; None where one is missing."""
    try:
        told = [part.stat() for part in parts_of(path)]
    except OSError:
        return None
    return _Stamp(key_of(path.absolute()), sum(one.st_size for one in told), max(one.st_mtime_ns for one in told))
