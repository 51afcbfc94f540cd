"""A dry run asks a child and keeps the answer; it never takes the window along, and never longer than it may."""

import sys
import time
from dataclasses import replace

import psutil
import pytest

from carryon.base.errors import EngineCrashed, EngineError, EngineSilent
from carryon.base.jobs import drained
from carryon.engine.dryrun import dry_running, dry_runs
from carryon.engine.protocol import LoadRequest, Reason, Refused, encode_answer
from carryon.engine.reasons import Refusal
from carryon.hardware.machine import DeviceKind, EngineDevice, EngineDevices

CPU = EngineDevice("CPU", "a processor", DeviceKind.CPU, 1 << 34, 1 << 35)
SEEN = EngineDevices("llama.cpp 1", False, (CPU,))
_PLANNER = """
import json, os, sys, time
n_asked = 0
for line in sys.stdin:
    request, n_asked = json.loads(line), n_asked + 1
    with open({asked!r}, "a") as asked:
        print(os.getpid(), file=asked)
    {before}
    memory = dict(name="CPU", description="a processor", kind="cpu", weights_bytes=1000, kv_bytes=request["n_ctx"],
                  compute_bytes=10, output_bytes=1)
    print(json.dumps(dict(event="planned", engine="llama.cpp 1", n_ctx=request["n_ctx"], memory=[memory])), flush=True)
"""


class FakePlanner:
    """A child that speaks the planner's language and notes each request."""

    def __init__(self, asked):
        self._asked = asked

    def command(self, before="pass"):
        return (sys.executable, "-c", _PLANNER.format(asked=str(self._asked), before=before))

    @property
    def pids(self):
        """The process of each request."""
        return [int(line) for line in self._asked.read_text().split()] if self._asked.exists() else []


@pytest.fixture
def planner(tmp_path):
    return FakePlanner(tmp_path / "asked")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def request_(tiny_model):
    return LoadRequest(str(tiny_model), n_ctx=512)


def test_the_second_time_no_child_is_asked(planner, cache, request_):
    first = drained(dry_running(request_, cache, SEEN, planner.command()))
    second = drained(dry_running(request_, cache, SEEN, planner.command()))
    assert (first.was_cached, second.was_cached) == (False, True)
    assert replace(second, was_cached=False) == first
    assert len(planner.pids) == 1


def test_who_does_not_know_the_devices_asks_each_time_for_those_who_do(planner, cache, request_):
    for _ in range(2):
        assert not drained(dry_running(request_, cache, command=planner.command())).was_cached
    assert drained(dry_running(request_, cache, SEEN, planner.command())).was_cached


def test_a_kept_plan_is_found_in_under_five_milliseconds(planner, cache, request_):
    drained(dry_running(request_, cache, SEEN, planner.command()))
    started = time.perf_counter()
    drained(dry_running(request_, cache, SEEN, planner.command()))
    assert time.perf_counter() - started < 0.005


def test_a_folder_that_cannot_be_written_costs_only_time(planner, tmp_path, request_):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    assert drained(dry_running(request_, blocked, SEEN, planner.command())).n_ctx == 512


def test_one_child_answers_many(planner, request_):
    answers = drained(dry_runs([replace(request_, n_ctx=n) for n in (256, 512, 1024)], planner.command()))
    assert [one.n_ctx for one in answers] == [256, 512, 1024]
    assert len(set(planner.pids)) == 1


def test_other_rpc_servers_are_another_child(planner, request_):
    asked = [request_, replace(request_, rpc_endpoints=("a:1",)), replace(request_, rpc_endpoints=("a:1",))]
    drained(dry_runs(asked, planner.command()))
    first, second, third = planner.pids
    assert first != second == third


def test_no_requests_no_child(planner):
    assert drained(dry_runs([], planner.command())) == []
    assert planner.pids == []


def test_a_child_that_dies_is_told_and_the_next_one_answers(planner, request_):
    command = planner.command("os.abort() if request['n_ctx'] == 512 else None")
    before, crash, after = drained(dry_runs([replace(request_, n_ctx=n) for n in (256, 512, 1024)], command))
    assert isinstance(crash, EngineCrashed)
    assert "while it worked out what the model needs" in crash.message
    assert "instant estimate" in crash.hint
    assert (before.n_ctx, after.n_ctx) == (256, 1024)


def test_a_child_that_thinks_for_ever_is_ended(planner, cache, request_):
    with pytest.raises(EngineSilent, match="did not work out within 0 s what tiny") as silent:
        drained(dry_running(request_, cache, SEEN, planner.command("time.sleep(60)"), timeout_s=0.3))
    assert silent.value.hint
    assert not psutil.pid_exists(planner.pids[0])


def test_closing_it_ends_the_child(planner, cache, request_):
    work = dry_running(request_, cache, SEEN, planner.command("time.sleep(60)"))
    while not planner.pids:
        next(work)
    work.close()
    assert not psutil.pid_exists(planner.pids[0])


def test_it_yields_while_it_waits(planner, cache, request_):
    waits, started = [], time.perf_counter()
    for _ in dry_running(request_, cache, SEEN, planner.command("time.sleep(0.5)")):
        waits.append(time.perf_counter() - started)
        started = time.perf_counter()
    assert len(waits) >= 3
    assert sorted(waits)[len(waits) // 2] < 0.2


@pytest.mark.parametrize("said", ["hello", "[]", "{}", '{"event": "planned"}', '{"event": "ready"}', "\\xff"])
def test_a_child_of_another_language_is_not_believed(cache, request_, said):
    command = (sys.executable, "-c", f"input(); print({said!r}, flush=True); input()")
    with pytest.raises(EngineError):
        drained(dry_running(request_, cache, SEEN, command))
    assert not list(cache.glob("*.plan.json"))


def test_a_refusal_is_raised_and_not_kept(planner, cache, request_):
    refused = encode_answer(Refused(Reason.OUT_OF_MEMORY, "", {"device": "CPU", "wanted_bytes": 9}))
    command = planner.command(f"print({refused.decode()!r}, flush=True); continue")
    for _ in range(2):
        with pytest.raises(Refusal, match="does not fit into the memory"):
            drained(dry_running(request_, cache, SEEN, command))
    assert len(planner.pids) == 2
