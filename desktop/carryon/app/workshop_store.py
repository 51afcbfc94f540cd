"""The workshop's runs in library.sqlite: what was ordered, which stages are whole, how fast this machine worked.

    workshop_run(id, begun_s, told, state, revision)        told: the order as JSON; state: as JSON
    workshop_stage(run_id, kind, quant)                     the whole stages
    workshop_placing(run_id, quant, size_bytes, mtime_ns)   a file about to be renamed to its final name
    workshop_notice(run_id, words)
    workshop_pace(id, kind, quant, n_units, length_s)       of whole stages

A row is written by the process that works on the run, at once: after a kill it says what is on the disk. Nothing here
fails (base/database.py); without a place to write, a restart forgets.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carryon.app.workshop_list import (
    FailedRun,
    FinishedRun,
    Interrupted,
    Order,
    RunState,
    Source,
    SourceKind,
    Stage,
    StageKind,
    Waiting,
    Working,
)
from carryon.base import errors
from carryon.base.database import opened, tolerant
from carryon.base.errors import AppError

log = logging.getLogger(__name__)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS workshop_run (
    id TEXT PRIMARY KEY, begun_s REAL NOT NULL, told TEXT NOT NULL, state TEXT NOT NULL, revision TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS workshop_stage (
    run_id TEXT NOT NULL, kind TEXT NOT NULL, quant TEXT NOT NULL, PRIMARY KEY (run_id, kind, quant)
);
CREATE TABLE IF NOT EXISTS workshop_placing (
    run_id TEXT NOT NULL, quant TEXT NOT NULL, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    PRIMARY KEY (run_id, quant)
);
CREATE TABLE IF NOT EXISTS workshop_notice (run_id TEXT NOT NULL, words TEXT NOT NULL, PRIMARY KEY (run_id, words));
CREATE TABLE IF NOT EXISTS workshop_pace (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, quant TEXT NOT NULL, n_units INTEGER NOT NULL, length_s REAL NOT NULL
);
"""
_MOST_PACES = 200
_AVERAGED = 5  # the latest of a kind
_TOO_SHORT_S = 0.2  # starting a process takes as long
_DETAILS = ("workshop_stage", "workshop_placing", "workshop_notice")
_ERRORS: dict[str, type[AppError]] = {
    one.__name__: one
    for one in (
        errors.BadInput, errors.BadFile, errors.NoRoom, errors.Unsupported, errors.Offline, errors.NoAccess,
        errors.EngineError,
    )
}  # fmt: skip
Key = tuple[StageKind, str]


@dataclass(frozen=True)
class KeptRun:
    """A run as it is remembered: what was still at work has been interrupted."""

    id: str
    order: Order
    state: RunState
    notices: tuple[str, ...] = ()


class WorkshopStore:
    """The runs of one home, for any thread. `clock` tells the time in seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._db = opened(path, _SCHEMA)
        with tolerant("the workshop's rows are written more slowly"):
            self._db.execute("PRAGMA synchronous = NORMAL")  # a kill loses nothing; the window does not wait for a disk

    def close(self) -> None:
        """Closes the file; nothing is asked or kept after it."""
        with self._lock:
            self._db.close()

    def runs(self) -> tuple[KeptRun, ...]:
        """In the order in which they were asked for; one that cannot be read is left out."""
        rows = self._rows("SELECT id, told, state FROM workshop_run ORDER BY begun_s, id")
        return tuple(self._readable(rows))

    def add(self, id: str, order: Order) -> None:
        """A new run, with nothing done."""
        row = (id, self._clock(), json.dumps(_order_json(order)), json.dumps(_state_json(Waiting())), order.revision)
        self._write(*((f"DELETE FROM {table} WHERE run_id = ?", (id,)) for table in _DETAILS),
                    ("INSERT OR REPLACE INTO workshop_run VALUES (?, ?, ?, ?, ?)", row))  # fmt: skip

    def forget(self, id: str) -> None:
        """Takes all of it away."""
        self._write(*((f"DELETE FROM {table} WHERE run_id = ?", (id,)) for table in _DETAILS),
                    ("DELETE FROM workshop_run WHERE id = ?", (id,)))  # fmt: skip

    def set_state(self, id: str, state: RunState) -> None:
        """How it is from now on."""
        self._write(("UPDATE workshop_run SET state = ? WHERE id = ?", (json.dumps(_state_json(state)), id)))

    def revision(self, id: str) -> str:
        """The commit of the repository that this run takes; '' while it has not asked."""
        rows = self._rows("SELECT revision FROM workshop_run WHERE id = ?", id)
        return str(rows[0][0]) if rows else ""

    def set_revision(self, id: str, commit: str) -> None:
        """Every later stage takes the same."""
        self._write(("UPDATE workshop_run SET revision = ? WHERE id = ?", (commit, id)))

    def whole(self, id: str) -> frozenset[Key]:
        """The stages that are done."""
        rows = self._rows("SELECT kind, quant FROM workshop_stage WHERE run_id = ?", id)
        return frozenset((StageKind(kind), str(quant)) for kind, quant in rows)

    def finish(self, id: str, stage: Stage) -> None:
        """This stage is whole."""
        self._write(("INSERT OR REPLACE INTO workshop_stage VALUES (?, ?, ?)", (id, stage.kind.value, stage.quant)))

    def placing(self, id: str, quant: str, size_bytes: int, mtime_ns: int) -> None:
        """A file of this size and time gets its final name now."""
        self._write(("INSERT OR REPLACE INTO workshop_placing VALUES (?, ?, ?, ?)", (id, quant, size_bytes, mtime_ns)))

    def placed(self, id: str, quant: str) -> tuple[int, int] | None:
        """Size and time of the file that was about to get its final name."""
        rows = self._rows("SELECT size_bytes, mtime_ns FROM workshop_placing WHERE run_id = ? AND quant = ?", id, quant)
        return (int(rows[0][0]), int(rows[0][1])) if rows else None

    def note(self, id: str, words: str) -> None:
        """Something that should be known of the result."""
        self._write(("INSERT OR IGNORE INTO workshop_notice VALUES (?, ?)", (id, words)))

    def notices(self, id: str) -> tuple[str, ...]:
        """All of these."""
        return tuple(str(one) for (one,) in self._rows("SELECT words FROM workshop_notice WHERE run_id = ?", id))

    def keep_pace(self, stage: Stage, n_units: int, length_s: float) -> None:
        """Keeps how long a whole stage took."""
        if n_units <= 0 or length_s < _TOO_SHORT_S:
            return
        row = (stage.kind.value, stage.quant, n_units, length_s)
        self._write(
            ("INSERT INTO workshop_pace(kind, quant, n_units, length_s) VALUES (?, ?, ?, ?)", row),
            ("DELETE FROM workshop_pace WHERE id <= (SELECT max(id) FROM workshop_pace) - ?", (_MOST_PACES,)),
        )

    def units_per_s(self, kind: StageKind, quant: str) -> float | None:
        """How fast such stages were the last times; None where none was."""
        query = "SELECT n_units, length_s FROM workshop_pace WHERE kind = ? AND quant = ? ORDER BY id DESC LIMIT ?"
        rows = self._rows(query, kind.value, quant, _AVERAGED)
        length_s = sum(float(one) for _, one in rows)
        return sum(int(one) for one, _ in rows) / length_s if length_s else None

    def _write(self, *statements: tuple[str, Sequence[Any]]) -> None:
        with self._lock, tolerant("a run of the workshop could not be kept"), self._db as db:
            for statement, values in statements:
                db.execute(statement, values)

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock, tolerant("the workshop's runs could not be read"):
            return self._db.execute(query, values).fetchall()
        return []

    def _readable(self, rows: list[Any]) -> Iterator[KeptRun]:
        for id, told, state in rows:
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                yield KeptRun(str(id), _order(json.loads(told)), _state(json.loads(state)), self.notices(id))
                continue
            log.warning("a run of the workshop could not be read and is left out")


def _order_json(order: Order) -> dict[str, Any]:
    source = order.source
    return {
        "kind": source.kind.value, "place": source.place, "adapter": _text(source.adapter), "quants": order.quants,
        "folder": str(order.folder), "name": order.name, "keeps_middle": order.keeps_middle,
        "imatrix_text": _text(order.imatrix_text), "imatrix": _text(order.imatrix), "measures": order.measures,
        "text": _text(order.text), "may_fetch_converter": order.may_fetch_converter,
        "requantizes": order.requantizes, "revision": order.revision, "file_name": order.file_name,
    }  # fmt: skip


def _order(told: dict[str, Any]) -> Order:
    folder, quants = Path(str(told["folder"])), tuple(map(str, told["quants"]))
    if not folder.is_absolute() or not quants:
        raise ValueError("an order of nothing, or for nowhere")
    return Order(
        Source(SourceKind(told["kind"]), str(told["place"]), _path(told["adapter"])), quants, folder, str(told["name"]),
        bool(told["keeps_middle"]), _path(told["imatrix_text"]), _path(told["imatrix"]), bool(told["measures"]),
        _path(told["text"]), bool(told["may_fetch_converter"]), bool(told["requantizes"]), str(told["revision"]),
        str(told["file_name"]),
    )  # fmt: skip


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _path(text: Any) -> Path | None:
    return None if text is None else Path(str(text))


def _state_json(state: RunState) -> dict[str, Any]:
    match state:
        case FailedRun(error):
            return {"state": "failed", "error": [type(error).__name__, error.message, error.hint]}
        case FinishedRun(files):
            return {"state": "finished", "files": [str(one) for one in files]}
        case Interrupted():
            return {"state": "interrupted"}
        case Waiting() | Working():
            return {"state": "active"}


def _state(told: dict[str, Any]) -> RunState:
    match told:
        case {"state": "failed", "error": [str() as kind, str() as message, str() as hint]}:
            return FailedRun(_ERRORS.get(kind, AppError)(message, hint))
        case {"state": "finished", "files": list() as files}:
            return FinishedRun(tuple(Path(str(one)) for one in files))
        case _:
            return Interrupted()
