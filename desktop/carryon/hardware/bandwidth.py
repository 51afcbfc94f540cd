"""Measures how fast the RAM is read, in a short-lived child: the window never holds the 256 MB, nor numpy, for it.

Run as a program (`python -m carryon.hardware.bandwidth`) it prints one line of JSON: {"bytes_per_s": 38e9}, or null
where the passes do not agree or the machine has no memory to spare. Reading is what an engine does; STREAM would copy.
"""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import Any

import psutil

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "carryon.hardware.bandwidth")
BLOCK_BYTES = 256 << 20  # far more than a desktop's caches hold
_LEAST_AVAILABLE_BYTES = 1 << 30  # a probe must not make a full machine swap
_PROBE_S, _FEWEST_PASSES, _MOST_PASSES = 0.3, 5, 40
_AGREEING, _SPREAD = 3, 0.20  # so many of the fastest passes must lie within so much of each other
_TIMEOUT_S, _HEARTBEAT_S = 20.0, 0.05


def measuring_bandwidth(command: Sequence[str] = COMMAND) -> Generator[None, None, float | None]:
    """Long work: bytes per second that all cores together read from RAM; None where it could not be told.

    Yields None while it waits; closing it ends the child.
    """
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError:
        log.warning("the bandwidth probe could not be started", exc_info=True)
        return None
    try:
        yield from _waiting(child)
        return _answer(child)
    finally:
        _end(child)


def trusted(passes_s: Sequence[float], block_bytes: int) -> float | None:
    """The speed of the fastest pass in bytes/s; None where the fastest ones disagree, because others compute too."""
    fastest = sorted(passes_s)[:_AGREEING]
    if len(fastest) < _AGREEING or fastest[-1] > fastest[0] * (1 + _SPREAD):
        return None
    return block_bytes / fastest[0]


def main() -> None:
    """Measures and prints."""
    has_room = psutil.virtual_memory().available >= _LEAST_AVAILABLE_BYTES
    print(json.dumps({"bytes_per_s": _measured() if has_room else None}), flush=True)


def _measured() -> float | None:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    n_threads = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    slices = np.array_split(np.ones(BLOCK_BYTES // 8), n_threads)
    with ThreadPoolExecutor(n_threads) as pool:
        return trusted(_passes(lambda: sum(pool.map(np.max, slices))), BLOCK_BYTES)  # numpy reduces without the GIL


def _passes(read: Callable[[], Any]) -> list[float]:
    read()  # wakes the threads and the cores' clocks
    seconds: list[float] = []
    while len(seconds) < _FEWEST_PASSES or (sum(seconds) < _PROBE_S and len(seconds) < _MOST_PASSES):
        start = time.perf_counter()
        read()
        seconds.append(time.perf_counter() - start)
    return seconds


def _waiting(child: "subprocess.Popen[bytes]") -> Generator[None, None, None]:
    end_s = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < end_s:
        with suppress(subprocess.TimeoutExpired):
            child.wait(_HEARTBEAT_S)
            return
        yield None


def _answer(child: "subprocess.Popen[bytes]") -> float | None:
    if child.poll() != 0 or child.stdout is None:
        log.warning("the bandwidth probe ended with %s", child.returncode)
        return None
    try:
        found = json.loads(child.stdout.read(4096))["bytes_per_s"]
    except (ValueError, KeyError, TypeError):
        return None
    return float(found) if isinstance(found, int | float) and found > 0 else None


def _end(child: "subprocess.Popen[bytes]") -> None:
    with suppress(OSError):
        child.kill()
    with suppress(subprocess.TimeoutExpired):
        child.wait(5)
    if child.stdout is not None:
        child.stdout.close()


if __name__ == "__main__":
    main()
