"""What is known of where a file came from survives, and nonsense beside a file is no knowledge."""

import json

import pytest

from carryon.hub.origin import Origin, origin_file, read_origin, write_origin

ORIGIN = Origin("acme/tiny", "sub/m.gguf", "a" * 40, "b" * 64, 123, "mit")


def test_it_is_read_as_it_was_written(tmp_path):
    write_origin(tmp_path / "m.gguf", ORIGIN)
    assert read_origin(tmp_path / "m.gguf") == ORIGIN


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b"null", b"{}", b"\xff", b"[" * 100_000])
def test_nonsense_is_no_origin(tmp_path, content):
    origin_file(tmp_path / "m.gguf").write_bytes(content)
    assert read_origin(tmp_path / "m.gguf") is None


@pytest.mark.parametrize("change", [{"commit": "../x"}, {"sha256": "x"}, {"size_bytes": "5"}, {"size_bytes": None}])
def test_a_field_that_cannot_be_is_no_origin(tmp_path, change):
    write_origin(tmp_path / "m.gguf", ORIGIN)
    told = json.loads(origin_file(tmp_path / "m.gguf").read_text()) | change
    origin_file(tmp_path / "m.gguf").write_text(json.dumps(told))
    assert read_origin(tmp_path / "m.gguf") is None


def test_no_file_is_no_origin(tmp_path):
    assert read_origin(tmp_path / "m.gguf") is None
