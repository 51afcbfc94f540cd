"""The kept list of downloads: everything comes back, and nothing that anybody wrote there does harm."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carryon.app.download_file import DownloadFile, Kept
from carryon.app.download_list import (
    Download,
    DownloadWish,
    FailedDownload,
    Finished,
    Paused,
    Queued,
    Running,
    Verifying,
    WaitingForNetwork,
)
from carryon.app.download_pace import Pace
from carryon.base.errors import AppError, EngineCrashed, NoAccess, Offline
from carryon.hub.repo import RepoFile

FILES = (RepoFile("a/m-00001-of-00002.gguf", 10, "0" * 64), RepoFile("README.md", 5))
WISH = DownloadWish("acme/tiny", "a" * 40, "tiny · Q4_K_M", FILES, Path("/models/acme/tiny").absolute(), "mit")


def kept(state, id="ab12", done_bytes=3, notice="It began again."):
    return Kept(Download(id, WISH, state, done_bytes, notice), frozenset({"README.md"}))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "downloads.json"


@pytest.fixture
def file(path):
    return DownloadFile(path)


@pytest.mark.parametrize("state", [Queued(), Paused(), Finished()])
def test_what_is_kept_comes_back(file, path, state):
    file.write([kept(state)], 1)
    assert DownloadFile(path).read() == (kept(state),)


@pytest.mark.parametrize("state", [Running(5.0, 3.0), Verifying(), WaitingForNetwork(Offline("No."), 3.0)])
def test_what_went_on_is_queued_again(file, path, state):
    file.write([kept(state)], 1)
    assert DownloadFile(path).read()[0].download.state == Queued()


def test_an_error_keeps_its_kind_and_its_words(file, path):
    file.write([kept(FailedDownload(NoAccess("No.", "Ask."))), kept(FailedDownload(EngineCrashed("Odd.")), "cd")], 1)
    first, second = (one.download.state.error for one in DownloadFile(path).read())
    assert (type(first), first.message, first.hint) == (NoAccess, "No.", "Ask.")
    assert (type(second), second.message) == (AppError, "Odd.")


def test_a_later_list_is_not_replaced_by_an_earlier_one(file, path):
    file.write([kept(Paused())], 2)
    file.write([], 1)
    assert len(DownloadFile(path).read()) == 1


def test_no_file_is_an_empty_list(file, path):
    assert file.read() == ()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"downloads": 3}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_list_is_set_aside(file, path, content):
    path.write_bytes(content)
    assert file.read() == ()
    assert not path.exists()
    assert [one.read_bytes() for one in path.parent.glob("downloads.json.damaged-*")] == [content]


def changed(**fields):
    """A list of one download with some fields other than they should be, and a good one after it."""
    good = {"id": "cd", "state": "paused", "repo_id": "acme/tiny", "commit": "a" * 40, "title": "t",
            "folder": "/models", "files": [{"path": "m.gguf", "size_bytes": 5, "sha256": None}]}  # fmt: skip
    return json.dumps({"downloads": [{**good, "id": "ab", **fields}, good]}).encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "../x"}, {"id": 7}, {"repo_id": "../../etc"}, {"commit": "main"}, {"folder": "models"}, {"files": []},
        {"files": [{"path": "../m.gguf", "size_bytes": 5}]}, {"files": [{"path": "/etc/passwd", "size_bytes": 5}]},
        {"files": [{"path": "m.gguf", "size_bytes": -1}]},
        {"files": [{"path": "m.gguf", "size_bytes": 5, "sha256": "x"}]},
        {"files": [{"path": 3, "size_bytes": 5}]}, {"files": None}, {"done_bytes": "many"}, {"state": "failed"},
        {"id": "cd"},
    ],
)  # fmt: skip
def test_a_bad_line_does_not_take_the_others_with_it(file, path, fields):
    path.write_bytes(changed(**fields))
    assert [one.download.id for one in file.read()] == ["cd"]


def test_more_than_all_cannot_be_here(file, path):
    path.write_bytes(changed(done_bytes=10**9, made=["m.gguf", "other"], state="hologram"))
    first = file.read()[0]
    assert first.download.done_bytes == 5
    assert first.made == {"m.gguf"}
    assert first.download.state == Queued()


@given(st.binary(max_size=200))
def test_no_content_stops_the_app(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("list") / "downloads.json"
    path.write_bytes(content)
    assert isinstance(DownloadFile(path).read(), tuple)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["downloads", "id", "files", "path", "size_bytes", "state", "error", "folder"]), inner
        ),
        max_leaves=12,
    )
)  # fmt: skip
def test_no_json_stops_the_app(tmp_path_factory, told):
    path = tmp_path_factory.mktemp("list") / "downloads.json"
    path.write_text(json.dumps({"downloads": told}))
    assert isinstance(DownloadFile(path).read(), tuple)


def paced(*seen):
    pace = Pace()
    for now_s, done_bytes in seen:
        pace.note(now_s, done_bytes)
    return pace


def test_a_speed_needs_a_second():
    assert paced().bytes_per_s is None
    assert paced((0, 0), (0.5, 500)).bytes_per_s is None
    assert paced((0, 0), (1.0, 500)).bytes_per_s == 500


def test_a_speed_is_of_the_last_five_seconds():
    slow = [(second, second * 10) for second in range(10)]
    fast = [(10 + second, 90 + second * 100) for second in range(8)]
    assert paced(*slow, *fast).bytes_per_s == pytest.approx(100)


def test_a_silence_brings_the_speed_down_to_nothing():
    pace = paced((0, 0), (2, 2000), (4, 2000), (8, 2000), (12, 2000))
    assert pace.bytes_per_s == 0
    assert pace.left_s(500) is None


def test_a_new_beginning_forgets_the_speed():
    pace = paced((0, 0), (2, 2000), (2.2, 100))
    assert pace.bytes_per_s is None
    pace = paced((0, 0), (2, 2000))
    pace.restart()
    assert pace.bytes_per_s is None


def test_what_is_left_takes_as_long_as_the_speed_says():
    assert paced((0, 0), (2, 2000)).left_s(3000) == 3
