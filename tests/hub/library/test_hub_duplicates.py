"""The same model twice is found, with the space it takes; what only looks alike is not."""

import os
from dataclasses import replace

import pytest
from fakes.header_models import write_split_model
from fakes.model_shelves import Disk, tiny_model

from carryon.base.jobs import drained
from carryon.hub.library import duplicates
from carryon.hub.library.duplicates import finding_copies
from carryon.hub.library.index import Index
from carryon.hub.library.scanning import scanning
from carryon.hub.library.shelves import shelves


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path / "person")


@pytest.fixture
def find(disk, carryon_home):
    """Finds what lies on the disk twice; answers the names of each group."""
    index = Index(carryon_home.library)

    def call(*, news=lambda _: None):
        entries = drained(scanning(shelves(carryon_home.models, (), disk.around), index)).entries
        return drained(finding_copies(entries, index), news)

    yield call
    index.close()


def names(copies):
    return [entry.name for entry in copies.entries]


@pytest.fixture
def hashed(monkeypatch):
    """Which files were read for their hash."""
    read, true = [], duplicates.hashing

    def counted(path, *more):
        read.append(path.name)
        return true(path, *more)

    monkeypatch.setattr(duplicates, "hashing", counted)
    return read


def test_a_model_that_two_programs_keep_is_found(find, disk, carryon_home):
    path = tiny_model(carryon_home.models / "acme" / "tiny" / "own.gguf")
    tiny_model(disk.gpt4all / "theirs.gguf")
    tiny_model(disk.gpt4all / "another.gguf", title="Tony")
    (copies,) = find()
    assert names(copies) == ["theirs", "own"]  # what Carryon can delete comes last
    assert copies.wins_bytes == path.stat().st_size


def test_known_hashes_are_not_worked_out_again(find, disk, hashed):
    disk.in_cache("acme/tiny", "a.gguf")
    disk.in_ollama("b", "1")
    (copies,) = find()
    assert sorted(names(copies)) == ["a", "b:1"]
    assert hashed == []


def test_a_hash_is_worked_out_once(find, disk, hashed):
    for name in "ab":
        tiny_model(disk.gpt4all / f"{name}.gguf")
    first = find()
    assert sorted(hashed) == ["a.gguf", "b.gguf"]
    assert find() == first
    assert len(hashed) == 2


def test_files_that_differ_at_an_end_are_not_read(find, disk, hashed):
    """Fine-tunes of one model have the same size to the byte."""
    tiny_model(disk.gpt4all / "a.gguf", title="Tina")
    tiny_model(disk.gpt4all / "b.gguf", title="Tony")
    assert find() == ()
    assert hashed == []


def test_one_byte_in_the_middle_makes_another_file(find, disk):
    for name in "ab":
        path = tiny_model(disk.gpt4all / f"{name}.gguf")
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\1")
    assert find() == ()


def test_links_to_one_file_are_no_duplicates(find, disk):
    path = tiny_model(disk.gpt4all / "a.gguf")
    os.link(path, disk.gpt4all / "b.gguf")
    assert find() == ()


def test_split_models_are_compared_part_by_part(find, disk):
    for folder in (disk.lm_studio / "o" / "a", disk.lm_studio / "o" / "b"):
        folder.mkdir(parents=True)
        for part in write_split_model("smollm2-1.7b", folder, 2):
            os.truncate(part, 200_000)
    (copies,) = find()
    assert copies.wins_bytes == 400_000


def test_three_copies_leave_room_for_two(find, disk):
    for name in "abc":
        path = tiny_model(disk.gpt4all / f"{name}.gguf")
    assert find()[0].wins_bytes == 2 * path.stat().st_size


def test_a_file_that_goes_meanwhile_is_passed_over(disk, carryon_home, find):
    for name in "ab":
        path = tiny_model(disk.gpt4all / f"{name}.gguf")
    index = Index(carryon_home.library)
    entries = drained(scanning(shelves(carryon_home.models, (), disk.around), index)).entries
    path.unlink()
    gone = replace(entries[0], parts=(disk.gpt4all / "never.gguf",))
    assert drained(finding_copies((*entries, gone), index)) == ()
    index.close()


def test_the_progress_counts_the_bytes_that_are_read(find, disk, monkeypatch):
    monkeypatch.setattr(duplicates, "_HEARTBEAT_S", 0.0)
    monkeypatch.setattr(duplicates, "_BLOCK_BYTES", 10_000)
    for name in "ab":
        path = tiny_model(disk.gpt4all / f"{name}.gguf")
    news = []
    find(news=lambda one: news.append(one) if one and one.note else None)
    done = [one.done for one in news]
    assert done == sorted(done)
    assert done[-1] == news[-1].total == 2 * path.stat().st_size
