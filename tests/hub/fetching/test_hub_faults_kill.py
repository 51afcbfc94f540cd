"""A process that dies, a disk that fills, two processes at one file: the disk is right, or can be gone on with."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from fakes.downloads import MIB, QUICK, Trial
from fakes.fakehub import FakeHub
from fakes.one_download import command

from carryon.base.errors import NoRoom
from carryon.hub.fetching.download import StartedOver, part_bytes

KILLS = 10


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


def started(trial, **options):
    return subprocess.Popen(command(trial, QUICK, **options), stdout=subprocess.PIPE, text=True)


def wait_for(process, word):
    """Reads what the process says until it says this word; everything it said."""
    said = []
    for line in process.stdout:
        said.append(line)
        if word in line:
            break
    return "".join(said)


@pytest.mark.slow
def test_killed_at_ten_random_moments_it_goes_on_each_time(hub, tmp_path):
    trial, chance = Trial(hub, tmp_path, 48 * MIB), random.Random(11)
    hub.fault("slow", "/cdn/", bps=MIB)  # of each connection
    for _ in range(KILLS):
        process = started(trial)
        wait_for(process, "Progress")
        time.sleep(chance.uniform(0.05, 0.6))
        process.kill()
        process.wait()
        assert trial.is_absent
    hub.faults.clear()
    trial.run()
    assert trial.is_exact
    assert not trial.told(StartedOver)
    assert trial.sent_twice < 0.05 * KILLS  # 5 % for each


@pytest.mark.slow
def test_a_kill_while_the_whole_is_renamed_leaves_the_old_or_the_new(hub, tmp_path):
    trial, chance = Trial(hub, tmp_path, 4 * MIB), random.Random(12)
    for _ in range(8):
        process = started(trial)
        wait_for(process, f"done={4 * MIB}")
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.wait()
        if trial.target.exists():
            assert hashlib.sha256(trial.target.read_bytes()).hexdigest() == trial.blob.sha256
            trial.target.unlink()
    trial.run()
    assert trial.is_exact


@pytest.mark.slow
def test_of_two_processes_one_downloads_and_both_end_well(hub, tmp_path):
    trial = Trial(hub, tmp_path, 8 * MIB)
    hub.fault("slow", "/cdn/", bps=2 * MIB)
    both = [started(trial) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].splitlines()[-1] for process in both] == ["done"] * 2
    assert trial.is_exact
    assert trial.sent_bytes == trial.blob.size


@pytest.mark.slow
def test_a_process_that_dies_leaves_no_lock(hub, tmp_path):
    trial = Trial(hub, tmp_path, 8 * MIB)
    slow = hub.fault("slow", "/cdn/", bps=MIB)
    first = started(trial)
    wait_for(first, "Progress")
    second = started(trial)
    time.sleep(0.5)
    first.send_signal(signal.SIGKILL)
    first.wait()
    slow.times = 0
    assert second.communicate(timeout=60)[0].splitlines()[-1] == "done"
    assert trial.is_exact


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limits of this kind on Windows")
def test_a_quota_is_said_before_bytes_come(hub, tmp_path):
    trial = Trial(hub, tmp_path, 8 * MIB)
    said = started(trial, largest_file_bytes=4 * MIB).communicate(timeout=60)[0].splitlines()[-1]
    assert "error: NoRoom" in said
    assert "takes no file of 8.4 MB" in said
    assert trial.is_absent
    trial.run()
    assert trial.is_exact


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 12 MiB; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={12 * MIB}", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no disk can be made here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_too_small_is_said_at_once_with_what_is_missing(hub, small_disk):
    trial = Trial(hub, small_disk, 16 * MIB)
    with pytest.raises(NoRoom, match=r"4\.2 MB more are needed"):
        trial.run()
    assert not hub.requests("/cdn/")


def test_a_disk_that_somebody_else_fills_midway_keeps_the_part(hub, small_disk):
    trial = Trial(hub, small_disk, 8 * MIB)
    hub.fault("slow", "/cdn/", bps=2 * MIB)
    hog = small_disk / "hog"
    with pytest.raises(NoRoom, match=r"more are needed") as caught:
        trial.run(on_news=lambda news: fill(hog) if getattr(news, "done", 0) >= 2 * MIB else None)
    assert "what is here stays" in caught.value.hint
    assert trial.is_kept
    assert part_bytes(trial.target) >= 1 * MIB
    hog.unlink()
    hub.faults.clear()
    trial.run()
    assert trial.is_exact
    assert trial.sent_twice < 0.5


def fill(hog):
    if not hog.exists():
        hog.write_bytes(bytes(6 * MIB))


def test_a_folder_that_may_not_be_written_is_said(hub, tmp_path):
    trial = Trial(hub, tmp_path, MIB)
    (tmp_path / "file").write_bytes(b"x")
    trial.fetch = replace(trial.fetch, target=tmp_path / "file" / "m.gguf")
    with pytest.raises(Exception, match=r"cannot be used|is not there"):
        trial.run()


def test_the_disk_holds_what_the_record_says(hub, tmp_path):
    """After a pause at any moment every byte that counts as here is the right one."""
    trial = Trial(hub, tmp_path)
    hub.fault("slow", "/cdn/", bps=4 * MIB)
    for done_bytes in (1, 3 * MIB, 7 * MIB, 11 * MIB):
        trial.run_until(done_bytes)
        check_record(trial)


def check_record(trial):
    from carryon.hub.fetching.sidecar import kept

    with (trial.target.parent / "m.gguf.part").open("rb") as part:
        for start, end in kept(trial.target).done:
            assert os.pread(part.fileno(), end - start, start) == bytes(trial.blob.read(start, end - start))
