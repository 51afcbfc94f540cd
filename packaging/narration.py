"""What setting up says while it works: sentences, one moving line a step, and errors with the next step."""

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TextIO

BEAT_S = 30.0            # a log without a terminal gets a line this often: quieter looks dead to a watching CI
TERMINAL_BEAT_S = 0.25
KEPT_LINES = 500         # of a child's output, to say why it failed: other compilers talk on after the one that failed
LONGEST_DOING = 60       # characters of what a child says it is doing

NINJA_STEP = re.compile(r"\[(\d+)/(\d+)\]\s*(.*)")           # ninja's "[12/345] Building CXX object …"
MAKE_STEP = re.compile(r"\[\s*(\d+)%\]\s*(.*)")              # make's "[ 12%] Building CXX object …"
PIP_STEP = re.compile(r"\s*((?:Collecting|Downloading|Installing|Building|Preparing|Getting)\b.*)")


class SetupFailed(Exception):
    """Something a person can understand and act on; `hint` is the next step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def text(self) -> str:
        """All that a person reads."""
        return f"{self.message}\n{self.hint}".rstrip()


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code (negative: the signal that killed it) and its last lines."""

    code: int
    lines: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return self.code == 0


@dataclass(frozen=True)
class Step:
    """Where a child says it is: `done` of `total` steps when it counts them, and what it is doing."""

    doing: str
    done: int | None = None
    total: int | None = None


def say(text: str = "") -> None:
    """Prints a line at once, also into a pipe."""
    print(text, flush=True)


def step_of(line: str) -> Step | None:
    """What an output line of pip, ninja or make says about where it is; None when it says nothing."""
    if found := NINJA_STEP.search(line):
        return Step(_object_name(found[3]), int(found[1]), int(found[2]))
    if found := MAKE_STEP.search(line):
        return Step(_object_name(found[2]), int(found[1]), 100)
    if found := PIP_STEP.match(line):
        return Step(_shortened(found[1].strip()))
    return None


def _object_name(doing: str) -> str:
    """The file `c.cpp` to a person, from `Building CXX object a/b/c.cpp.o` or a whole `g++ ... -c a/b/c.cpp`."""
    if found := re.search(r" object \S*?([^/\s]+?)\.o(?:bj)?\b|\s-c (?:\S*/)?(\S+)$", doing):
        return found[1] or found[2]
    if found := re.search(r"\s-o (?:\S*/)?(\S+)", doing):
        return f"linking {found[1]}"
    return _shortened(doing.strip())


def _shortened(text: str) -> str:
    """pip names sixty packages in one line."""
    return text if len(text) <= LONGEST_DOING else text[:LONGEST_DOING].rstrip(" ,") + " …"


def clock_text(seconds: float) -> str:
    """`75` seconds as `1:15`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def status_text(title: str, elapsed_s: float, step: Step | None) -> str:
    """The one line that shows a child is working."""
    parts = [title, clock_text(elapsed_s)]
    if step and step.done and step.total:
        parts.append(f"step {step.done} of {step.total}")    # no time left: the last files of a build are the slowest
    if step:
        parts.append(step.doing)
    return " · ".join(parts)


def run_shown(title: str, command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None,
              folder: Path | None = None, out: TextIO | None = None, beat_s: float | None = None) -> Ended:
    """Runs a child with its output in `log`, and shows on `out` that it is working: never silent for `beat_s`."""
    line = _StatusLine(title, out or sys.stdout, beat_s)
    recent: deque[str] = deque(maxlen=KEPT_LINES)
    with log.open("a", encoding="utf-8", buffering=1) as record, _child(command, environment, folder) as child:
        record.write(f"\n$ {' '.join(map(str, command))}\n")
        for text in _lines_or_beats(child, line.beat_s):
            if text is not None:
                record.write(text + "\n")
                recent.append(text)
            line.show(step_of(text) if text else None)
        ended = Ended(child.wait(), tuple(recent))
    line.close(ended)
    return ended


@contextmanager
def _child(command: Sequence[str | Path], environment: Mapping[str, str] | None,
           folder: Path | None) -> Iterator[subprocess.Popen[str]]:
    """A child in a process group of its own, which ends with us: a build starts compilers that start compilers."""
    child = subprocess.Popen(
        [str(part) for part in command], env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace", start_new_session=os.name == "posix")
    try:
        yield child
    finally:
        if child.poll() is None:
            _end_group(child)


def _end_group(child: subprocess.Popen[str]) -> None:
    if os.name != "posix":
        child.kill()
        child.wait()
        return
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _lines_or_beats(child: subprocess.Popen[str], beat_s: float) -> Iterator[str | None]:
    """The child's lines as they come, and a None each `beat_s` without one."""
    lines: queue.Queue[str | None] = queue.Queue()
    assert child.stdout is not None
    threading.Thread(target=_pump, args=(child.stdout, lines), daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=min(beat_s, 1.0))
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        yield line


def _pump(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line.rstrip("\n").rsplit("\r", 1)[-1])
    lines.put(None)


class _StatusLine:
    """One line rewritten in place on a terminal; elsewhere a new line each beat."""

    def __init__(self, title: str, out: TextIO, beat_s: float | None) -> None:
        self._title, self._out = title, out
        self._moves = out.isatty()
        self.beat_s = beat_s if beat_s is not None else (TERMINAL_BEAT_S if self._moves else BEAT_S)
        self._begun_s = time.monotonic()
        self._shown_s = self._begun_s
        self._step: Step | None = None
        self._write(title + (" …" if not self._moves else ""))

    def show(self, step: Step | None) -> None:
        """Takes news, and shows the line when it is time."""
        self._step = step or self._step
        now_s = time.monotonic()
        if now_s - self._shown_s >= self.beat_s:
            self._shown_s = now_s
            self._write(status_text(self._title, now_s - self._begun_s, self._step))

    def close(self, ended: Ended) -> None:
        """The last word on this step."""
        took = clock_text(time.monotonic() - self._begun_s)
        self._write(f"{self._title} · {'done' if ended.is_good else 'failed'} after {took}")
        if self._moves:
            self._out.write("\n")
            self._out.flush()

    def _write(self, text: str) -> None:
        text = _writable(text, self._out.encoding)
        if self._moves:
            width = shutil.get_terminal_size().columns - 1
            self._out.write(f"\r{text[:width]:<{width}}")
        else:
            self._out.write(text + "\n")
        self._out.flush()


def _writable(text: str, encoding: str | None) -> str:
    """Text that this stream can write: an old console must not end the setup with a UnicodeEncodeError."""
    name = encoding or "utf-8"
    return text.encode(name, "replace").decode(name)
