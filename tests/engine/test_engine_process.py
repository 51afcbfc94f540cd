"""An engine process loads, says why it cannot, dies alone, and never outlives us."""

import os
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from fakes import fake_engine

from carryon.base.errors import EngineError
from carryon.base.jobs import drained
from carryon.engine.process import LOGS_KEPT, start
from carryon.engine.protocol import Loading, LoadRequest
from carryon.engine.reasons import Crash, Refusal

REQUEST = LoadRequest("/models/some.gguf", n_ctx=4096)


@pytest.fixture
def load(tmp_path):
    """Starts fake engines, and ends those that a test left."""
    engines = []

    def load(**options):
        engines.append(drained(start(REQUEST, tmp_path / "logs", fake_engine.command(**options))))
        return engines[-1]

    yield load
    for engine in engines:
        engine.end()


def gone_within(pid, wait_s):
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.02)
                continue
        return True
    return False


def test_loading_tells_its_progress_and_ends_with_an_engine(tmp_path):
    news = []
    engine = drained(start(REQUEST, tmp_path, fake_engine.command(load_ms=300)), news.append)
    engine.end()
    fractions = [one.fraction for one in news if isinstance(one, Loading)]
    assert fractions == sorted(fractions)
    assert engine.ready.n_ctx == 4096


def test_an_ended_engine_is_gone_and_did_not_crash(load):
    engine = load()
    engine.end()
    assert not psutil.pid_exists(engine.pid)
    assert engine.crash() is None


def test_cancelling_the_load_ends_the_process(tmp_path):
    work = start(REQUEST, tmp_path, fake_engine.command(hang_loading=1))
    next(work)
    (child,) = psutil.Process().children()
    work.close()
    assert gone_within(child.pid, 2)


@pytest.mark.parametrize(
    ("reason", "facts", "words"),
    [
        ("missing_file", "{}", "not there any more"),
        ("not_gguf", "{}", "not a GGUF file"),
        ("truncated", '{"expected_bytes": 5000000000, "actual_bytes": 3000000000}', "2.0 GB of 5.0 GB are missing"),
        ("unsupported_architecture", '{"architecture": "hologram"}', "hologram"),
        (
            "unsupported_architecture",
            '{"architecture": "qwen3", "cannot_chat": "its file has no tokenizer"}',
            "cannot chat: its file has no tokenizer.",
        ),
        ("out_of_memory", '{"device": "CUDA0", "wanted_bytes": 2147483648}', "on CUDA0: it asked for 2.0 GB more"),
        ("rpc_unreachable", '{"endpoint": "10.0.0.9:50052"}', "10.0.0.9:50052 does not answer"),
        ("port_taken", '{"port": 8080}', "8080"),
        ("bad_model", "{}", "damaged"),
        ("missing_file", '{"path": "/models/some-00002-of-00003.gguf"}', "00002-of-00003.gguf is missing"),
        ("missing_file", '{"path": "/models/some.gguf", "is_folder": true}', "some.gguf is a folder"),
        ("bad_request", '{"kv_type": "q8_0", "block": 32, "head_length": 16}', "packs 32 numbers .* have 16"),
        ("bad_request", '{"kv_type": null}', "takes flash attention"),
        ("unknown", "{}", "did not say"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(load, reason, facts, words):
    with pytest.raises(Refusal, match=words) as refusal:
        load(refuse=reason, facts=facts)
    assert refusal.value.hint
    assert "Traceback" not in refusal.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(
    ("signal_name", "words"), [("SIGSEGV", "crashed"), ("SIGABRT", "gave up on a check"), ("SIGKILL", "memory ran out")]
)
def test_a_crash_while_loading_is_told_by_its_cause(load, signal_name, words):
    with pytest.raises(Crash, match=words) as crash:
        load(crash_loading=signal_name)
    assert f"dying by {signal_name}" in crash.value.last_lines[-1]
    assert "exit code" not in crash.value.message


def test_a_death_later_is_noticed_by_the_watch(load):
    engine = load()
    psutil.Process(engine.pid).kill()
    crash = drained(engine.watch())
    assert isinstance(crash, Crash)


def test_watching_an_engine_that_is_ended_finds_no_crash(load):
    engine = load()
    watch = engine.watch()
    next(watch)
    engine.end()
    assert drained(watch) is None


@pytest.mark.parametrize("speech", ["print('hello')", "print('{}')", "print('[]')", 'print(\'{"event": "dance"}\')'])
def test_a_process_that_speaks_another_language_is_refused(tmp_path, speech):
    with pytest.raises(EngineError):
        drained(start(REQUEST, tmp_path, (sys.executable, "-c", speech)))


def test_only_the_latest_logs_are_kept(tmp_path, load):
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(30):
        (logs / f"engine-20200101-0000{number:02}-0.log").touch()
    load()
    assert len(list(logs.iterdir())) == LOGS_KEPT


_PARENT = """
import sys, time
from pathlib import Path
from carryon.base.jobs import drained
from carryon.engine.process import start
from carryon.engine.protocol import LoadRequest
engine = drained(start(LoadRequest("x"), Path(sys.argv[1]), sys.argv[2:]))
print(engine.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_kill_9_of_the_app_leaves_no_engine(tmp_path):
    words = [sys.executable, "-c", _PARENT, str(tmp_path), *fake_engine.command()]
    parent = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone_within(pid, 2)
