"""What llama.cpp says: passed on to stderr, and kept, because failures are explained only there."""

import re
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from carryon.worker.capi import L, LogCallback

_KEPT_LINES = 4000  # a load of a large model says about 1000


class Level(IntEnum):
    """ggml_log_level of ggml.h (the bindings' own table is off by one)."""

    NONE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4
    CONTINUED = 5


@dataclass(frozen=True)
class Line:
    """One whole line of the log, without its end."""

    level: Level
    text: str


class EngineLog:
    """Receives every line that the engine logs, from whatever thread."""

    def __init__(self, also: re.Pattern[str] | None = None) -> None:
        """`also` says which lines for llama.cpp's own people are kept as well; there are thousands of them."""
        self._also = also
        self.lines: deque[Line] = deque(maxlen=_KEPT_LINES)
        self._level = Level.INFO
        self._partial = ""
        self._callback = LogCallback(self._hear)  # must outlive every call of the engine

    def attach(self) -> None:
        """From here on the engine's lines come here instead of to its own printing."""
        L.llama_log_set(self._callback, None)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is logged meanwhile is not kept: it is about something else."""
        kept = list(self.lines)
        yield
        self.lines.clear()
        self.lines.extend(kept)

    def errors(self) -> list[str]:
        """The lines at level ERROR, oldest first."""
        return [line.text for line in self.lines if line.level is Level.ERROR]

    def texts(self) -> list[str]:
        """Every kept line, oldest first."""
        return [line.text for line in self.lines]

    def _hear(self, level: int, text: bytes | None, _user_data: Any) -> None:
        try:  # an exception must never travel into C
            self._add(Level(level), (text or b"").decode("utf-8", "replace"))
        except Exception:
            return

    def _add(self, level: Level, text: str) -> None:
        if level is not Level.CONTINUED:
            self._level = level
        *whole, self._partial = (self._partial + text).split("\n")
        for one in whole:
            self._keep(Line(self._level, one))

    def _keep(self, line: Line) -> None:
        if line.level >= Level.INFO or (self._also and self._also.search(line.text)):
            self.lines.append(line)
        if line.level >= Level.INFO:
            sys.stderr.write(line.text + "\n")
            sys.stderr.flush()
