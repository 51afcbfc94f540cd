"""llama.cpp's own tools, to compare with: built once, from the source we know (truly built: a quarter of an hour)."""

import sys

import pytest

import peers
from engine_choice import BASE_FLAGS
from narration import SetupFailed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake programs are shell scripts")



@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CARRYON_ENGINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_nothing_built_yet_is_said(own_cache, capsys):
    assert peers.main(["--where"]) == 1
    assert "run python3 packaging/peers.py" in capsys.readouterr().err


def test_what_is_built_is_printed_and_not_built_again(own_cache, capsys):
    with peers.cache().filling(peers.recipe()) as folder:
        (folder / "bin").mkdir()
    assert peers.main([]) == 0
    assert capsys.readouterr().out.strip() == str(own_cache / "peers" / peers.recipe().key / "bin")


def test_another_source_than_the_known_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "_run", lambda *_: (tmp_path / peers.SDIST).write_bytes(b"another source"))
    with pytest.raises(SetupFailed, match=r"gave another llama_cpp_python-0\.3\.36\.tar\.gz"):
        peers.fetched_sdist(tmp_path, tmp_path / "log")


def test_a_missing_compiler_is_said(own_cache, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "/nowhere/c++")
    assert peers.main([]) == 1
    assert "a C++ compiler" in capsys.readouterr().err


def test_they_are_built_as_the_engine_is():
    assert set(BASE_FLAGS) < set(peers.recipe().flags)
