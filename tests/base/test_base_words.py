"""Units, paths and the log, as people meet them."""

import logging
from pathlib import Path

import pytest

from carryon.base import units
from carryon.base.log import start_log
from carryon.base.paths import home


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(None, "—"), (0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (6_100_000_000, "6.1 GB"), (141e9, "141 GB")],
)
def test_sizes(size_bytes, text):
    assert units.bytes_text(size_bytes) == text


@pytest.mark.parametrize(
    ("done_bytes", "total_bytes", "text"),
    [(1.24e9, 4.9e9, "1.2 of 4.9 GB"), (3e6, 141e9, "0 of 141 GB"), (0, 740, "0 of 740 bytes"),
     (5e5, 2e6, "0.5 of 2.0 MB")],
)  # fmt: skip
def test_how_much_is_here(done_bytes, total_bytes, text):
    assert units.done_text(done_bytes, total_bytes) == text


@pytest.mark.parametrize(
    ("bytes_per_s", "text"),
    [(None, "—"), (23.4e6, "23 MB/s"), (2.34e6, "2.3 MB/s"), (1.2e9, "1.2 GB/s"), (0, "0 bytes/s")],
)
def test_how_fast_bytes_come(bytes_per_s, text):
    assert units.rate_text(bytes_per_s) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(None, "—"), (0.2, "1 s left"), (59, "59 s left"), (60, "1 min left"), (170, "3 min left"),
     (4810, "1 h 20 min left"), (3599, "1 h 0 min left"), (200_000, "2 d 7 h left")],
)  # fmt: skip
def test_how_long_it_still_takes(duration_s, text):
    assert units.left_text(duration_s) == text


@pytest.mark.parametrize(("speed", "text"), [(None, "—"), (41.26, "41.3 tokens/s"), (2345.6, "2,346 tokens/s")])
def test_speeds(speed, text):
    assert units.speed_text(speed) == text


@pytest.mark.parametrize(("duration_s", "text"), [(None, "—"), (0.184, "0.18 s"), (12.4, "12 s"), (200, "3 min 20 s")])
def test_durations(duration_s, text):
    assert units.seconds_text(duration_s) == text


@pytest.mark.parametrize(("n_tokens", "text"), [(16384, "16k"), (5120, "5k"), (5000, "5,000"), (512, "512")])
def test_contexts(n_tokens, text):
    assert units.context_text(n_tokens) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(None, "—"), (0, "0.0 MB"), (5.25 * 2**20, "5.2 MB"), (90 * 2**20, "90 MB"), (8 * 2**30, "8.0 GB")],
)
def test_memory_is_counted_as_it_is_sold(size_bytes, text):
    assert units.memory_text(size_bytes) == text


def test_two_sizes_share_a_unit():
    assert units.memory_pair_text(4 * 2**30, 8 * 2**30) == "4.0 / 8.0 GB"
    assert units.memory_pair_text(None, 1) == "—"


def test_one_variable_moves_everything(tmp_path):
    moved = home({"CARRYON_HOME": str(tmp_path)})
    everything = (moved.settings, moved.chats, moved.models, moved.cache, moved.logs)
    assert all(one.is_relative_to(tmp_path) for one in everything)


def test_without_it_the_platform_decides():
    assert home({}).root != Path()
    assert "carryon" in str(home({}).root)


def test_the_log_strikes_secrets(tmp_path):
    path = start_log(tmp_path, "test")
    logger = logging.getLogger("carryon.test")
    logger.warning("token %s and Authorization: Bearer %s", "hf_" + "a" * 30, "s3cr3t-key")
    handler = logging.getLogger().handlers[-1]
    logging.getLogger().removeHandler(handler)
    handler.close()
    written = path.read_text()
    assert "[secret]" in written
    assert "hf_a" not in written
    assert "s3cr3t" not in written
