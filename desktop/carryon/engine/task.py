"""Long work of another process: `carryon.worker.NAME` is asked once, tells how far it is, and answers once.

    stdin    one line: the request, JSON; the pipe's end ends the process at once
    stdout   JSON lines: {"progress": [done, total, note]}, then {"result": {...}} or {"error": [kind, message, hint]}
    stderr   the log

To cancel is to close the work. What the process leaves unfinished on the disk is the caller's to remove.
"""

import json
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from carryon.base import errors
from carryon.base.errors import AppError, EngineError
from carryon.base.jobs import Progress
from carryon.engine.child import Child
from carryon.engine.reasons import Doing

Request = Mapping[str, Any]
Result = dict[str, Any]
_KINDS: dict[str, type[AppError]] = {
    one.__name__: one
    for one in (
        errors.BadInput, errors.BadFile, errors.NoRoom, errors.Unsupported, errors.Offline, errors.NoAccess, EngineError
    )
}  # fmt: skip


def command_of(worker: str) -> tuple[str, ...]:
    """What starts the process of `carryon.worker.<worker>`."""
    return (sys.executable, "-P", "-m", f"carryon.worker.{worker}")


def running(
    command: Sequence[str], request: Request, log_path: Path, doing: Doing = Doing.WORKING
) -> Generator[Progress | None, None, Result]:
    """Work of a process of its own: its progress, heartbeats between, and its result.

    Raises the AppError that the process tells, and Crash where it dies without a word.
    """
    child = Child(command, log_path, doing)
    try:
        child.send(json.dumps(request).encode() + b"\n")
        while True:
            line = child.next_line()
            match json.loads(line) if line else None:
                case None:
                    yield None
                case {"progress": [int() as done, (int() | None) as total, str() as note]}:
                    yield Progress(done, total, note)
                case {"result": dict() as result}:
                    return result
                case {"error": [str() as kind, str() as message, str() as hint]}:
                    raise _KINDS.get(kind, EngineError)(message, hint)
                case _:
                    raise EngineError("A helper process of Carryon said something nobody understands.", "Try again.")
    finally:
        child.end()
