"""The window's cold start to its first painted frame, and its memory before and after a model is loaded.

    python tests/benchmarks/bench_window_start.py [--rounds 7]

Seen from outside: Xvfb keeps its screen in a file, and the frame counts when the window's pixels stand there.
"""

import argparse
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from models import GUIDE

MB = 1e6
WIDTH, HEIGHT = 1400, 900
_XWD_HEADER_BYTES = 4096  # more than the header and the colour map of Xvfb's dump
_LOAD = """
import sys, time
from PySide6.QtCore import QTimer
from carryon.app.host import FailedModel, LoadedModel
from carryon.app.models import guide
from carryon.ui import application
opened = application.open_window
def and_load(app, services):
    window = opened(app, services)
    ends = {LoadedModel: "loaded", FailedModel: "failed"}
    services.host.listen(lambda state: type(state) in ends and print(ends[type(state)], flush=True))
    QTimer.singleShot(1500, lambda: services.host.load(services.host.wish_for(guide())))
    return window
application.open_window = and_load
sys.exit(application.start())
"""


@contextmanager
def screen(folder: Path) -> Iterator[tuple[str, mmap.mmap]]:
    """A display of its own, and its pixels."""
    number = 90 + os.getpid() % 100
    words = ["Xvfb", f":{number}", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-fbdir", str(folder), "-nolisten", "tcp"]
    server = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    file = folder / "Xvfb_screen0"
    try:
        while not file.exists() or file.stat().st_size < WIDTH * HEIGHT * 4:
            time.sleep(0.02)
        time.sleep(0.3)
        with file.open("rb") as opened:
            yield f":{number}", mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
    finally:
        server.terminate()
        server.wait()


def first_frame_s(
    pixels: mmap.mmap, command: list[str], environment: dict[str, str]
) -> tuple[float, subprocess.Popen[str]]:
    """Starts the window and waits until a tenth of the screen is no longer black."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    while _black_share(pixels) > 0.9:
        if time.perf_counter() - began > 30:
            raise TimeoutError("no window in 30 s")
        time.sleep(0.002)
    return time.perf_counter() - began, process


def _black_share(pixels: mmap.mmap) -> float:
    """Of 2,000 pixels spread over the screen, how many are black (the window is never pure black)."""
    positions = range(_XWD_HEADER_BYTES, WIDTH * HEIGHT * 4, WIDTH * HEIGHT * 4 // 2000 // 4 * 4)
    return sum(pixels[at : at + 3] == b"\0\0\0" for at in positions) / len(positions)


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        starts = [_start(Path(folder), index) for index in range(arguments.rounds)]
        before_mb, after_mb = _memory(Path(folder))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, guide {GUIDE.stat().st_size / MB:.1f} MB")
    print(f"first frame      median {statistics.median(starts):.2f} s, worst {max(starts):.2f} s   (target <= 1.0 s)")
    print(f"window's memory  before {before_mb:.0f} MB, with a model {after_mb:.0f} MB RSS   (target <= 160 MB)")


def _start(folder: Path, index: int) -> float:
    screen_folder = folder / f"screen-{index}"
    screen_folder.mkdir()
    with screen(screen_folder) as (display, pixels):
        seconds, process = first_frame_s(pixels, [sys.executable, "-m", "carryon"], _environment(folder, display))
        process.terminate()
        process.communicate()
    return seconds


def _memory(folder: Path) -> tuple[float, float]:
    screen_folder = folder / "screen-memory"
    screen_folder.mkdir()
    with screen(screen_folder) as (display, pixels):
        _, process = first_frame_s(pixels, [sys.executable, "-c", _LOAD], _environment(folder, display))
        window = psutil.Process(process.pid)
        time.sleep(1.2)
        before = window.memory_info().rss
        said = process.stdout.readline() if process.stdout else ""
        if said != "loaded\n":
            raise RuntimeError(f"the model was not loaded: {said!r}")
        time.sleep(2)
        after = window.memory_info().rss
        process.terminate()
        process.communicate()
    return before / MB, after / MB


def _environment(folder: Path, display: str) -> dict[str, str]:
    return {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "CARRYON_HOME": str(folder / "home")}


if __name__ == "__main__":
    main()
