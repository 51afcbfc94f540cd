"""The record of what is here is read as it was written, and nonsense in its place is no record."""

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carryon.hub.fetching.file_lock import FileLock
from carryon.hub.fetching.sidecar import Identity, Record, forget, keep, kept, sidecar_file

IDENTITY = Identity("e" * 64, f"sha256:{'e' * 64}", 1000)
RECORD = Record(IDENTITY, ((0, 10), (20, 1000)), 100, ("0" * 16, "f" * 16))
FIELDS = ["version", "size_bytes", "done", "marks", "mark_bytes", "etag", "sum"]
words = st.text(max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | words | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "m.gguf"


def test_it_is_read_as_it_was_written(target):
    keep(target, RECORD, "https://hub/x?X-Amz-Signature=secret")
    assert kept(target) == RECORD
    assert "secret" not in sidecar_file(target).read_text()
    assert RECORD.done_bytes == 990


def test_it_is_forgotten(target):
    keep(target, RECORD, "")
    forget(target)
    assert kept(target) is None
    assert list(target.parent.iterdir()) == [] or [one.name for one in target.parent.iterdir()] == ["home"]


@pytest.mark.parametrize("change", [
    {"version": 2}, {"size_bytes": -1}, {"size_bytes": "1000"}, {"done": [[5, 1]]}, {"done": [[0, 1001]]},
    {"done": [[-1, 5]]}, {"done": [[0, 10], [10, 20]]}, {"done": [[0, 10], [5, 20]]}, {"done": [1]}, {"done": [[0]]},
    {"done": {}}, {"done": [[0.0, 1.0]]}, {"marks": ["x"]}, {"marks": ["0" * 16] * 11}, {"marks": [5]}, {"marks": "0"},
    {"mark_bytes": 0}, {"mark_bytes": None}, {"done": None},
])  # fmt: skip
def test_a_record_that_cannot_be_is_none(target, change):
    keep(target, RECORD, "")
    told = json.loads(sidecar_file(target).read_text()) | change
    sidecar_file(target).write_text(json.dumps(told))
    assert kept(target) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_whatever_stands_there_nothing_breaks(target, change):
    told = {
        "version": 1, "url": "", "etag": "", "sum": "", "size_bytes": 1000, "done": [], "mark_bytes": 100, "marks": [],
    } | change  # fmt: skip
    sidecar_file(target).write_text(json.dumps(told))
    assert isinstance(kept(target), Record | None)


# ---- the lock


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path):
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.take()
    assert not second.take()
    first.release()
    first.release()
    assert second.take()
    second.release()
    assert not (tmp_path / "lock").exists()


def test_a_lock_whose_file_was_removed_meanwhile_is_not_believed(tmp_path):
    path = tmp_path / "lock"
    first, second = FileLock(path), FileLock(path)
    assert first.take()
    handle = os.open(path, os.O_RDWR)
    first.release()
    assert second.take()
    os.close(handle)
    second.release()
