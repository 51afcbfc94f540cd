"""Nobody there, nothing done: a client that hangs up ends the decoding, a parent that dies ends the engine."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
from fakes import tiny_gguf
from fakes.real_worker import RealWorker, is_gone, question, start_child, wait_until

from carryon.engine.protocol import LoadRequest, encode_request

SOON_S = 0.1


def time_to_silence(worker):
    """Seconds until another question is answered: the engine has one thread, so it must have stopped by then."""
    started = time.monotonic()
    worker.complete([97], max_tokens=1)
    return time.monotonic() - started


def extra_time(worker, hang_up):
    """Seconds that a hang-up makes the next question wait; the best of three on a busy machine."""
    undisturbed = min(time_to_silence(worker) for _ in range(3))
    waited = []
    for _ in range(3):
        hang_up()
        waited.append(time_to_silence(worker))
    return min(waited) - undisturbed


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory):
    """A model whose prompts take seconds to read."""
    shape = tiny_gguf.Shape(layers=6, hidden=1024, feed_forward=4096, heads=16, context=16384)
    return tiny_gguf.random_model(tmp_path_factory.mktemp("slow") / "slow.gguf", shape=shape)


@pytest.fixture(scope="module")
def slow(start_worker, slow_model):
    return start_worker(slow_model, n_ctx=8192)


@pytest.mark.slow
def test_a_hang_up_while_words_come_stops_them(endless):
    def hang_up():
        with endless.streaming("/v1/chat/completions", question("go")) as events:
            for _ in range(4):
                next(events)

    assert extra_time(endless, hang_up) < SOON_S


@pytest.mark.slow
def test_a_hang_up_while_the_prompt_is_read_stops_that(slow):
    def hang_up():
        with slow.streaming("/v1/completions", {"prompt": [97] * 4000}) as events:
            assert next(events).startswith(": ")
            time.sleep(0.3)

    assert extra_time(slow, hang_up) < SOON_S


@pytest.mark.slow
def test_a_hang_up_on_a_plain_request_stops_it_too(slow):
    def hang_up():
        connection = open_without_reading(slow, {"prompt": [97] * 4000, "max_tokens": 1})
        time.sleep(0.3)
        connection.close()

    assert extra_time(slow, hang_up) < SOON_S


@pytest.mark.slow
def test_what_was_read_before_a_hang_up_is_kept(slow):
    with slow.streaming("/v1/completions", {"prompt": [98] * 3000}) as events:
        while tokens_read(next(events)) < 256:
            pass
    again = slow.complete([98] * 600, max_tokens=1)["timings"]
    assert again["cached_n"] >= 256


@pytest.mark.slow
def test_reading_a_prompt_tells_how_far_it_is(slow):
    with slow.streaming("/v1/completions", {"prompt": [99] * 1500, "max_tokens": 1}) as events:
        read = [tokens_read(event) for event in events if str(event).startswith(": prompt")]
    assert read == sorted(read)
    assert len(set(read)) >= 3  # a chunk never has more than 512 tokens
    assert max(read) <= 1500


def test_a_waiting_question_can_be_given_up(endless):
    with endless.streaming("/v1/chat/completions", question("long", max_tokens=3000)) as first:
        next(first)
        with endless.streaming("/v1/chat/completions", question("given up")) as second:
            next(second)
    assert endless.says("go", max_tokens=2) == " one two"


def tokens_read(event):
    """The 512 of ': prompt 512/1500'; what says nothing about it counts as no news."""
    found = re.match(r": prompt (\d+)/", event) if isinstance(event, str) else None
    return int(found[1]) if found else 0


def open_without_reading(worker, body):
    """A plain request that is sent, and whose answer nobody reads."""
    connection = http.client.HTTPConnection("127.0.0.1", worker.ready.port)
    connection.request("POST", "/v1/completions", json.dumps(body), {"Authorization": f"Bearer {worker.ready.token}"})
    return connection


def all_gone(pids):
    return all(map(is_gone, pids))


def children_of(pid):
    return psutil.Process(pid).children(recursive=True)


def test_the_engine_ends_when_its_pipe_ends(models, tmp_path):
    worker = RealWorker(models / "speaker.gguf", tmp_path / "log")
    family = [worker.process.pid, *(child.pid for child in children_of(worker.process.pid))]
    worker.process.stdin.close()
    assert wait_until(lambda: worker.process.poll() is not None, 2) is not None
    assert wait_until(lambda: all_gone(family), 2) is not None
    worker.end()


@pytest.mark.slow
def test_the_engine_ends_in_the_middle_of_loading(slow_model):
    child = start_child(stderr=subprocess.DEVNULL)
    child.stdin.write(encode_request(LoadRequest(str(slow_model), use_mmap=False)))
    child.stdin.flush()
    assert b"loading" in child.stdout.readline()
    child.stdin.close()
    assert child.wait(2) is not None
    assert b'"ready"' not in child.stdout.read()
    child.stdout.close()


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-P", "-m", "carryon.worker.serve"], stdin=subprocess.PIPE, stdout=sys.stdout)
child.stdin.write(sys.argv[1].encode()); child.stdin.flush()
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_a_parent_that_is_killed_leaves_no_orphan(models):
    asked = encode_request(LoadRequest(str(models / "endless.gguf"), n_ctx=512)).decode()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, asked], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    engine = int(parent.stdout.readline())
    while b'"ready"' not in parent.stdout.readline():
        pass
    family = [engine, *(child.pid for child in children_of(engine))]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: all_gone(family), 2) is not None
