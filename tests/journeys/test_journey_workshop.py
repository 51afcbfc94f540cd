"""kill -9 of a run at random moments: it is shown, goes on, ends with the right files and leaves nothing else."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fakes.fakehub import Blob, FakeHub
from fakes.workshop_bench import GUIDE, bench_of, everything_in, folder_source, inspector_of, made, order_of

from carryon.app.workshop import Workshop
from carryon.app.workshop_list import FinishedRun, Interrupted, Source, SourceKind
from carryon.base.jobs import Runner
from carryon.gguf.header import read_header

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")]

REPO = "acme/guide"
N_KILLS = 5
# A process that works on the order until it is whole, as the window and the command do.
_WORK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from carryon.base.paths import home
from fakes.workshop_bench import bench_of, order_of
from carryon.app.workshop_list import Source, SourceKind
from carryon.app.workshop_places import id_of
from carryon.app.workshop_run import working
from carryon.base.jobs import drained
order = order_of(Source(SourceKind(sys.argv[2]), sys.argv[3]), Path(sys.argv[4]), *sys.argv[5:])
with bench_of(home()) as bench:
    id = id_of(order)
    if not any(one.id == id for one in bench.store.runs()):
        bench.store.add(id, order)
    drained(working(id, order, bench))
"""


def begin(source, folder, *quants):
    words = [str(Path(__file__).parents[1]), source.kind.value, source.place, str(folder), *quants]
    return subprocess.Popen([sys.executable, "-c", _WORK, *words], stderr=subprocess.DEVNULL)


def kill(process):
    """As the system would: the process alone; its children have to notice."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=3)
    assert not alive


def run_with_kills(source, folder, quants, chance, longest_s, n_kills=N_KILLS):
    """Kills it so many times at moments of a whole run's length, then lets it end."""
    for _ in range(n_kills):
        process = begin(source, folder, *quants)
        try:
            process.wait(chance.uniform(0.2, longest_s))
        except subprocess.TimeoutExpired:
            kill(process)
        assert {one.suffix for one in folder.glob("*")} <= {".gguf", ".json", ""}
        for whole in folder.glob("*.gguf"):
            assert read_header(whole).is_whole
    process = begin(source, folder, *quants)
    assert process.wait(120) == 0


def sums(folder):
    return {one.name: hash(one.read_bytes()) for one in folder.glob("*.gguf")}


def test_killed_at_random_moments_it_ends_with_the_same_files(carryon_home, tmp_path):
    chance = random.Random(os.environ.get("CARRYON_SEED", "workshop"))
    quants, source = ("Q8_0", "Q4_K_M"), folder_source()
    with bench_of(carryon_home) as bench:
        began_s = time.monotonic()
        made(bench, order_of(source, tmp_path / "whole", *quants))
        longest_s = time.monotonic() - began_s
    run_with_kills(source, tmp_path / "killed", quants, chance, longest_s)
    assert sums(tmp_path / "killed") == sums(tmp_path / "whole")
    assert everything_in(tmp_path / "killed") == everything_in(tmp_path / "whole")


def test_a_killed_download_goes_on_and_nothing_of_it_stays(carryon_home, tmp_path, monkeypatch):
    chance = random.Random(os.environ.get("CARRYON_SEED", "download"))
    files = {one.name: Blob(one.read_bytes(), name=one.name) for one in GUIDE.iterdir() if one.suffix != ".gguf"}
    with FakeHub() as hub:
        hub.add_repo(REPO, files)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        slow = hub.fault("slow", path="/cdn/", bps=700_000)  # the weights alone take longer than both kills together
        source = Source(SourceKind.REPOSITORY, REPO)
        for _ in range(2):
            process = begin(source, tmp_path / "out", "Q8_0")
            time.sleep(chance.uniform(2.0, 4.0))
            kill(process)
            assert not list((tmp_path / "out").glob("*.gguf"))
        hub.faults.remove(slow)
        assert begin(source, tmp_path / "out", "Q8_0").wait(120) == 0
    assert everything_in(tmp_path / "out") == ["guide-Q8_0.gguf", "guide-Q8_0.gguf.origin.json"]
    assert hub.sent_bytes("/cdn/") < 1.5 * (GUIDE / "model.safetensors").stat().st_size


def test_the_next_start_shows_what_was_interrupted(carryon_home, tmp_path):
    process = begin(folder_source(), tmp_path / "out", "Q8_0", "Q4_K_M")
    until_s = time.monotonic() + 60
    while not list(tmp_path.glob("out/.carryon/*/*.part")) and time.monotonic() < until_s:
        time.sleep(0.005)
    kill(process)
    runner = Runner(lambda call: call())
    workshop = Workshop(carryon_home, None, runner, None, inspector_of(carryon_home))
    assert [type(one.state) for one in workshop.now] == [Interrupted]
    workshop.begin()
    while list(tmp_path.glob("out/.carryon/*/*.part")):
        assert time.monotonic() < until_s
        time.sleep(0.05)
    workshop.resume(workshop.now[0].id)
    while not isinstance(workshop.now[0].state, FinishedRun):
        assert time.monotonic() < until_s + 60
        time.sleep(0.1)
    assert everything_in(tmp_path / "out") == ["guide-Q4_K_M.gguf", "guide-Q8_0.gguf"]
    assert runner.end()
    workshop.end()
