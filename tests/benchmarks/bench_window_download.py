"""How smooth the window stays while a model comes from the Hub: gaps of the event loop as a table. Run by hand.

    python tests/benchmarks/bench_window_download.py [--seconds 15] [--links 0 125]

The real window with the real queue, and a hub in a process of its own. A timer of 1 ms on the main thread notes when it
is served; the time between two notes is a gap. The goal is a 99th percentile of at most 16 ms. Link 0 is loopback
without limit: every core of a small machine is busy then.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_download import NAME, REPO_ID, hub_of
from bench_window_stream import GOAL_MS, measure, wait
from PySide6.QtWidgets import QApplication

from carryon.app.download_list import DownloadWish
from carryon.app.services import build
from carryon.base.paths import Home
from carryon.base.settings import Theme
from carryon.hub.connection import connected
from carryon.hub.fetching.source import locate
from carryon.hub.repo import RepoFile
from carryon.ui import theme
from carryon.ui.bridge import MainThread


def main():
    options = _options()
    app = QApplication([])
    app.setStyle("Fusion")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        model = Path(name) / "model.gguf"
        with model.open("wb") as file:
            for _ in range(options.size_mb // 10):
                file.write(random.randbytes(10_000_000))
        print(f"platform {app.platformName()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}")
        print("link            MB/s   CPU    p50    p90    p99  p99.9    max   over 16 ms")
        report("nothing to do", *idle(app, Path(name) / "idle", options.seconds))
        met = [bench(app, Path(name), model, link, options.seconds) for link in options.links]
    return 0 if all(met) else 1


def idle(app, home, seconds):
    """What this machine makes of a window that does nothing."""
    services, window = opened(app, home)
    try:
        return gaps_of(app, seconds, lambda: 0)
    finally:
        window.close()
        services.end()


def bench(app, folder, model, link, seconds):
    """One link; whether the goal is met."""
    home = folder / f"home-{link:.0f}"
    with hub_of(model, link) as (site, commit):
        with connected(site) as connection:
            located = locate(connection, site, REPO_ID, commit, RepoFile(NAME, model.stat().st_size))
        services, window = opened(app, home, site.endpoint)
        try:
            file = RepoFile(NAME, located.identity.size_bytes, located.identity.etag)
            place = folder / f"models-{link:.0f}"
            services.downloads.add(DownloadWish(REPO_ID, commit, "A model", (file,), place))
            wait(app, lambda: done_bytes(services) > 0)
            found = gaps_of(app, seconds, lambda: done_bytes(services))
        finally:
            window.close()
            services.end()
    return report(f"{link:.0f} MB/s" if link else "no limit", *found)


def opened(app, home, endpoint=""):
    """The services and the window of a home that was welcomed before."""
    posting = MainThread()
    services = build(Home(home), posting.post)
    services.settings.change(lambda now: replace(now, was_welcomed=True, hub_mirror=endpoint))
    theme.apply(app, Theme.LIGHT, 100)
    from carryon.ui.window import Window

    window = Window(services)
    window.begin()
    window.resize(1180, 780)
    window.show()
    wait(app, lambda: False, 1.5)
    return services, window


def done_bytes(services):
    return sum(one.done_bytes for one in services.downloads.now)


def gaps_of(app, seconds, done):
    """Sorted gaps, MB a second and the share of a core, of so many seconds or until the file is whole."""
    before, began_s, began_cpu_s = done(), time.monotonic(), time.process_time()
    gaps = measure(app, seconds)
    took_s = time.monotonic() - began_s
    return gaps, (done() - before) / took_s / 1e6, (time.process_time() - began_cpu_s) / took_s


def report(name, gaps, mb_per_s, cpu_share):
    def at(share):
        return gaps[min(len(gaps) - 1, int(len(gaps) * share))]

    late = sum(gap > GOAL_MS for gap in gaps)
    row = f"{at(0.5):7.1f}{at(0.9):7.1f}{at(0.99):7.1f}{at(0.999):7.1f}{gaps[-1]:7.1f}   {late} of {len(gaps)}"
    print(f"{name:14}{mb_per_s:6.0f}{cpu_share:6.0%}{row}   {'met' if at(0.99) <= GOAL_MS else 'MISSED'}", flush=True)
    return at(0.99) <= GOAL_MS


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--size-mb", type=int, default=8000)
    parser.add_argument("--links", type=float, nargs="*", default=[125, 0], help="MB/s; 0 is no limit")
    parser.add_argument("--folder", type=Path, help="on which disk; a temporary folder by itself")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
