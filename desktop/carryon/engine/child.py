"""The operating system's side of an engine process: its pipes, its log file, its end."""

import os
import queue
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from carryon.base.errors import EngineError
from carryon.base.files import disk_errors
from carryon.engine.reasons import Crash, Doing, crash

HEARTBEAT_S = 0.1
GRACE_S = 1.0
_LAST_LINES = 20


class Child:
    """A process that answers lines with lines. It dies alone and never outlives us: its stdin ends with us."""

    def __init__(self, command: Sequence[str], log_path: Path, doing: Doing) -> None:
        """Raises NoRoom or BadFile when the log cannot be written."""
        self.log_path = log_path
        self._doing = doing
        with disk_errors(log_path), log_path.open("wb") as stderr:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONUTF8": "1"},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        self._was_ended = False
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"engine-{self.process.pid}", daemon=True)
        self._reader.start()

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def send(self, line: bytes) -> None:
        """A child that is already dead says so by its exit code."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(line)
            self.process.stdin.flush()

    def next_line(self) -> bytes | None:
        """The next line, None after a heartbeat's time. Raises Crash at the pipe's end."""
        try:
            line = self._lines.get(timeout=HEARTBEAT_S)
        except queue.Empty:
            return None
        if line:
            return line
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_S)
        raise self.crash(self._doing) or EngineError(
            "The engine closed its pipe and lives on.", "Start Carryon again."
        )

    def crash(self, doing: Doing) -> Crash | None:
        """Its death in words; None while it lives, or if we ended it."""
        exit_code = self.process.poll()
        if exit_code is None or self._was_ended:
            return None
        return crash(exit_code, _last_lines(self.log_path), doing)

    def end(self) -> None:
        """A polite second, then a kill."""
        self._was_ended = True
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(GRACE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(b"")


def _last_lines(path: Path) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(path.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:])
    return ()
