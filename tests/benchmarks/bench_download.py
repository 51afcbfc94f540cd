"""How fast a model of 2 GB comes from a Hub on this machine, and in how much memory: ours against curl, in turns.

    python tests/benchmarks/bench_download.py [--rounds 5] [--size-mb 2000] [--links 0 125] [--folder DIR]

The hub is a process of its own (tests/fakes/fakehub.py). Link 0 is loopback as fast as it goes: the kernel sends the
file, and what is measured is the client. Link 125 is a line of 1 Gbit/s that all connections share. Ours sums what it
receives (sha256) and syncs it to the disk; curl does neither, so there is a third line: curl, and then the sum.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes import fakehub

from carryon.base.jobs import drained
from carryon.hub.connection import connected
from carryon.hub.fetching.download import N_CONNECTIONS, Fetch, downloading
from carryon.hub.fetching.source import Located, locate
from carryon.hub.repo import RepoFile
from carryon.hub.site import Site

GOAL_SHARE, GOAL_GROWTH_MB = 0.95, 60.0
REPO_ID, NAME = "acme/tiny-GGUF", "tiny-Q4_K_M.gguf"


@contextmanager
def hub_of(model, link_mb_per_s):
    """A hub in a process of its own that serves this file; its site and commit."""
    command = [sys.executable, fakehub.__file__, "--file", str(model)]
    command += ["--link-mb-per-s", str(link_mb_per_s)] if link_mb_per_s else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        words = process.stdout.readline().split()
        yield Site(words[1].partition("=")[2]), words[-1]
        process.stdin.close()


def curl_s(located: Located, target: Path) -> float:
    began_s = time.perf_counter()
    subprocess.run(["curl", "-sS", "-o", str(target), located.url], check=True)
    return time.perf_counter() - began_s


def curl_and_sum_s(located: Located, target: Path) -> float:
    took_s, began_s = curl_s(located, target), time.perf_counter()
    with target.open("rb") as file:
        digits = hashlib.file_digest(file, "sha256").hexdigest()
    assert located.identity.sum == f"sha256:{digits}"
    return took_s + time.perf_counter() - began_s


def ours(fetch: Fetch, n_connections: int) -> tuple[float, float]:
    """Seconds and MB of growth, of a process of its own."""
    told = [fetch.site.endpoint, fetch.commit, str(fetch.file.size_bytes), fetch.file.sha256, str(fetch.target)]
    command = [sys.executable, __file__, "--child", *told, str(n_connections)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    took_s, growth_mb = json.loads(said)
    return took_s, growth_mb


def child(endpoint: str, commit: str, size_bytes: str, sha256: str, target: str, n_connections: str) -> None:
    fetch = Fetch(Site(endpoint), REPO_ID, commit, RepoFile(NAME, int(size_bytes), sha256), Path(target))
    before_kb = resident_kb()
    began_s = time.perf_counter()
    drained(downloading(fetch, n_connections=int(n_connections)))
    took_s = time.perf_counter() - began_s
    print(json.dumps([took_s, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1000]))


def resident_kb() -> int:
    """Now, not at most: what was loaded before is no growth."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.read_text().partition("VmRSS:")[2].split()[0])


def bench(folder: Path, model: Path, link: float, options: argparse.Namespace) -> bool:
    """One link: rounds in turns, medians printed. Whether both goals are met."""
    times: dict[str, list[float]] = {"curl": [], "curl, then the sum": [], "ours": []}
    growths = []
    size_mb = model.stat().st_size / 1e6
    with hub_of(model, link) as (site, commit), connected(site) as connection:
        file = RepoFile(NAME, model.stat().st_size)
        located = locate(connection, site, REPO_ID, commit, file)
        fetch = Fetch(site, REPO_ID, commit, RepoFile(NAME, file.size_bytes, located.identity.etag), folder / NAME)
        for _ in range(options.rounds):
            times["curl"].append(quietly(folder, lambda: curl_s(located, folder / "curl.bin")))
            took_s, growth_mb = quietly(folder, lambda: ours(fetch, options.connections))
            times["ours"].append(took_s)
            growths.append(growth_mb)
            times["curl, then the sum"].append(quietly(folder, lambda: curl_and_sum_s(located, folder / "curl.bin")))
    return report(f"link of {link:.0f} MB/s" if link else "loopback, no limit", times, growths, size_mb)


def quietly(folder: Path, call):
    """The call on an empty folder and a disk that has nothing left to write."""
    for one in folder.iterdir():
        one.unlink()
    os.sync()
    return call()


def report(link: str, times: dict[str, list[float]], growths: list[float], size_mb: float) -> bool:
    print(f"\n{link}: {size_mb:,.0f} MB, median of {len(growths)} rounds (slowest to fastest)")
    speeds = {name: sorted(size_mb / took_s for took_s in took) for name, took in times.items()}
    for name, found in speeds.items():
        print(f"  {name:22} {statistics.median(found):7.0f} MB/s   ({found[0]:.0f} to {found[-1]:.0f})")
    share = statistics.median(speeds["ours"]) / statistics.median(speeds["curl"])
    fair = statistics.median(speeds["ours"]) / statistics.median(speeds["curl, then the sum"])
    is_fast, is_lean = share >= GOAL_SHARE, max(growths) <= GOAL_GROWTH_MB
    verdict = "met" if is_fast else "MISSED"
    print(f"  ours / curl {share:.2f}, goal >= {GOAL_SHARE}: {verdict}; ours / curl with the sum {fair:.2f}")
    verdict = "met" if is_lean else "MISSED"
    print(f"  growth of memory {max(growths):.0f} MB, goal <= {GOAL_GROWTH_MB:.0f} MB: {verdict}")
    return is_fast and is_lean


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size-mb", type=int, default=2000)
    parser.add_argument("--links", type=float, nargs="*", default=[0, 125, 300], help="MB/s; 0 is no limit")
    parser.add_argument("--connections", type=int, default=N_CONNECTIONS)
    parser.add_argument("--folder", type=Path, help="on which disk; a temporary folder by itself")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}, {options.connections} connections")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        model, folder = Path(name) / "model.gguf", Path(name) / "here"
        folder.mkdir()
        with model.open("wb") as file:
            for _ in range(options.size_mb // 10):
                file.write(random.randbytes(10_000_000))
        met = [bench(folder, model, link, options) for link in options.links]
    return 0 if all(met) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        sys.exit(main())
