"""Starts an engine process, follows its loading, watches over it and ends it."""

import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

from carryon.base.errors import EngineError
from carryon.base.files import disk_errors
from carryon.engine.client import EngineClient
from carryon.engine.protocol import Loading, LoadRequest, Ready, Refused, decode_event, encode_request
from carryon.engine.reasons import Crash, crash, refusal

log = logging.getLogger(__name__)
WORKER = (sys.executable, "-P", "-m", "carryon.worker.serve")
HEARTBEAT_S = 0.1
GRACE_S = 1.0
LOGS_KEPT = 10
_LAST_LINES = 20


class Engine:
    """A loaded engine. It ends with `end()`, with this process, or by its own crash."""

    def __init__(self, child: "_Child", request: LoadRequest, ready: Ready) -> None:
        self._child = child
        self.request = request
        self.ready = ready
        self.client = EngineClient(request.host, ready.port, ready.token)

    @property
    def pid(self) -> int:
        return self._child.process.pid

    @property
    def log_path(self) -> Path:
        return self._child.log_path

    def crash(self, wait_s: float = 0.0) -> Crash | None:
        """The engine's death in words, or None while it lives; waits a moment for a death that is under way."""
        with suppress(subprocess.TimeoutExpired):
            self._child.process.wait(wait_s)
        return self._child.crash(was_loading=False)

    def watch(self) -> Generator[None, None, Crash | None]:
        """Work that returns when the engine is gone: its crash, or None if it was ended."""
        while self._child.is_alive:
            yield None
            time.sleep(HEARTBEAT_S)
        return self.crash()

    def end(self) -> None:
        """Ends the process and frees its memory: a polite second, then a kill."""
        self.client.was_ended = True
        self._child.end()


def start(request: LoadRequest, logs: Path, command: Sequence[str] = WORKER) -> Generator[Loading | None, None, Engine]:
    """Work that loads a model: yields Loading and heartbeats, returns the Engine; closing it ends the process.

    Raises Refusal when the engine says why it cannot, Crash when it dies.
    """
    child = _Child(command, logs)
    try:
        child.send(encode_request(request))
        while True:
            event = child.next_event()
            if isinstance(event, Ready):
                return Engine(child, request, event)
            if isinstance(event, Refused):
                log.warning("the engine refused %s: %s", request.model_path, event)
                raise refusal(event, request)
            yield event
    except BaseException:
        child.end()
        raise


class _Child:
    """The operating system's side of an engine: pipes, log file, exit code."""

    def __init__(self, command: Sequence[str], logs: Path) -> None:
        self.log_path = _new_log(logs)
        with disk_errors(self.log_path), self.log_path.open("wb") as stderr:
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
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # a child that is already dead says so by its exit code
            self.process.stdin.write(line)
            self.process.stdin.flush()

    def next_event(self) -> Loading | Ready | Refused | None:
        """The next event, None after a heartbeat's time. Raises Crash at the pipe's end."""
        try:
            line = self._lines.get(timeout=HEARTBEAT_S)
        except queue.Empty:
            return None
        if line:
            return decode_event(line)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_S)
        raise self.crash(was_loading=True) or EngineError(
            "The engine closed its pipe and lives on.", "Start Carryon again."
        )

    def crash(self, *, was_loading: bool) -> Crash | None:
        exit_code = self.process.poll()
        if exit_code is None or self._was_ended:
            return None
        return crash(exit_code, _last_lines(self.log_path), was_loading=was_loading)

    def end(self) -> None:
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


def _new_log(logs: Path) -> Path:
    """A fresh log file; only the latest few are kept."""
    with disk_errors(logs / "engine.log"):
        logs.mkdir(parents=True, exist_ok=True)
        for old in sorted(logs.glob("engine-*.log"))[: -(LOGS_KEPT - 1)]:
            old.unlink(missing_ok=True)
    return logs / f"engine-{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 10**9:09}.log"


def _last_lines(path: Path) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(path.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:])
    return ()
