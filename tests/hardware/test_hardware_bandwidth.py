"""The RAM probe: a child that measures, answers that are not to be trusted, children that misbehave."""

import json
import subprocess
import sys
import time

import psutil
import pytest

from carryon.base.jobs import drained
from carryon.hardware.bandwidth import COMMAND, measuring_bandwidth, trusted

BLOCK = 256 << 20


def says(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"print({text!r})")


def test_a_real_probe_measures_or_says_that_it_cannot():
    found = drained(measuring_bandwidth())
    assert found is None or 1e9 < found < 2e12


def test_the_child_prints_one_line_of_json():
    answer = subprocess.run(COMMAND, capture_output=True, timeout=60, check=True).stdout
    assert list(json.loads(answer)) == ["bytes_per_s"]


def test_the_window_does_not_load_numpy_for_it():
    code = "import sys, carryon.hardware.bandwidth; print('numpy' in sys.modules)"
    answer = subprocess.run((sys.executable, "-c", code), capture_output=True, timeout=60, check=True, text=True)
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("passes_s", "found"),
    [
        ([0.010] * 5, BLOCK / 0.010),
        ([0.010, 0.0105, 0.011, 0.5, 0.9], BLOCK / 0.010),  # somebody else computed for a while
        ([0.010, 0.013, 0.016, 0.02, 0.03], None),  # all the time
        ([0.010, 0.010], None),
        ([], None),
    ],
)
def test_only_passes_that_agree_are_trusted(passes_s, found):
    assert trusted(passes_s, BLOCK) == found


def test_what_the_child_measured_is_the_answer():
    assert drained(measuring_bandwidth(says('{"bytes_per_s": 38e9}'))) == 38e9


@pytest.mark.parametrize(
    "text", ['{"bytes_per_s": null}', "{}", "no json", "", "[1]", '{"bytes_per_s": -1}', '{"bytes_per_s": "fast"}']
)
def test_any_other_answer_is_none(text):
    assert drained(measuring_bandwidth(says(text))) is None


def test_a_child_that_dies_or_cannot_start_is_none():
    assert drained(measuring_bandwidth((sys.executable, "-c", "raise SystemExit(3)"))) is None
    assert drained(measuring_bandwidth(("no-such-program",))) is None


def test_closing_the_work_ends_the_child():
    work = measuring_bandwidth((sys.executable, "-c", "import time; time.sleep(60)"))
    next(work)
    (child,) = psutil.Process().children()
    work.close()
    assert not child.is_running()


def test_waiting_never_blocks_for_long():
    work = measuring_bandwidth((sys.executable, "-c", "import time; time.sleep(60)"))
    longest_s = 0.0
    for _ in range(5):
        start = time.perf_counter()
        next(work)
        longest_s = max(longest_s, time.perf_counter() - start)
    work.close()
    assert longest_s < 0.5
