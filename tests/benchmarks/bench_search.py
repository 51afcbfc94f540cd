"""From the Hub's reply to the first painted row on the Discover page, and how long the event loop stood still for it.

    python tests/benchmarks/bench_search.py [--rounds 30]

The goal is 100 ms. The Hub is a process of its own on this machine, so it does not share our interpreter. It notes when
it has sent the last byte; what is painted is the list with the models of that very answer. Clocks of both processes are
the same one (CLOCK_MONOTONIC). Without a machine nothing is judged, with one the badges follow after the rows.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fakes import machines

from carryon.app.services import build
from carryon.base.paths import Home
from carryon.base.settings import Theme
from carryon.hub.search import SearchWish
from carryon.ui import theme
from carryon.ui.application import make_application
from carryon.ui.bridge import MainThread
from carryon.ui.discover.page import DiscoverPage
from carryon.ui.discover.results import LineDelegate

GOAL_MS = 100
MODELS_EACH = 40
SIZE = (1196, 820)
TOLD = {"tags": ["gguf", "license:apache-2.0"], "gguf": {"total": 8_190_735_360, "architecture": "qwen3"}}


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    hub = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    hub.start()
    os.environ["HF_ENDPOINT"] = ours.recv()
    app = make_application()
    theme.apply(app, Theme.LIGHT, 100)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"milliseconds from the reply to the first painted row, median, 95 %, worst; goal {GOAL_MS}")
    with tempfile.TemporaryDirectory() as folder:
        for name, machine in (("rows alone", None), ("rows and badges", machines.WITH_GPU)):
            painted_ms, gaps_ms = measured(app, Path(folder) / name, machine, ours, rounds)
            print(f"{name:16} painted {text(painted_ms)}   event loop stood still {text(gaps_ms)}")
    ours.send("end")
    hub.join(5)


def serve(pipe) -> None:
    """The Hub's process: answers searches, and tells when the last one was sent."""
    from fakes.fakehub import FakeHub
    from fakes.hub_answers import AnsweringHub

    sent = [0.0]
    plain = AnsweringHub.json

    def timed(self, found, headers=None):
        plain(self, found, headers)
        sent[0] = time.monotonic()

    AnsweringHub.json = timed
    with FakeHub() as hub:
        for owner in ("even", "odd"):
            for number in range(MODELS_EACH):
                hub.add_repo(f"{owner}/model-{number:02}-GGUF", {}, downloads=number, **TOLD)
        pipe.send(hub.url)
        while pipe.recv() != "end":
            pipe.send(sent[0])


class FirstRow(LineDelegate):
    """When the first row of a model of this owner was painted."""

    owner, at_s = "", None

    def wait_for(self, owner: str) -> None:
        self.owner, self.at_s = owner, None

    def paint(self, painter, option, index) -> None:
        super().paint(painter, option, index)
        if self.at_s is None and index.model().lines[index.row()].found.owner == self.owner:
            self.at_s = time.monotonic()


def measured(app, folder: Path, machine, pipe, rounds: int) -> tuple[list[float], list[float]]:
    """Searches for two owners in turn."""
    bridge = MainThread()
    services = build(Home(folder), bridge.post)
    page = DiscoverPage(services)
    page.resize(*SIZE)
    page.show()
    if machine:
        page.set_machine(machine)
    page.refresh()
    settle(app, 0.5)
    paint, painted_ms, gaps_ms = FirstRow(page._list.results), [], []
    page._list.results.setItemDelegate(paint)
    for number in range(rounds):
        owner = ("even", "odd")[number % 2]
        paint.wait_for(owner)
        page.searching.search(SearchWish(author=owner))
        gap = until(app, lambda: bool(paint.at_s))
        pipe.send("when")
        painted_ms.append(1000 * (paint.at_s - pipe.recv()))
        gaps_ms.append(1000 * max(gap, settle(app, 0.3)))
    page.close()
    bridge.close()
    services.end()
    return painted_ms, gaps_ms


def until(app, is_so) -> float:
    """Runs the event loop until it is so; returns its longest round."""
    longest = 0.0
    while not is_so():
        began_s = time.perf_counter()
        app.processEvents()
        longest = max(longest, time.perf_counter() - began_s)
        time.sleep(0.0005)
    return longest


def settle(app, wait_s: float) -> float:
    """The same for some time."""
    end_s = time.monotonic() + wait_s
    return until(app, lambda: time.monotonic() > end_s)


def text(values: list[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{statistics.median(ordered):6.1f} {p95:6.1f} {ordered[-1]:6.1f}"


if __name__ == "__main__":
    main()
