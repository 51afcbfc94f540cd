"""Setting up is never silent, and what it starts ends with it."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from narration import Step, clock_text, run_shown, status_text, step_of

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"


class Terminal(io.StringIO):
    """What a terminal would show."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown(code: str, tmp_path: Path, out: io.StringIO, beat_s: float) -> str:
    run_shown("Building", [sys.executable, "-u", "-c", code], log=tmp_path / "log", out=out, beat_s=beat_s)
    return out.getvalue()


def test_a_silent_child_is_shown_to_work(tmp_path):
    text = shown("import time; time.sleep(0.5)", tmp_path, io.StringIO(), beat_s=0.1)
    assert text.count("Building · 0:00\n") >= 2
    assert text.endswith("Building · done after 0:00\n")


def test_the_step_stays_visible_between_the_childs_lines(tmp_path):
    code = "import time; print('[2/345] Building CXX object a/b.dir/ggml.c.o'); print('noise'); time.sleep(0.3)"
    assert "step 2 of 345 · ggml.c\n" in shown(code, tmp_path, io.StringIO(), beat_s=0.1)


def test_a_terminal_gets_one_line_that_moves(tmp_path):
    text = shown("import time; time.sleep(0.3)", tmp_path, Terminal(), beat_s=0.1)
    assert text.count("\n") == 1
    assert text.count("\r") >= 3


def test_a_log_without_a_terminal_is_not_flooded(tmp_path):
    text = shown("for step in range(500): print(f'[{step}/500] Building CXX object x.o')", tmp_path, io.StringIO(), 30)
    assert len(text.splitlines()) == 2


def test_an_old_console_gets_what_it_can_write(tmp_path):
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as console:
        run_shown("Building", [sys.executable, "-c", ""], log=tmp_path / "log", out=console)
        console.flush()
        assert b"Building ? done" in raw.getvalue()


def test_the_whole_output_is_in_the_log_and_the_end_is_kept(tmp_path):
    ended = run_shown("Failing", [sys.executable, "-c", "print('why'); raise SystemExit(3)"], log=tmp_path / "log",
                      out=io.StringIO())
    assert (ended.code, ended.is_good, ended.lines) == (3, False, ("why",))
    assert "why" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("line", "step"), [
    ("[12/345] Building C object vendor/ggml/src/CMakeFiles/ggml.dir/ggml-quants.c.o", ("ggml-quants.c", 12, 345)),
    ("  [12/345] /usr/bin/g++ -O3 -o a/CMakeFiles/x.dir/arg.cpp.o -c /tmp/x/common/arg.cpp", ("arg.cpp", 12, 345)),
    ("[345/345] : && /usr/bin/g++ -shared -o bin/libllama.so a.o b.o && :", ("linking libllama.so", 345, 345)),
    ("[ 12%] Building CXX object src/CMakeFiles/llama.dir/llama.cpp.o", ("llama.cpp", 12, 100)),
    ("Collecting numpy>=1.26", ("Collecting numpy>=1.26", None, None)),
    ("  Building wheel for llama-cpp-python", ("Building wheel for llama-cpp-python", None, None)),
])
def test_the_outputs_of_pip_ninja_and_make_are_understood(line, step):
    assert step_of(line) == Step(*step)


@pytest.mark.parametrize("line", ["", "warning: unused variable", "  x[3/4]"[:3]])
def test_other_lines_are_no_step(line):
    assert step_of(line) is None


def test_times_read_as_on_a_clock():
    assert [clock_text(seconds) for seconds in (0, 75, 3600)] == ["0:00", "1:15", "60:00"]


def test_a_line_of_sixty_names_is_cut():
    names = ", ".join(f"package-{number}" for number in range(60))
    doing = step_of(f"Installing collected packages: {names}").doing
    assert len(doing) < 70
    assert doing.startswith("Installing collected packages: package-0, ")
    assert doing.endswith(" …")


def test_a_status_without_a_step_is_the_time_alone():
    assert status_text("Building", 75, None) == "Building · 1:15"


PARENT = """
import signal, sys; from pathlib import Path; from narration import run_shown
signal.signal(signal.SIGTERM, signal.default_int_handler)
grandchild = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
run_shown("Building", [sys.executable, "-c", child], log=Path(sys.argv[1]))
"""


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
def test_stopping_the_setup_stops_the_compilers_that_it_started(tmp_path):
    log = tmp_path / "log"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, log], cwd=PACKAGING, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    compiler = wait_for_number(log)
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(timeout=10) != 0
    assert is_gone(compiler)


def wait_for_number(log: Path) -> int:
    for _ in range(100):
        numbers = [line for line in log.read_text().splitlines() if line.isdigit()] if log.exists() else []
        if numbers:
            return int(numbers[0])
        time.sleep(0.1)
    raise AssertionError("the compiler did not start")


def is_gone(process: int) -> bool:
    for _ in range(50):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        if "\nState:\tZ" in Path(f"/proc/{process}/status").read_text():
            return True
        time.sleep(0.1)
    return False
