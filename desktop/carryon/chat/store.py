"""Conversations in SQLite: one writer thread, WAL with full sync; what is acknowledged is on the disk.

    conversation(id, title, created_s, updated_s, trashed_s)
    message(id, conversation_id, role, text, state, created_s, model_name, figures, replaced)

Nothing is deleted by an ordinary action: a conversation goes to the trash, a regenerated answer is marked replaced.
"""

import json
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from carryon.base.errors import AppError, BadFile
from carryon.chat.keeping import make_sound
from carryon.chat.message import Conversation, Figures, Message, Role, State

log = logging.getLogger(__name__)
T = TypeVar("T")

SCHEMA_VERSION = 1
_TITLE_LENGTH = 60
_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversation (
    id INTEGER PRIMARY KEY, title TEXT NOT NULL, created_s REAL NOT NULL, updated_s REAL NOT NULL, trashed_s REAL
);
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, conversation_id INTEGER NOT NULL REFERENCES conversation(id) ON DELETE CASCADE,
    role TEXT NOT NULL, text TEXT NOT NULL, state TEXT NOT NULL, created_s REAL NOT NULL,
    model_name TEXT, figures TEXT, replaced INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS message_of ON message(conversation_id, id);
CREATE INDEX IF NOT EXISTS conversation_by_time ON conversation(trashed_s, updated_s);
"""
_SEARCH = """
SELECT id, title, created_s, updated_s FROM conversation c
WHERE trashed_s IS NULL AND (
    ? = '' OR title LIKE ? ESCAPE '\\'
    OR EXISTS (SELECT 1 FROM message m WHERE m.conversation_id = c.id AND NOT m.replaced AND m.text LIKE ? ESCAPE '\\')
)
ORDER BY updated_s DESC, id DESC
"""
_INSERT_MESSAGE = """
INSERT INTO message(conversation_id, role, text, state, created_s, model_name) VALUES (?, ?, ?, ?, ?, ?)
"""
_REPLACE_FROM = """
UPDATE message SET replaced = 1
WHERE id >= ?1 AND conversation_id = (SELECT conversation_id FROM message WHERE id = ?1)
"""
_MESSAGE = "id, conversation_id, role, text, state, created_s, model_name, figures"
_CONVERSATION = "id, title, created_s, updated_s"


class TooNew(AppError):
    """The chats were written by a newer Carryon; this one leaves them alone."""


class Store:
    """All conversations of one home, for any thread; a write returns once it is on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.was_restored = make_sound(path)
        self._writes: queue.SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._closed = False
        self._readers = threading.local()
        self._reader_connections: list[sqlite3.Connection] = []
        self._thread = threading.Thread(target=self._serve_writes, name="chat-writer", daemon=True)
        self._thread.start()
        self._write(_migrate)
        self._write(_mark_interrupted)

    def close(self) -> None:
        """Waits for what is being written and closes the file."""
        if self._closed:
            return
        self._closed = True
        self._writes.put(None)
        self._thread.join()
        for connection in self._reader_connections:
            connection.close()

    def conversations(self, search: str = "") -> tuple[Conversation, ...]:
        """The conversations outside the trash, latest first; with a search only those whose title or text holds it."""
        found = f"%{_escaped(search)}%"
        rows = self._read(_SEARCH, (search, found, found))
        return tuple(Conversation(*row) for row in rows)

    def trash(self) -> tuple[Conversation, ...]:
        """The conversations in the trash, latest first."""
        rows = self._read(
            f"SELECT {_CONVERSATION} FROM conversation WHERE trashed_s IS NOT NULL ORDER BY trashed_s DESC", ()
        )
        return tuple(Conversation(*row) for row in rows)

    def conversation(self, conversation_id: int) -> Conversation | None:
        rows = self._read(f"SELECT {_CONVERSATION} FROM conversation WHERE id = ?", (conversation_id,))
        return Conversation(*rows[0]) if rows else None

    def messages(self, conversation_id: int) -> tuple[Message, ...]:
        """The messages in their order, without replaced answers."""
        rows = self._read(
            f"SELECT {_MESSAGE} FROM message WHERE conversation_id = ? AND NOT replaced ORDER BY id", (conversation_id,)
        )
        return tuple(_message(row) for row in rows)

    def message(self, message_id: int) -> Message | None:
        rows = self._read(f"SELECT {_MESSAGE} FROM message WHERE id = ?", (message_id,))
        return _message(rows[0]) if rows else None

    def begin(self, title: str) -> Conversation:
        """A new, empty conversation; the title is cut to one short line."""
        now = time.time()

        def write(db: sqlite3.Connection) -> Conversation:
            cut = short_title(title)
            cursor = db.execute(
                "INSERT INTO conversation(title, created_s, updated_s) VALUES (?, ?, ?)", (cut, now, now)
            )
            return Conversation(cursor.lastrowid or 0, cut, now, now)

        return self._write(write)

    def add(
        self, conversation_id: int, role: Role, text: str, state: State = State.WHOLE, model_name: str | None = None
    ) -> Message:
        """Appends a message. Raises BadFile if the conversation is gone."""
        now = time.time()

        def write(db: sqlite3.Connection) -> Message:
            cursor = db.execute(_INSERT_MESSAGE, (conversation_id, role, text, state, now, model_name))
            db.execute("UPDATE conversation SET updated_s = ? WHERE id = ?", (now, conversation_id))
            return Message(cursor.lastrowid or 0, conversation_id, role, text, state, now, model_name)

        return self._write(write)

    def update(self, message_id: int, text: str, state: State, figures: Figures | None = None) -> None:
        """Replaces the text of a message that is being written."""
        encoded = None if figures is None else json.dumps(asdict(figures))
        self._write(
            lambda db: db.execute(
                "UPDATE message SET text = ?, state = ?, figures = ? WHERE id = ?", (text, state, encoded, message_id)
            )
        )

    def replace_from(self, message_id: int) -> None:
        """Hides this message and every later one of its conversation: they were regenerated or edited."""
        self._write(lambda db: db.execute(_REPLACE_FROM, (message_id,)))

    def rename(self, conversation_id: int, title: str) -> None:
        self._write(
            lambda db: db.execute(
                "UPDATE conversation SET title = ? WHERE id = ?", (short_title(title), conversation_id)
            )
        )

    def move_to_trash(self, conversation_id: int) -> None:
        now = time.time()
        self._write(lambda db: db.execute("UPDATE conversation SET trashed_s = ? WHERE id = ?", (now, conversation_id)))

    def restore(self, conversation_id: int) -> None:
        """Takes a conversation out of the trash."""
        self._write(lambda db: db.execute("UPDATE conversation SET trashed_s = NULL WHERE id = ?", (conversation_id,)))

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise BadFile("The chats are closed already.", "Start Carryon again.")
        outcome: Future[T] = Future()
        self._writes.put((work, outcome))
        return outcome.result()

    def _serve_writes(self) -> None:
        db = _connect(self._path)
        while (task := self._writes.get()) is not None:
            work, outcome = task
            try:
                with db:
                    result = work(db)
                outcome.set_result(result)
            except sqlite3.Error as error:
                outcome.set_exception(_readable(error, self._path))
            except BaseException as error:
                outcome.set_exception(error)
        db.close()

    def _read(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        try:
            return self._reader().execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise _readable(error, self._path) from error

    def _reader(self) -> sqlite3.Connection:
        """One read-only connection a thread."""
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = _connect(self._path)
            connection.execute("PRAGMA query_only = 1")
            self._readers.connection = connection
            self._reader_connections.append(connection)
        return connection


def short_title(text: str) -> str:
    """The first line of a text, short enough for a list."""
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1].rstrip() + "…"


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5, check_same_thread=False)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "fullfsync = 1",
        "foreign_keys = 1",
        "trusted_schema = 0",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _migrate(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise TooNew(
            "These chats were written by a newer Carryon.", "Update Carryon to open them; they were not touched."
        )
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _mark_interrupted(db: sqlite3.Connection) -> None:
    """What a killed app was writing is kept and says so."""
    db.execute("UPDATE message SET state = ? WHERE state = ?", (State.INTERRUPTED, State.STREAMING))


def _message(row: tuple[Any, ...]) -> Message:
    """One damaged field never hides a message: figures that cannot be read are simply not shown."""
    figures = None
    if row[7]:
        try:
            figures = Figures(**json.loads(row[7]))
        except (ValueError, TypeError):
            log.warning("message %s has unreadable figures", row[0])
    return Message(
        row[0],
        row[1],
        _known(Role, row[2], Role.USER),
        str(row[3]),
        _known(State, row[4], State.WHOLE),
        row[5],
        row[6],
        figures,
    )


def _known(kind: Any, value: Any, otherwise: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        return otherwise


def _escaped(search: str) -> str:
    return search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _readable(error: sqlite3.Error, path: Path) -> AppError:
    if isinstance(error, sqlite3.IntegrityError):
        return BadFile("This chat does not exist any more.", "Start a new chat.")
    if "full" in str(error):
        return BadFile(
            f"The disk that holds {path.parent} is full.", "Free some space there; nothing that was saved is lost."
        )
    return BadFile(
        f"The chats cannot be read or written: {error}.", f"Check that {path} is yours and not on a network folder."
    )
