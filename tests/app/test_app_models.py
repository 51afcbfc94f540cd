"""A model is named by 'guide', by a file or by its name in the library."""

import os
from pathlib import Path

import pytest
from fakes.model_shelves import Disk, tiny_model, tiny_projector

from carryon.app import models
from carryon.base.errors import BadFile, BadInput


@pytest.fixture
def library(carryon_home):
    """Some files as a person would have them: only names matter here."""
    names = ("a/one/small-Q4_K_M.gguf", "b/two/big-00001-of-00002.gguf", "b/two/big-00002-of-00002.gguf")
    for name in (*names, "c/three/same.gguf", "d/four/same.gguf"):
        path = carryon_home.models / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF")
    return carryon_home


def test_the_guide_is_always_there(carryon_home):
    assert models.find("guide", carryon_home).is_guide


def test_a_file_is_named_by_its_path(carryon_home, tmp_path):
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF")
    found = models.find(str(path), carryon_home)
    assert (found.path, found.name) == (path, "mine")


@pytest.mark.parametrize("name", ["small-Q4_K_M", "small-q4_k_m.gguf", "a/one/small-Q4_K_M"])
def test_a_model_of_the_library_is_named_without_its_folder(library, name):
    assert models.find(name, library).path.name == "small-Q4_K_M.gguf"


def test_only_the_first_part_of_a_split_model_is_listed(library):
    assert [one.name for one in models.library(library)] == ["small-Q4_K_M", "big-00001-of-00002", "same", "same"]


def test_a_name_that_means_two_models_asks_back(library):
    with pytest.raises(BadInput, match=r"c/three/same\.gguf, d/four/same\.gguf"):
        models.find("same", library)


def test_a_name_that_means_nothing_says_what_would(library):
    with pytest.raises(BadInput, match="no model") as error:
        models.find("absent", library)
    assert "guide" in error.value.hint


def test_what_is_only_on_the_hub_says_how_to_get_it(library):
    with pytest.raises(BadInput, match="no model") as error:
        models.find("acme/tiny-GGUF:Q4_K_M", library)
    assert "carryon get acme/tiny-GGUF:Q4_K_M" in error.value.hint


def test_what_is_in_the_trash_is_not_listed(library):
    path = library.models / "a" / "one" / "small-Q4_K_M.gguf"
    (library.models / ".trash" / "x").mkdir(parents=True)
    path.rename(library.models / ".trash" / "x" / path.name)
    assert "small-Q4_K_M" not in [one.name for one in models.library(library)]


@pytest.mark.parametrize("named", ["", "~nobody-has-this-name/x", "a\0b", "x" * 5000])
def test_a_name_that_no_file_can_have_is_told_in_words(carryon_home, named):
    with pytest.raises((BadInput, BadFile)):
        models.find(named, carryon_home)


def test_an_empty_home_has_an_empty_library(carryon_home):
    assert models.library(carryon_home) == ()


def test_facts_without_loading(tiny_model):
    known = models.facts(models.ModelFile(tiny_model, "tiny", str(tiny_model)))
    assert known.architecture == "llama"
    assert known.n_gpu_layers_max == known.n_layers + 1
    assert known.size_bytes == tiny_model.stat().st_size


def test_a_file_without_a_model_is_refused(tmp_path):
    path = tmp_path / "vocabulary.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(16))
    with pytest.raises(BadFile, match="no model"):
        models.facts(models.ModelFile(path, "v", str(path)))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_model_and_is_not_waited_for(tmp_path, carryon_home):
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(BadInput, match="no ordinary file"):
        models.find(str(tmp_path / "pipe.gguf"), carryon_home)


def test_what_other_programs_keep_can_be_loaded_too_and_says_where_it_lies(carryon_home):
    own = tiny_model(carryon_home.models / "own.gguf")
    disk = Disk(Path.home())
    theirs = tiny_model(disk.lm_studio / "acme" / "tiny-GGUF" / "tiny-Q4_K_M.gguf")
    blob = disk.in_ollama("llama3.2", "3b")
    (disk.lm_studio / "acme" / "tiny-GGUF" / "broken.gguf").write_bytes(b"GGUF")
    tiny_projector(disk.lm_studio / "acme" / "tiny-GGUF" / "mmproj.gguf")
    found = {one.name: one.path for one in models.every(carryon_home)}
    assert found == {"own": own, "tiny-Q4_K_M (LM Studio)": theirs, "llama3.2:3b (Ollama)": blob}
