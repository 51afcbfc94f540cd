"""Starts an engine process, follows its loading, watches over it and ends it."""

import logging
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

from carryon.base.files import disk_errors
from carryon.engine.child import HEARTBEAT_S, Child
from carryon.engine.client import EngineClient
from carryon.engine.protocol import Loading, LoadRequest, Ready, Refused, decode_event, encode_request
from carryon.engine.reasons import Crash, Doing, refusal

log = logging.getLogger(__name__)
WORKER = (sys.executable, "-P", "-m", "carryon.worker.serve")
LOGS_KEPT = 10


class Engine:
    """A loaded engine. It ends with `end()`, with this process, or by its own crash."""

    def __init__(self, child: Child, request: LoadRequest, ready: Ready) -> None:
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
        return self._child.crash(Doing.WORKING)

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
    child = Child(command, _new_log(logs), Doing.LOADING)
    try:
        child.send(encode_request(request))
        while True:
            line = child.next_line()
            event = decode_event(line) if line else None
            if isinstance(event, Ready):
                return Engine(child, request, event)
            if isinstance(event, Refused):
                log.warning("the engine refused %s: %s", request.model_path, event)
                raise refusal(event, request)
            yield event
    except BaseException:
        child.end()
        raise


def _new_log(logs: Path) -> Path:
    """A fresh log file; only the latest few are kept."""
    with disk_errors(logs / "engine.log"):
        logs.mkdir(parents=True, exist_ok=True)
        for old in sorted(logs.glob("engine-*.log"))[: -(LOGS_KEPT - 1)]:
            old.unlink(missing_ok=True)
    return logs / f"engine-{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 10**9:09}.log"
