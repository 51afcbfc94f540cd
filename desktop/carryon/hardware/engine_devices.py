"""Asks the engine which devices it sees, in a short-lived child: loading an engine may hang or kill its process."""

import logging
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from carryon.hardware.codec import NotUnderstood, decode_engine_devices
from carryon.hardware.machine import EngineDevices

log = logging.getLogger(__name__)

_LONGEST_LINE_BYTES = 1 << 20
_HEARTBEAT_S = 0.05
_LOGGED_BYTES = 4000
_BACKEND = re.compile(r"(?:lib)?ggml-([a-z]+)")
_WITHOUT_GPUS = {"base", "cpu", "blas", "rpc"}   # RPC: other machines, which nobody named here
_ILLEGAL_INSTRUCTION = (-signal.SIGILL, 0xC000001D)   # Windows: STATUS_ILLEGAL_INSTRUCTION

_TOO_LATE = "The engine did not say in time which devices it sees. Restart the computer and try again."
_GARBAGE = "The engine said something that is not understood. Reinstall Carryon."
_AFTER_A_CRASH = "Update the graphics driver; if that does not help, reinstall Carryon."
_WRONG_PROCESSOR = (
    "The installed engine uses instructions that this processor does not have. "
    "Reinstall Carryon with the engine built on this machine."
)


@dataclass(frozen=True)
class EngineAnswer:
    """What the engine sees, or why it did not say so; exactly one of the two is None."""

    devices: EngineDevices | None
    problem: str | None


def may_see_gpus(folder: Path | None) -> bool:
    """Whether the engine in this folder has a library for any kind of GPU; True wherever that cannot be told.

    Each of ggml's backends is a library of its own: libggml-vulkan.so, ggml-cuda.dll, libggml-metal.dylib.
    """
    names = [one.name for one in folder.iterdir()] if folder and folder.is_dir() else []
    backends = {found[1] for name in names if (found := _BACKEND.match(name))}
    return "cpu" not in backends or not backends <= _WITHOUT_GPUS


def asking_engine(command: Sequence[str], timeout_s: float) -> Generator[None, None, EngineAnswer]:
    """Long work: yields None while it waits and returns the answer; closing it ends the child."""
    try:
        with tempfile.TemporaryFile() as errors, _child(command, errors) as child:
            line = yield from _first_line(child, timeout_s)
            answer = _answer(line, child)
            if answer.problem:
                log.warning("%s Its last words: %s", answer.problem, _last_words(errors))
            return answer
    except OSError as error:
        return EngineAnswer(None, f"The engine could not be started ({error.strerror or error}). Reinstall Carryon.")


@contextmanager
def _child(command: Sequence[str], errors: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """A child that is gone, with whatever it started itself, when the block is left."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=os.name != "nt",   # a crashing ggml starts a debugger, which must end as well
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    try:
        yield child
    finally:
        _end(child)


def _first_line(child: "subprocess.Popen[bytes]", timeout_s: float) -> Generator[None, None, bytes | None]:
    """The first line the child prints, empty when it prints none; None when the time is over."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_line, args=(child.stdout, lines), daemon=True).start()
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        with suppress(queue.Empty):
            return lines.get(timeout=_HEARTBEAT_S)
        yield None
    return None


def _read_line(stdout: IO[bytes], lines: "queue.SimpleQueue[bytes]") -> None:
    """Closes the pipe itself: a stranger who holds its other end may keep this thread waiting, but nobody else."""
    with stdout:
        lines.put(stdout.readline(_LONGEST_LINE_BYTES))


def _answer(line: bytes | None, child: "subprocess.Popen[bytes]") -> EngineAnswer:
    if line is None:
        return EngineAnswer(None, _TOO_LATE)
    if not line.strip():
        return EngineAnswer(None, _why_it_ended(child))
    try:
        return EngineAnswer(decode_engine_devices(line), None)
    except NotUnderstood:
        return EngineAnswer(None, _GARBAGE)


def _why_it_ended(child: "subprocess.Popen[bytes]") -> str:
    try:
        code = child.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return _GARBAGE
    if code in _ILLEGAL_INSTRUCTION:
        return _WRONG_PROCESSOR
    if code < 0 or code > 0xC0000000:   # a signal, or an exception on Windows
        return f"The engine crashed while it looked for devices ({_ending(code)}). {_AFTER_A_CRASH}"
    return f"The engine cannot be loaded ({_ending(code)}). Reinstall Carryon; the log in Settings has the details."


def _ending(code: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"exit code {code}"


def _end(child: "subprocess.Popen[bytes]") -> None:
    with suppress(OSError):
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=5)


def _last_words(errors: IO[bytes]) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _LOGGED_BYTES))
    return errors.read().decode(errors="replace").strip() or "none"
