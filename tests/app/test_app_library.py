"""The library looks by itself, tells what it finds, renames, deletes with a way back, and notices what others do."""

import json
from dataclasses import replace

import pytest
from fakes.header_models import write_split_model
from fakes.main_thread import MainThread
from fakes.model_shelves import Disk, tiny_model

from carryon.app.library import Library
from carryon.app.model_trash import TRASH, ModelTrash
from carryon.base.errors import BadFile, BadInput
from carryon.base.jobs import Runner, drained
from carryon.base.settings import RecentModel, SettingsFile
from carryon.hub.origin import Origin, read_origin, write_origin


class Desk:
    """A library on a disk, and the thread that its news run on."""

    def __init__(self, home, disk):
        self.home, self.disk, self.main = home, disk, MainThread()
        self.settings = SettingsFile(home.settings)
        self.runner = Runner(self.main.post)
        self.library = Library(home, self.settings, self.runner, disk.around)
        self.states = []
        self.library.listen(self.states.append)

    def settle(self):
        """Until everything is known."""
        self.main.run_until(lambda: self.is_settled)
        return self.library.entries

    @property
    def is_settled(self):
        state = self.library.state
        return state.scan is not None and not state.is_scanning and not state.n_unchecked

    def look(self):
        self.library.refresh()
        return self.settle()

    def end(self):
        assert self.runner.end()
        self.library.close()


@pytest.fixture
def desk(carryon_home, tmp_path):
    made = Desk(carryon_home, Disk(tmp_path / "person"))
    yield made
    made.end()


@pytest.fixture
def own(carryon_home):
    path = tiny_model(carryon_home.models / "acme" / "tiny-GGUF" / "tiny-Q4_K_M.gguf")
    write_origin(path, Origin("acme/tiny-GGUF", path.name, "c" * 40, "b" * 64, path.stat().st_size, "mit"))
    return path


def names(entries):
    return [one.name for one in entries]


def test_before_the_first_look_nothing_is_said(desk):
    assert desk.states[0].scan is None
    assert desk.library.entries == ()


def test_a_look_finds_everything_and_then_knows_it_well(desk, own):
    desk.disk.in_ollama("llama3.2", "3b")
    assert names(desk.look()) == ["tiny-Q4_K_M", "llama3.2:3b"]
    assert all(one.known.is_checked and one.known.n_params for one in desk.library.entries)
    assert any(one.scan and one.n_unchecked for one in desk.states)  # it was shown before it was known well


def test_looks_that_are_asked_for_meanwhile_become_one(desk, own):
    for _ in range(5):
        desk.library.refresh()
    desk.settle()
    desk.main.run_for(0.1)
    began = [one for one, before in zip(desk.states[1:], desk.states, strict=False)
             if one.is_scanning and not before.is_scanning]  # fmt: skip
    assert len(began) == 2


def test_what_is_here_of_a_repository(desk, own):
    desk.disk.in_cache("Acme/Tiny-gguf", "tiny-Q8_0.gguf")
    desk.look()
    assert sorted(names(desk.library.models_here("acme/tiny-GGUF"))) == ["tiny-Q4_K_M", "tiny-Q8_0"]


def test_what_others_do_is_noticed(desk, own):
    desk.look()
    desk.library.look_for_changes()
    desk.main.run_for(0.2)
    assert not desk.library.state.is_scanning
    tiny_model(desk.disk.lm_studio / "o" / "r" / "new.gguf")  # a program that was not there before
    desk.library.look_for_changes()
    desk.main.run_until(lambda: len(desk.library.entries) == 2)
    own.unlink()
    desk.settle()
    desk.library.look_for_changes()
    desk.main.run_until(lambda: names(desk.library.entries) == ["new"])


def test_a_model_that_is_loaded_has_a_date(desk, own):
    desk.look()
    desk.library.used(own)
    desk.main.run_until(lambda: bool(desk.library.entries and desk.library.entries[0].last_used_s))


def test_a_load_before_anybody_asked_for_the_library_looks_at_nothing(desk, own):
    desk.library.used(own)
    assert not desk.library.state.is_scanning
    assert desk.look()[0].last_used_s


# names


def test_a_file_of_carryon_is_renamed_with_what_is_known_of_it(desk, own):
    desk.settings.change(lambda now: now.with_recent(RecentModel(str(own), 4096, 0)))
    (entry,) = desk.look()
    renamed = desk.library.rename(entry, "  My   model ")
    assert renamed.path.name == "My model.gguf"
    assert not own.exists()
    assert read_origin(renamed.path).repo_id == "acme/tiny-GGUF"
    assert desk.settings.now.recent_models[0].path == str(renamed.path)
    desk.main.run_until(lambda: names(desk.library.entries) == ["My model"])
    renamed.undo()
    assert own.exists()
    assert read_origin(own)
    assert desk.settings.now.recent_models[0].path == str(own)


def test_parts_keep_their_numbers(desk, carryon_home):
    carryon_home.models.mkdir(parents=True)
    write_split_model("smollm2-1.7b", carryon_home.models, 2)
    (entry,) = desk.look()
    desk.library.rename(entry, "small")
    assert sorted(one.name for one in carryon_home.models.glob("*.gguf")) == [
        "small-00001-of-00002.gguf", "small-00002-of-00002.gguf",
    ]  # fmt: skip


def test_a_file_of_another_program_keeps_its_name_and_is_called_otherwise(desk):
    blob = desk.disk.in_ollama("llama3.2", "3b")
    (entry,) = desk.look()
    renamed = desk.library.rename(entry, "My llama")
    desk.main.run_until(lambda: names(desk.library.entries) == ["My llama"])
    assert blob.exists()
    renamed.undo()
    desk.main.run_until(lambda: names(desk.library.entries) == ["llama3.2:3b"])


@pytest.mark.parametrize("name", ["", "  ", "a/b", "../x", "..", "con", "a:b", ".hidden", "-rf", "x" * 200, "a\0b"])
def test_a_name_that_no_file_may_have_is_refused(desk, own, name):
    (entry,) = desk.look()
    with pytest.raises(BadInput):
        desk.library.rename(entry, name)
    assert own.exists()


def test_a_name_that_is_taken_is_refused(desk, own):
    tiny_model(own.with_name("other.gguf"))
    entry = next(one for one in desk.look() if one.path == own)
    with pytest.raises(BadInput, match=r"other\.gguf already"):
        desk.library.rename(entry, "other")


# the trash


def test_the_trash_gives_back_every_byte(desk, own):
    content = own.read_bytes()
    (entry,) = desk.look()
    trashed = desk.library.move_to_trash(entry)
    desk.main.run_until(lambda: desk.library.entries == () and desk.is_settled)
    assert not own.parent.exists()
    assert [one.name for one in desk.library.state.trashed] == ["tiny-Q4_K_M"]
    assert desk.library.state.trashed[0].size_bytes >= entry.size_bytes
    desk.library.put_back(trashed)
    assert own.read_bytes() == content
    assert desk.settle()[0].origin.licence == "mit"


def test_files_of_other_programs_are_not_touched(desk):
    blob = desk.disk.in_ollama("llama3.2", "3b")
    (entry,) = desk.look()
    with pytest.raises(BadInput, match="not Carryon's"):
        desk.library.move_to_trash(entry)
    assert blob.exists()


def test_emptying_frees_the_disk(desk, own, carryon_home):
    (entry,) = desk.look()
    trashed = desk.library.move_to_trash(entry)
    desk.settle()
    desk.library.empty_trash()
    desk.main.run_until(lambda: not (carryon_home.models / TRASH).exists())
    with pytest.raises(BadFile, match="no longer in the trash"):
        desk.library.put_back(trashed)


def test_a_move_that_fails_leaves_everything_in_place(tmp_path):
    first = tiny_model(tmp_path / "models" / "a.gguf")
    trash = ModelTrash(tmp_path / "models")
    with pytest.raises(BadFile):
        trash.put("a", [first, tmp_path / "models" / "gone.gguf"])
    assert first.exists()
    assert trash.content() == ()


def test_a_list_that_was_written_by_somebody_else_leads_nowhere(tmp_path):
    folder = tmp_path / "models" / TRASH / "x"
    folder.mkdir(parents=True)
    (folder / "0-a.gguf").write_bytes(b"x")
    for place in ("/etc/a.gguf", "../a.gguf", str(tmp_path / "models" / ".." / "a.gguf")):
        told = {"name": "a", "when_s": 1, "files": [{"from": place, "as": "0-a.gguf"}]}
        (folder / "trashed.json").write_text(json.dumps(told))
        assert ModelTrash(tmp_path / "models").content() == ()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"files": 1}', "[" * 100_000])
def test_nonsense_in_the_trash_is_passed_over(tmp_path, content):
    folder = tmp_path / "models" / TRASH / "x"
    folder.mkdir(parents=True)
    (folder / "trashed.json").write_text(content)
    assert ModelTrash(tmp_path / "models").content() == ()


# folders


def test_a_folder_is_added_and_removed(desk, tmp_path):
    tiny_model(tmp_path / "mine" / "x.gguf")
    desk.library.add_folder(tmp_path / "mine")
    assert names(desk.settle()) == ["x"]
    desk.library.remove_folder(tmp_path / "mine")
    desk.main.run_until(lambda: desk.library.entries == ())
    assert SettingsFile(desk.home.settings).now.model_folders == ()


def test_a_folder_that_is_none_or_known_already_is_refused(desk, tmp_path):
    with pytest.raises(BadInput, match="no folder"):
        desk.library.add_folder(tmp_path / "absent")
    desk.disk.lm_studio.mkdir(parents=True)
    with pytest.raises(BadInput, match="already"):
        desk.library.add_folder(desk.disk.lm_studio)


def test_duplicates_are_found_among_all(desk, own):
    tiny_model(desk.disk.gpt4all / "same.gguf")
    own.with_name(own.name + ".origin.json").unlink()
    desk.look()
    (copies,) = drained(desk.library.finding_copies())
    assert names(copies.entries) == ["same", "tiny-Q4_K_M"]


def test_settings_of_an_older_version_have_no_folders(desk):
    assert desk.settings.now == replace(desk.settings.now, model_folders=())
