"""Measurements are kept over restarts, bounded, and never the reason that anything else fails."""

import sqlite3
import threading
from dataclasses import replace

import pytest

from carryon.app.measurements import MOST_ROWS, Measurements
from carryon.base.paths import Home
from carryon.fit.calibration import DeviceTime, Learnt, MemoryObservation, SpeedObservation, Task
from carryon.fit.room import Backend
from carryon.gguf.quants import KvType

GB, DAY_S = 1 << 30, 86400.0
KEY = ("llama", "NVIDIA GeForce RTX 4060", Backend.CUDA, KvType.Q8_0)
LOAD = MemoryObservation(*KEY, 4 * GB, 4 * GB, 4 * GB + (64 << 20), 0.0)
TIMES = (DeviceTime(KEY[1], Backend.CUDA, 4.6e9, 250e9, 32, 50e-6), DeviceTime("RAM", Backend.CPU, 1e9, 30e9))
ANSWER = SpeedObservation(Task.DECODE, "llama Q4_K_M 4900000000", TIMES, 0.05, 0.08, 0.0)


class Clock:
    """A clock that stands still until it is set."""

    now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(carryon_home: Home, clock: Clock):
    measurements = Measurements(carryon_home.library, clock)
    yield measurements
    measurements.close()


def test_a_new_home_has_learnt_nothing(kept):
    assert kept.learnt() == Learnt()


def test_what_was_added_is_learnt_from(kept):
    kept.add([LOAD])
    kept.add([ANSWER])
    learnt = kept.learnt()
    assert learnt.memory[KEY].offset_bytes == 64 << 20
    assert learnt.lesson(Task.DECODE, "RAM", Backend.CPU).work_per_s < 30e9


def test_it_lasts_over_a_restart(kept, carryon_home):
    kept.add([LOAD, ANSWER])
    before = kept.learnt()
    kept.close()
    again = Measurements(carryon_home.library)
    assert again.learnt() == before
    again.close()


def test_learning_is_done_once_after_each_addition(kept):
    kept.add([LOAD])
    first = kept.learnt()
    assert kept.learnt() is first
    kept.add([LOAD])
    assert kept.learnt() is not first


def test_the_time_is_written_by_the_keeper(kept, clock, carryon_home):
    kept.add([LOAD])
    with sqlite3.connect(carryon_home.library) as db:
        assert db.execute("SELECT when_s FROM observation").fetchall() == [(clock.now_s,)]


def test_rows_are_bounded(kept, carryon_home):
    kept.add([LOAD] * MOST_ROWS)
    kept.add([replace(LOAD, measured_bytes=5 * GB)] * 10)
    with sqlite3.connect(carryon_home.library) as db:
        assert db.execute("SELECT count(*) FROM observation").fetchone() == (MOST_ROWS,)
    assert kept.learnt().memory[KEY].offset_bytes > 64 << 20  # the newest are the ones that stayed


def test_the_ram_is_known_by_its_processor_for_thirty_days(kept, clock):
    assert kept.ram_bytes_per_s("Ryzen") is None
    kept.keep_ram_bytes_per_s("Ryzen", 38e9)
    assert kept.ram_bytes_per_s("Ryzen") == 38e9
    assert kept.ram_bytes_per_s("Core") is None
    clock.now_s += 31 * DAY_S
    assert kept.ram_bytes_per_s("Ryzen") is None
    kept.keep_ram_bytes_per_s("Ryzen", 40e9)
    assert kept.ram_bytes_per_s("Ryzen") == 40e9


def test_a_processor_without_a_name_is_a_processor(kept):
    kept.keep_ram_bytes_per_s(None, 20e9)
    assert kept.ram_bytes_per_s(None) == 20e9


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\x00" + bytes(5000), b"\x00" * 10])
def test_a_damaged_file_is_set_aside(carryon_home, content):
    carryon_home.root.mkdir()
    carryon_home.library.write_bytes(content)
    measurements = Measurements(carryon_home.library)
    measurements.add([LOAD])
    assert KEY in measurements.learnt().memory
    measurements.close()
    (aside,) = carryon_home.root.glob("library.sqlite.damaged-*")
    assert aside.read_bytes() == content


def test_a_place_that_cannot_be_written_costs_only_the_memory_of_it(tmp_path):
    (tmp_path / "file").write_text("in the way")
    measurements = Measurements(tmp_path / "file" / "library.sqlite")
    measurements.add([LOAD])
    assert KEY in measurements.learnt().memory
    measurements.close()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [("memory", "{}"), ("memory", "half a"), ("speed", '{"task": "dream"}'), ("dream", "{}"), ("speed", "[]")],
)
def test_a_row_of_another_version_is_passed_over(kept, carryon_home, kind, fields):
    kept.add([LOAD])
    with sqlite3.connect(carryon_home.library) as db:
        db.execute("INSERT INTO observation(kind, when_s, fields) VALUES (?, 1, ?)", (kind, fields))
    kept.add([LOAD])
    assert list(kept.learnt().memory) == [KEY]


def test_a_table_that_vanished_is_no_crash(kept, carryon_home):
    with sqlite3.connect(carryon_home.library) as db:
        db.execute("DROP TABLE observation")
        db.execute("DROP TABLE ram_speed")
    kept.add([LOAD])
    kept.keep_ram_bytes_per_s("Ryzen", 1e9)
    assert kept.learnt() == Learnt()
    assert kept.ram_bytes_per_s("Ryzen") is None


def test_after_the_end_nothing_is_kept_and_nothing_fails(kept):
    kept.close()
    kept.add([LOAD])
    assert kept.learnt() == Learnt()


def test_two_windows_of_one_home_share_it(kept, carryon_home):
    other = Measurements(carryon_home.library)
    other.add([LOAD])
    kept.add([ANSWER])
    assert KEY in kept.learnt().memory
    other.close()


def test_any_thread_may_add(kept):
    threads = [threading.Thread(target=kept.add, args=([LOAD],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.learnt().memory[KEY].offset_bytes == 64 << 20
