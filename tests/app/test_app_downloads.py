"""The queue of downloads with the real downloader and a Hub on this machine: nothing is lost, nothing is pretended."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.download_desk import MIB, Desk, is_exact, leftovers, tiny_repo, wish_of
from fakes.fakehub import Blob, FakeHub

from carryon.app import download_work
from carryon.app.download_list import FailedDownload, Finished, Paused, Queued, Running, WaitingForNetwork
from carryon.app.downloads import Downloads, id_of
from carryon.app.hub_access import HubAccess
from carryon.base.errors import BadFile, NoAccess, NoRoom, Offline
from carryon.base.jobs import Runner
from carryon.base.settings import SettingsFile
from carryon.hub.fetching import part
from carryon.hub.origin import origin_file, read_origin
from carryon.hub.repo import RepoFile

SLOW = 4 * MIB  # bytes per second and connection
ALL = ("Finished", "FailedDownload")


@pytest.fixture
def hub():
    with FakeHub() as made:
        tiny_repo(made)
        yield made


@pytest.fixture
def desk(carryon_home, hub):
    """A start of the app; the next one ends the one before, as one window a home does."""
    made = []

    def start(**changed):
        end()
        made.append(Desk(carryon_home, hub, **changed))
        return made[-1]

    def end():
        while made:
            made.pop().end()

    yield start
    end()


@pytest.fixture
def wish(carryon_home, hub):
    """Wishes by the names of their files."""
    return lambda *paths: wish_of(hub, carryon_home, paths[0], *paths)


Q4, Q8, Q6 = "a-Q4_K_M.gguf", "a-Q8_0.gguf", "a-Q6_K.gguf"
SPLIT = ("a-F16-00001-of-00002.gguf", "a-F16-00002-of-00002.gguf")


def sent_bytes(hub):
    return sum(one.get("sent", 0) for one in hub.requests("/cdn/"))


def test_a_download_ends_whole_with_its_origin(desk, hub, wish):
    started, one = desk(), wish(Q4)
    ended = started.until(started.downloads.add(one), *ALL)
    assert ended.state == Finished()
    assert ended.done_bytes == ended.total_bytes
    assert is_exact(hub, one)
    assert read_origin(one.target(one.files[0])).licence == "apache-2.0"
    assert leftovers(started.home.models) == []


def test_a_set_is_finished_when_every_file_is(desk, hub, wish):
    started, one = desk(), wish(*SPLIT)
    hub.fault("slow", path="/cdn/", bps=SLOW)
    id = started.downloads.add(one)
    started.main.run_until(lambda: one.target(one.files[0]).exists())
    assert started.state(id) != "Finished"
    started.until(id, "Finished")
    assert is_exact(hub, one)


def test_the_same_files_are_queued_once(desk, wish):
    started = desk()
    first = started.downloads.add(wish(Q4))
    assert started.downloads.add(wish(Q4)) == first
    assert len(started.downloads.now) == 1
    assert started.downloads.add(wish(Q8)) != first


def test_what_is_here_is_finished_at_once(desk, hub, wish):
    started = desk()
    started.until(started.downloads.add(wish(Q4)), "Finished")
    hub.clear()
    started.downloads.forget(id_of(wish(Q4)))
    assert started.state(started.downloads.add(wish(Q4))) == "Finished"
    assert hub.log == []


def test_as_many_run_as_the_settings_say_and_the_others_in_order(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=SLOW)
    started = desk(downloads_at_once=2)
    ids = [started.downloads.add(wish(name)) for name in (Q4, Q8, Q6)]
    assert [started.state(id) for id in ids] == ["Running", "Running", "Queued"]
    started.main.run_until(lambda: started.state(ids[2]) != "Queued")
    assert "Finished" in (started.state(ids[0]), started.state(ids[1]))
    started.main.run_until(lambda: all(started.state(id) == "Finished" for id in ids))


def test_a_setting_counts_at_once(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=MIB // 2)
    started = desk(downloads_at_once=1)
    first, second = (started.downloads.add(wish(name)) for name in (Q4, Q8))
    started.until_here(first, 1)
    assert started.state(second) == "Queued"
    started.change(downloads_at_once=2)
    started.until(second, "Running")
    started.change(download_limit_bytes_per_s=50_000)
    started.main.run_for(0.5)
    before = sum(one.done_bytes for one in started.downloads.now)
    started.main.run_for(1.0)
    assert sum(one.done_bytes for one in started.downloads.now) - before < 400_000


def test_a_pause_keeps_what_is_here_and_a_resume_goes_on(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=MIB)
    started, one = desk(connections_per_download=1), wish(Q4)
    id = started.downloads.add(one)
    started.until_here(id, MIB // 2)
    started.downloads.pause(id)
    assert started.one(id).state == Paused()
    started.main.run_for(0.5)
    here = started.one(id).done_bytes
    started.main.run_for(0.5)
    assert started.one(id).done_bytes == here
    hub.faults.clear()
    started.downloads.resume(id)
    started.until(id, "Finished")
    assert is_exact(hub, one)
    assert sent_bytes(hub) < one.total_bytes * 1.3  # small files have coarse blocks


def test_pause_and_resume_in_one_breath(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=SLOW)
    started, one = desk(), wish(Q4)
    id = started.downloads.add(one)
    for _ in range(5):
        started.downloads.pause(id)
        started.downloads.resume(id)
    started.until(id, "Finished")
    assert is_exact(hub, one)


def test_a_paused_one_makes_room_for_the_next(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=MIB // 4)
    started = desk(downloads_at_once=1)
    first, second = (started.downloads.add(wish(name)) for name in (Q4, Q8))
    started.downloads.pause(first)
    started.until(second, "Running")
    assert started.state(first) == "Paused"


def test_a_new_start_goes_on_where_the_last_one_was(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=MIB)
    first, one, other = desk(downloads_at_once=1), wish(Q4), wish(Q8)
    running, waiting, paused = (first.downloads.add(each) for each in (one, other, wish(Q6)))
    first.downloads.pause(paused)
    first.until_here(running, MIB // 2)
    second = desk(downloads_at_once=1)
    assert [each.id for each in second.downloads.now] == [running, waiting, paused]
    assert second.one(running).done_bytes > 0
    assert [second.state(id) for id in (running, waiting, paused)] == ["Running", "Queued", "Paused"]
    hub.faults.clear()
    second.until(waiting, "Finished")
    assert second.state(running) == "Finished"
    assert second.state(paused) == "Paused"
    assert is_exact(hub, one)
    assert is_exact(hub, other)


def test_nothing_runs_before_it_is_told_to_begin(carryon_home, hub, wish, desk):
    desk().downloads.add(wish(Q4))
    desk().end()
    hub.clear()
    settings, runner = SettingsFile(carryon_home.settings), Runner(lambda call: call())
    Downloads(carryon_home, settings, runner, HubAccess(carryon_home, settings, {}, lambda: None))
    time.sleep(0.2)
    runner.end()
    assert hub.log == []


def test_the_ended_stay_listed_until_they_are_forgotten(desk, hub, wish):
    first = desk()
    done = first.downloads.add(wish(Q4))
    first.until(done, "Finished")
    second = desk()
    assert second.state(done) == "Finished"
    second.downloads.forget_finished()
    assert second.downloads.now == ()
    assert wish(Q4).target(wish(Q4).files[0]).exists()
    assert desk().downloads.now == ()


def test_a_failure_says_why_and_can_be_tried_again(desk, hub, wish):
    hub.repos["acme/tiny-GGUF"].gated = "manual"
    started, one = desk(), wish(Q4)
    id = started.downloads.add(one)
    failed = started.until(id, *ALL)
    assert isinstance(failed.state.error, NoAccess)
    assert failed.state.error.hint
    again = desk()
    assert isinstance(again.one(id).state.error, NoAccess)
    assert again.one(id).state.error.message == failed.state.error.message
    hub.repos["acme/tiny-GGUF"].gated = False
    again.downloads.retry(id)
    again.until(id, "Finished")
    assert is_exact(hub, one)


def test_a_network_that_is_gone_is_waited_for(desk, hub, wish):
    fault = hub.fault("status", path="/resolve/", code=503)
    started, one = desk(), wish(Q4)
    id = started.downloads.add(one)
    waiting = started.until(id, "WaitingForNetwork")
    assert isinstance(waiting.state.why, Offline)
    hub.faults.remove(fault)
    started.until(id, "Finished", wait_s=30)
    assert is_exact(hub, one)


def test_offline_stops_what_runs_and_goes_on_when_it_is_over(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=MIB)
    started, one = desk(), wish(Q4)
    id = started.downloads.add(one)
    started.until_here(id, MIB // 2)
    started.change(is_offline=True)
    waiting = started.until(id, "WaitingForNetwork")
    assert "offline" in waiting.state.why.message
    started.main.run_for(0.3)
    n_requests = len(hub.log)
    started.main.run_for(0.5)
    assert len(hub.log) == n_requests
    hub.faults.clear()
    started.change(is_offline=False)
    started.until(id, "Finished")
    assert is_exact(hub, one)


def test_a_start_without_a_network_asks_nobody(desk, hub, wish):
    started = desk(is_offline=True)
    id = started.downloads.add(wish(Q4))
    started.until(id, "WaitingForNetwork")
    assert hub.log == []


def test_a_set_that_does_not_fit_is_refused_with_the_figure(desk, hub, wish, monkeypatch):
    free_bytes = 1_000_000_000 + 5 * MIB
    monkeypatch.setattr(part, "_free_bytes", lambda _folder: free_bytes)
    hub.fault("slow", path="/cdn/", bps=MIB // 8)
    started = desk(downloads_at_once=1)
    first, second = (started.downloads.add(wish(name)) for name in (Q4, Q8))
    third = started.downloads.add(wish(Q6))  # alone it would fit, but not beside the two before it
    assert [type(started.one(id).state) for id in (first, second)] == [Running, Queued]
    error = started.one(third).state.error
    assert isinstance(error, NoRoom)
    assert "1.0 MB" in error.message
    started.downloads.retry(third)
    assert isinstance(started.one(third).state, FailedDownload)
    started.downloads.cancel(second, keeps_part=True)
    started.downloads.retry(third)
    assert started.one(third).state == Queued()


def test_what_is_here_as_a_part_needs_no_room(desk, hub, wish, monkeypatch):
    hub.fault("slow", path="/cdn/", bps=MIB)
    started = desk(connections_per_download=1)
    id = started.downloads.add(wish(Q4))
    started.until_here(id, MIB)
    started.downloads.pause(id)
    started.main.run_for(0.5)
    monkeypatch.setattr(part, "_free_bytes", lambda _folder: 1_000_000_000 + MIB + MIB // 2)
    started.downloads.resume(id)
    assert started.one(id).is_active


@pytest.mark.parametrize("keeps_part", [True, False])
def test_a_cancel_keeps_or_deletes_the_part(desk, hub, wish, keeps_part):
    hub.fault("slow", path="/cdn/", bps=MIB)
    started, one = desk(connections_per_download=1), wish(Q4)
    id = started.downloads.add(one)
    started.until_here(id, MIB)
    started.downloads.cancel(id, keeps_part)
    assert started.downloads.now == ()
    started.main.run_until(lambda: bool(leftovers(started.home.models)) == keeps_part)
    hub.faults.clear()
    hub.clear()
    started.until(started.downloads.add(one), "Finished")
    assert is_exact(hub, one)
    assert (sent_bytes(hub) < one.total_bytes) == keeps_part


def test_a_cancel_deletes_only_what_it_brought(desk, hub, wish):
    started = desk(connections_per_download=1, downloads_at_once=1)
    started.until(started.downloads.add(wish("mmproj-f16.gguf")), "Finished")
    hub.fault("slow", path="/cdn/.*00002-of", bps=MIB // 2)
    both = wish("mmproj-f16.gguf", *SPLIT)
    id = started.downloads.add(both)
    started.main.run_until(lambda: both.target(both.files[1]).exists() and started.one(id).done_bytes > 4 * MIB)
    started.downloads.cancel(id, keeps_part=False)
    started.main.run_until(lambda: not both.target(both.files[1]).exists())
    started.main.run_until(lambda: leftovers(started.home.models) == [])
    assert both.target(both.files[0]).exists()
    assert not origin_file(both.target(both.files[1])).exists()


def test_what_was_cancelled_can_be_wanted_again_at_once(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=SLOW)
    started, one = desk(), wish(Q4)
    for keeps_part in (True, False):
        id = started.downloads.add(one)
        started.until_here(id, 1)
        started.downloads.cancel(id, keeps_part)
    started.until(started.downloads.add(one), "Finished")
    assert is_exact(hub, one)


def test_two_sets_with_a_file_in_common_take_turns(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=SLOW)
    started = desk(downloads_at_once=2)
    first, second = wish("mmproj-f16.gguf", Q4), wish("mmproj-f16.gguf", Q8)
    ids = [started.downloads.add(one) for one in (first, second)]
    assert [started.state(id) for id in ids] == ["Running", "Queued"]
    for id in ids:
        started.until(id, "Finished")
    assert is_exact(hub, second)
    assert sent_bytes(hub) == 3 * first.files[0].size_bytes


def test_all_are_paused_and_resumed(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=MIB // 2)
    started = desk(downloads_at_once=1)
    ids = [started.downloads.add(wish(name)) for name in (Q4, Q8)]
    started.downloads.pause_all()
    assert {started.state(id) for id in ids} == {"Paused"}
    started.main.run_for(0.3)
    hub.faults.clear()
    started.downloads.resume_all()
    for id in ids:
        started.until(id, "Finished")


def test_listeners_hear_at_most_five_times_a_second(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=MIB // 2)
    started = desk(downloads_at_once=3)
    for name in (Q4, Q8, Q6):
        started.downloads.add(wish(name))
    for _ in range(3):
        for one in started.downloads.now:
            started.downloads.pause(one.id)
            started.downloads.resume(one.id)
        started.main.run_for(0.5)
    gaps = [b - a for a, b in zip(started.times_s, started.times_s[1:], strict=False)]
    assert len(gaps) >= 5
    assert min(gaps) >= 0.2


def test_the_last_news_is_always_told(desk, wish):
    started = desk()
    started.until(started.downloads.add(wish(Q4)), "Finished")
    started.main.run_until(lambda: started.lists[-1] and started.lists[-1][0].state == Finished())


def test_a_speed_and_what_is_left_are_told(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=MIB // 2)
    started = desk(connections_per_download=1)
    id = started.downloads.add(wish(Q4))
    started.main.run_until(lambda: isinstance(started.one(id).state, Running) and started.one(id).state.left_s)
    state = started.one(id).state
    assert state.bytes_per_s == pytest.approx(MIB / 2, rel=0.5)
    assert 0 < state.left_s < 10


def test_a_file_that_changed_on_the_way_is_told(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=MIB)
    started, one = desk(connections_per_download=1), wish(Q4)
    id = started.downloads.add(one)
    started.until_here(id, MIB)
    started.downloads.pause(id)
    started.main.run_for(0.5)
    next(started.home.models.rglob("*.part.json")).write_text("{}")
    hub.faults.clear()
    started.downloads.resume(id)
    assert "began again" in started.until(id, "Finished").notice
    assert is_exact(hub, one)


def test_a_damaged_list_is_set_aside_and_the_app_starts(desk, carryon_home, wish):
    carryon_home.root.mkdir(parents=True, exist_ok=True)
    (carryon_home.root / "downloads.json").write_text('{"downloads": [{"id"')
    started = desk()
    assert started.downloads.now == ()
    assert len(list(carryon_home.root.glob("downloads.json.damaged-*"))) == 1
    started.until(started.downloads.add(wish(Q4)), "Finished")


def test_a_disk_that_takes_no_list_stops_no_download(desk, carryon_home, wish, hub):
    (carryon_home.root / "downloads.json").mkdir(parents=True)
    started = desk()
    started.until(started.downloads.add(wish(Q4)), "Finished")
    assert is_exact(hub, wish(Q4))


def test_ids_of_nobody_do_nothing(desk):
    started = desk()
    for act in (started.downloads.pause, started.downloads.resume, started.downloads.retry, started.downloads.forget):
        act("nobody")
    started.downloads.cancel("nobody", keeps_part=False)
    assert started.downloads.now == ()


def test_a_repository_without_sums_is_known_by_its_commit(desk, hub, wish):
    started, one = desk(), wish("README.md")
    started.until(started.downloads.add(one), "Finished")
    assert download_work.is_all_here(one)


_CHILD = """
import sys
sys.path.insert(0, {tests!r})
from types import SimpleNamespace
from pathlib import Path
from fakes.download_desk import Desk, wish_of
from carryon.base.paths import Home
from carryon.app.download_list import DownloadWish
from carryon.hub.repo import RepoFile
home = Home(Path({home!r}))
desk = Desk(home, SimpleNamespace(url={url!r}))
for file in {files!r}:
    folder = home.models / "acme/big-GGUF"
    desk.downloads.add(DownloadWish("acme/big-GGUF", {commit!r}, file[0], (RepoFile(*file),), folder))
print("begun", flush=True)
desk.main.run_until(lambda: all(type(one.state).__name__ == "Finished" for one in desk.downloads.now), 60)
desk.end()
print("finished", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kill -9 is of Unix")
def test_kill_9_at_any_moment_loses_nothing(carryon_home, hub, desk):
    """A child that runs the queue is killed again and again; the next one goes on, and in the end all is exact."""
    size_bytes = 48 * MIB
    blobs = {name: Blob(size=size_bytes, seed=7, name=name) for name in ("x.gguf", "y.gguf")}
    repo = hub.add_repo("acme/big-GGUF", blobs)
    commit = repo.refs["main"]
    hub.fault("slow", path="/cdn/", bps=5 * MIB)
    files = [(name, blob.size, blob.sha256) for name, blob in repo.commits[commit].items()]
    code = _CHILD.format(tests=str(Path(__file__).parents[1]), home=str(carryon_home.root), url=hub.url, files=files,
                         commit=commit)  # fmt: skip
    for wait_s in (0.15, 0.4, 0.8, 1.1, 0.6):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "begun\n"
        time.sleep(wait_s)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    started = desk()
    assert [one.wish.title for one in started.downloads.now] == ["x.gguf", "y.gguf"]
    started.main.run_until(lambda: all(one.done_bytes > 0 for one in started.downloads.now))
    hub.faults.clear()
    started.main.run_until(lambda: all(one.state == Finished() for one in started.downloads.now), 60)
    assert all(is_exact(hub, one.wish) for one in started.downloads.now)
    assert leftovers(carryon_home.models) == []


def test_a_waiting_time_counts_down(desk, hub, wish):
    hub.fault("status", path="/resolve/", code=503, headers={"Retry-After": "30"})
    started = desk()
    id = started.downloads.add(wish(Q4))
    first = started.until(id, "WaitingForNetwork").state
    started.main.run_until(
        lambda: isinstance(started.one(id).state, WaitingForNetwork)
        and started.one(id).state.again_in_s < first.again_in_s - 0.5
    )


def test_the_disk_knows_better_than_the_list_what_is_here(desk, hub, wish):
    hub.fault("slow", path="/cdn/", bps=MIB)
    first = desk(connections_per_download=1)
    id = first.downloads.add(wish(Q4))
    first.until_here(id, MIB)
    first.downloads.pause(id)
    first.main.run_for(0.5)
    first.end()
    kept = first.home.root / "downloads.json"
    kept.write_text(re.sub(r'"done_bytes": \d+', '"done_bytes": 7', kept.read_text()))
    second = Desk(first.home, hub)
    try:
        assert second.lists[0][0].done_bytes == 7
        second.until_here(id, MIB)
        assert second.state(id) == "Paused"
    finally:
        second.end()


def test_a_name_that_leads_elsewhere_is_refused_and_stops_nothing(desk, wish):
    evil = replace(wish(Q4), files=(RepoFile("../../evil.gguf", 5, "0" * 64),))
    started = desk()
    refused = started.downloads.add(evil)
    assert isinstance(started.one(refused).state.error, BadFile)
    started.until(started.downloads.add(wish(Q4)), "Finished")
