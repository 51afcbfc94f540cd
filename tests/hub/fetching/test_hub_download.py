"""A file of the Hub arrives whole or not at all, is gone on with after a pause, and never leaves its folder."""

import hashlib
import os
import threading
import time

import pytest
from fakes.downloads import MIB, QUICK, Trial
from fakes.fakehub import Blob, FakeHub

from carryon.base.errors import BadFile, NoRoom
from carryon.base.jobs import Progress
from carryon.hub.fetching.download import (
    Bandwidth,
    Checking,
    StartedOver,
    discard,
    downloading,
    part_bytes,
    part_file,
    room_missing,
    sidecar_file,
)
from carryon.hub.origin import Origin, origin_file, read_origin


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def trial(hub, tmp_path):
    return Trial(hub, tmp_path)


def threads():
    return [one for one in threading.enumerate() if one.name.startswith("download-")]


def test_a_file_arrives_whole_and_nothing_is_left_beside_it(trial):
    assert trial.run() == trial.target
    assert trial.is_exact
    assert trial.told(Progress)[-1] == Progress(trial.blob.size, trial.blob.size)
    assert not threads()


def test_it_is_asked_for_once_in_pieces_over_several_connections(trial):
    trial.run()
    assert len(trial.hub.requests("/resolve/")) == 1
    assert trial.sent_bytes == trial.blob.size
    assert len(trial.hub.requests("/cdn/")) == 16


def test_its_origin_is_written(trial):
    trial.run()
    told = Origin("acme/tiny-GGUF", "m.gguf", trial.fetch.commit, trial.blob.sha256, trial.blob.size)
    assert read_origin(trial.target) == told


@pytest.mark.parametrize("size_bytes", [1, 1000, MIB, MIB + 1, 3 * MIB - 1])
def test_sizes_of_every_kind(hub, tmp_path, size_bytes):
    trial = Trial(hub, tmp_path, size_bytes)
    trial.run()
    assert trial.is_exact


@pytest.mark.parametrize("content", [b"", b"# hello\n", b"x" * 100_000])
def test_small_files_come_from_the_hub_itself_and_are_checked_by_their_git_hash(hub, tmp_path, content):
    trial = Trial(hub, tmp_path, path="README.md", content=content)
    trial.run()
    assert trial.target.read_bytes() == content
    assert not trial.hub.requests(side="cdn")
    assert read_origin(trial.target).sha256 is None


def test_a_small_file_with_a_wrong_byte_is_mended(hub, tmp_path):
    trial = Trial(hub, tmp_path, path="README.md", content=b"x" * 100)
    hub.fault("corrupt", "/resolve/", "GET", times=1, at=50)
    trial.run()
    assert trial.is_exact
    assert trial.told(Checking)


def test_a_file_in_a_folder_of_the_repository(hub, tmp_path):
    trial = Trial(hub, tmp_path, MIB, path="a/b/m.gguf")
    trial.run()
    assert trial.is_exact
    assert trial.target == tmp_path / "a/b/m.gguf"


def test_a_file_that_is_here_is_not_fetched_again(trial):
    trial.run()
    trial.hub.clear()
    trial.run()
    assert not trial.hub.log


def test_a_file_without_origin_is_known_by_its_sum(trial):
    trial.run()
    origin_file(trial.target).unlink()
    trial.hub.clear()
    trial.run()
    assert not trial.hub.log
    assert trial.told(Checking)
    assert read_origin(trial.target).sha256 == trial.blob.sha256


def test_another_file_of_that_name_is_replaced_only_by_the_whole_new_one(trial):
    trial.target.write_bytes(b"old" * 1000)
    trial.run_until(4 * MIB)
    assert trial.target.read_bytes() == b"old" * 1000
    trial.run()
    assert trial.is_exact


# ---- pause and go on


def test_a_pause_keeps_what_is_here_and_going_on_fetches_the_rest_only(trial):
    slow = trial.hub.fault("slow", "/cdn/", bps=2 * MIB)
    trial.run_until(8 * MIB)
    assert trial.is_kept
    assert part_bytes(trial.target) >= 8 * MIB
    slow.times = 0
    trial.run()
    assert trial.is_exact
    assert trial.sent_twice < 0.05


def test_a_pause_stops_the_bytes_at_once(trial):
    trial.hub.fault("slow", "/cdn/", bps=2 * MIB)
    work = trial.work()
    while not isinstance(next(work), Progress):
        pass
    began_s = time.monotonic()
    work.close()
    assert time.monotonic() - began_s < 0.25
    assert not threads()
    time.sleep(0.15)  # the hub writes into the void once before it sees
    sent_bytes = trial.sent_bytes
    time.sleep(0.2)
    assert trial.sent_bytes == sent_bytes


def test_it_never_blocks_between_two_yields(trial):
    trial.hub.fault("slow", "/cdn/", bps=8 * MIB)
    trial.hub.fault("stall", "/cdn/", times=2, after=100_000, seconds=2)
    gaps, before_s = [], time.monotonic()
    for _ in trial.work():
        gaps.append(time.monotonic() - before_s)
        before_s = time.monotonic()
    assert max(gaps) < 0.4  # 0.2 s and what a busy machine adds
    assert trial.is_exact


def test_what_was_here_before_is_read_once_and_counts(trial):
    trial.hub.fault("slow", "/cdn/", times=4, bps=4 * MIB)
    trial.run_until(3 * MIB)
    done_bytes = part_bytes(trial.target)
    trial.run()
    assert trial.told(Progress)[0].done >= done_bytes


def test_bytes_that_the_disk_lost_are_found_and_fetched_again(trial):
    trial.hub.fault("slow", "/cdn/", times=16, bps=8 * MIB)
    trial.run_until(10 * MIB)
    with part_file(trial.target).open("r+b") as file:
        file.seek(2 * MIB + 5)
        file.write(b"damage")
    trial.hub.clear()
    trial.run()
    assert trial.is_exact
    assert trial.sent_bytes <= 16 * MIB - 10 * MIB + MIB + 4096  # the rest, and the piece that was damaged
    assert not trial.told(StartedOver)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"version": 1}', b"[" * 100_000])
def test_a_record_that_makes_no_sense_starts_over(trial, content):
    trial.run_until(2 * MIB)
    sidecar_file(trial.target).write_bytes(content)
    trial.run()
    assert trial.is_exact
    assert trial.told(StartedOver)


def test_a_part_that_became_shorter_starts_over(trial):
    trial.run_until(2 * MIB)
    os.truncate(part_file(trial.target), 100)
    trial.run()
    assert trial.is_exact
    assert trial.told(StartedOver)


def test_discard_removes_the_unfinished_and_keeps_the_whole(trial):
    trial.run_until(2 * MIB)
    discard(trial.target)
    assert (part_bytes(trial.target), trial.leftovers) == (0, [])
    trial.run()
    discard(trial.target)
    assert trial.is_exact


def test_the_record_holds_no_signed_address(trial):
    trial.run_until(2 * MIB)
    record = sidecar_file(trial.target).read_text()
    assert "Expires" not in record
    assert "/cdn/" in record


# ---- how fast


def test_the_bandwidth_is_shared_and_may_change_on_the_way(trial):
    bandwidth = Bandwidth(8 * MIB)
    began_s = time.monotonic()
    for news in trial.work(bandwidth=bandwidth):
        if isinstance(news, Progress) and news.done >= 6 * MIB:
            bandwidth.bytes_per_s = None
    took_s = time.monotonic() - began_s
    assert 0.4 < took_s < 1.6  # 6 MiB at 8 MiB/s, the rest at once
    assert trial.is_exact


def test_a_slow_limit_can_be_cancelled_at_once(trial):
    work = trial.work(bandwidth=Bandwidth(10_000))
    until_s = time.monotonic() + 0.5
    while time.monotonic() < until_s:
        next(work)
    began_s = time.monotonic()
    work.close()
    assert time.monotonic() - began_s < 0.25


# ---- two at once


def test_of_two_downloads_of_one_file_one_waits_and_finds_it(trial):
    trial.hub.fault("slow", "/cdn/", bps=8 * MIB)
    results = []
    both = [threading.Thread(target=lambda: results.append(trial.run())) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    assert results == [trial.target] * 2
    assert trial.is_exact
    assert trial.sent_bytes == trial.blob.size


def test_a_waiting_one_can_be_cancelled(trial):
    first, second = trial.work(), trial.work()
    next(first)
    for _ in range(3):
        assert next(second) is None
    second.close()
    first.close()


# ---- where it may write


def test_no_room_is_said_before_a_byte_comes(hub, tmp_path):
    trial = Trial(hub, tmp_path, 1000)
    trial.with_file(size_bytes=1 << 49, sha256="0" * 64)
    hub.fault("size", "/resolve/", value=1 << 49)
    hub.fault("etag", "/resolve/", value="0" * 64)
    with pytest.raises(NoRoom, match=r"more are needed|takes no file of"):
        trial.run()
    assert not hub.requests("/cdn/")


def test_room_is_missed_only_when_it_is(tmp_path):
    assert room_missing(tmp_path, 1) == 0
    assert room_missing(tmp_path / "not" / "there", 1 << 60) > 1 << 59


@pytest.mark.parametrize("where", ["a", "a/b"])
def test_a_link_instead_of_a_folder_is_not_followed_out(hub, tmp_path, where):
    trial = Trial(hub, tmp_path / "models", MIB, path="a/b/m.gguf")
    outside = tmp_path / "outside"
    (outside / "b").mkdir(parents=True)
    link = tmp_path / "models" / where
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(BadFile, match="leads out of"):
        trial.run()
    assert [one for one in outside.rglob("*") if one.is_file()] == []


@pytest.mark.parametrize("name", [
    "m.gguf.part", "m.gguf.part.json", "m.gguf.part.json.new", "m.gguf.part.lock", "m.gguf",
])  # fmt: skip
def test_a_link_in_the_place_of_a_file_is_not_written_through(trial, tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / name).symlink_to(victim)
    try:
        trial.run()
        assert trial.is_exact
    except BadFile:
        assert trial.target.is_symlink() or trial.is_absent
    assert victim.read_bytes() == b"precious"


def test_a_part_with_a_second_name_is_left_to_it(trial, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    os.link(victim, part_file(trial.target))
    trial.run()
    assert trial.is_exact
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("path", [
    "../m.gguf", "/etc/m.gguf", "a/../../m.gguf", "C:/m.gguf", "CON.gguf", "a\\..\\m.gguf", "",
])  # fmt: skip
def test_names_that_lead_elsewhere_are_refused_before_anything_is_asked(hub, tmp_path, path):
    trial = Trial(hub, tmp_path, MIB)
    trial.with_file(path=path)
    with pytest.raises(BadFile):
        trial.run()
    assert not hub.log
    assert list(tmp_path.iterdir()) == []


def test_a_new_commit_of_the_file_replaces_the_old_one(trial):
    trial.run()
    new = Blob(size=5 * MIB, seed=9, name="m.gguf")
    commit = trial.repo.commit({"m.gguf": new})
    fetch = type(trial.fetch)(**vars(trial.fetch) | {"commit": commit})
    fetch = type(fetch)(**vars(fetch) | {"file": type(fetch.file)("m.gguf", new.size, new.sha256)})
    for _ in downloading(fetch, patience=QUICK):
        pass
    assert hashlib.sha256(trial.target.read_bytes()).hexdigest() == new.sha256
