"""The engine's child process: every way in which it may answer, hang, lie or die. The children are real."""

import json
import os
import sys
import time

import psutil
import pytest

from carryon.hardware.engine_devices import asking_engine
from carryon.hardware.machine import DeviceKind, EngineDevice

ANSWER = {
    "engine": "llama.cpp b1", "supports_rpc": True, "devices": [
        {"name": "CPU", "description": "A processor", "kind": "cpu", "free_bytes": 5, "total_bytes": 9},
        {"name": "CUDA0", "description": "A card", "kind": "gpu", "free_bytes": None, "total_bytes": None},
    ],
}
LINE = json.dumps(ANSWER)
SAY = f"print({LINE!r}, flush=True); "
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


def ask(script, timeout_s=20.0):
    """The answer of a real child that runs `script`."""
    work = asking_engine((sys.executable, "-c", script), timeout_s)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_a_good_answer():
    answer = ask(SAY)
    assert answer.problem is None
    assert (answer.devices.engine, answer.devices.supports_rpc) == ("llama.cpp b1", True)
    assert answer.devices.devices[0] == EngineDevice("CPU", "A processor", DeviceKind.CPU, 5, 9)
    assert [device.name for device in answer.devices.gpus] == ["CUDA0"]


@pytest.mark.parametrize("afterwards", ["import os; os.abort()", "raise SystemExit(3)", "import time; time.sleep(60)"])
def test_what_was_said_counts_whatever_happens_afterwards(afterwards):
    start_s = time.monotonic()
    assert ask(SAY + afterwards).devices is not None
    assert time.monotonic() - start_s < 10


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("raise SystemExit(1)", "exit code 1"),
        ("", "exit code 0"),
        ("import carryon_no_such_engine", "exit code 1"),
        ("print('ggml_init: hello')", "not understood"),
        ("print('{}')", "not understood"),
        ("print('[' * 100000)", "not understood"),
        ("import sys; sys.stdout.buffer.write(bytes(range(256)))", "not understood"),
        (f"print({LINE.replace('cpu', 'toaster')!r})", "not understood"),
        (f"print({LINE.replace('9', '-9')!r})", "not understood"),
        (f"print({LINE.replace('9', 'true')!r})", "not understood"),
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "not understood"),
        ("import os, time; os.close(1); time.sleep(60)", "not understood"),
        pytest.param("import os; os.abort()", "SIGABRT", marks=posix),
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV", marks=posix),
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "instructions", marks=posix),
    ],
)
def test_a_child_that_fails_is_one_sentence_with_a_next_step(script, says):
    answer = ask(script)
    assert answer.devices is None
    assert says in answer.problem
    assert "Reinstall" in answer.problem or "reinstall" in answer.problem


@pytest.mark.slow
def test_a_hanging_child_is_ended_in_time_with_all_it_started(tmp_path):
    pids = tmp_path / "pids"
    script = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(pids)!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
time.sleep(60)
"""
    start_s = time.monotonic()
    answer = ask(script, timeout_s=4.0)
    assert time.monotonic() - start_s < 10
    assert "in time" in answer.problem
    assert gone(int(pid) for pid in pids.read_text().split())


@posix
@pytest.mark.slow
def test_a_stranger_who_keeps_the_pipe_open_does_not_hold_us_up(tmp_path):
    pid = tmp_path / "pid"
    script = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
open({str(pid)!r}, "w").write(str(child.pid))
"""
    start_s = time.monotonic()
    try:
        assert "in time" in ask(script, timeout_s=4.0).problem
        assert time.monotonic() - start_s < 10
    finally:
        psutil.Process(int(pid.read_text())).kill()


def test_waiting_never_blocks_for_long():
    gaps, work = [], asking_engine((sys.executable, "-c", "import time; time.sleep(60)"), 1.0)
    start_s = time.monotonic()
    for _ in work:
        gaps.append(time.monotonic() - start_s)
        start_s = time.monotonic()
    assert len(gaps) > 4
    assert sorted(gaps)[len(gaps) // 2] < 0.2


def test_closing_the_work_ends_the_child(tmp_path):
    pids = tmp_path / "pid"
    script = f"import os, time; open({str(pids)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    work = asking_engine((sys.executable, "-c", script), 20.0)
    while not (pids.exists() and pids.read_text()):
        next(work)
    work.close()
    assert gone([int(pids.read_text())])


def test_the_child_cannot_read_our_keyboard(open_keyboard):
    assert "exit code 7" in ask("import sys; raise SystemExit(7 if sys.stdin.read() == '' else 8)", timeout_s=5).problem


def test_an_engine_that_cannot_be_started():
    with pytest.raises(StopIteration) as end:
        next(asking_engine(("/no/such/python",), 1.0))
    assert "could not be started" in end.value.value.problem


def test_its_last_words_are_logged(caplog):
    ask("import sys; sys.exit('libcuda.so.1: no such file')")
    assert "libcuda.so.1" in caplog.text


@pytest.fixture
def open_keyboard():
    """Standard input is a pipe on which somebody may still type."""
    saved, (read_end, write_end) = os.dup(0), os.pipe()
    os.dup2(read_end, 0)
    yield
    os.dup2(saved, 0)
    for one in (saved, read_end, write_end):
        os.close(one)


def gone(pids):
    """Whether all have ended within two seconds; one that nobody has collected yet counts as ended."""
    end_s = time.monotonic() + 2
    left = set(pids)
    while left and time.monotonic() < end_s:
        left = {pid for pid in left if running(pid)}
        time.sleep(0.02)
    return not left


def running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
