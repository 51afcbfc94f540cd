"""What the Library page can be asked: verdicts of what is seen, names, the trash, folders, duplicates, fields."""

from dataclasses import replace

import pytest
from fakes import fake_engine, machines
from fakes.evaluated import BASE, MEASURED
from fakes.main_thread import MainThread
from fakes.model_shelves import tiny_model

from carryon.app.fits_here import NOTICED_BYTES, FitHere, Judge, moved
from carryon.app.host import LoadedModel
from carryon.app.models import ModelFile
from carryon.app.services import build
from carryon.base.errors import AppError, BadFile
from carryon.evaluate.result import Evaluation
from carryon.fit.plan import Verdict
from carryon.hardware.machine import GpuUse, Memory, MemoryUse
from carryon.hub.library.shelves import Program
from carryon.ui.library import texts
from carryon.ui.library.form import Column
from carryon.ui.library.presenter import LibraryPresenter

GB = 2**30


class Page:
    """A view that remembers what it was shown."""

    def __init__(self):
        self.forms, self.said = [], []

    def show_form(self, form):
        self.forms.append(form)

    def say(self, words, undo=None):
        self.said.append((words, undo))


class Desk:
    """A presenter on true services, and the thread that its news run on."""

    def __init__(self, home):
        self.main, self.page = MainThread(), Page()
        self.services = one = build(home, self.main.post, fake_engine.command())
        one.fitting.measurements.keep_ram_bytes_per_s(machines.WITH_GPU.cpu.name, 40e9)
        self.presenter = LibraryPresenter(one.library, one.runner, one.host, one.fitting, self.page)

    def open(self, machine=machines.WITH_GPU):
        self.presenter.set_machine(machine)
        self.presenter.open()
        self.settle()
        return self.presenter

    def settle(self):
        self.main.run_until(lambda: self.is_settled)

    @property
    def is_settled(self):
        state = self.form.state
        return state.scan is not None and not state.is_scanning and not state.n_unchecked

    @property
    def form(self):
        return self.presenter.form

    def judged(self, path):
        self.main.run_until(lambda: path in self.form.judged)
        return self.form.judged[path]


@pytest.fixture
def desk(carryon_home):
    made = Desk(carryon_home)
    yield made
    made.services.end()


# verdicts


def test_only_what_is_seen_or_chosen_is_judged(desk, full, own):
    presenter = desk.open()
    desk.main.run_for(0.2)
    assert desk.form.judged == {}
    presenter.select(own)
    answer = desk.judged(own)
    assert isinstance(answer, FitHere)
    assert answer.verdict is Verdict.GPU
    desk.main.run_for(0.2)
    assert set(desk.form.judged) == {own}


def test_who_sorts_by_it_gets_every_verdict(desk, full, own):
    presenter = desk.open()
    presenter.sort(Column.FIT, is_descending=False)
    usable = {one.path for one in desk.form.state.entries if one.is_usable}
    desk.main.run_until(lambda: set(desk.form.judged) == usable)
    assert [one.is_usable for one in desk.form.rows] == [True, True, True, False, False]


def test_a_model_that_this_build_does_not_know_says_so(desk, disk):
    path = tiny_model(disk.gpt4all / "new.gguf", **{"general.architecture": "tomorrow", "tomorrow.block_count": 2})
    desk.open().select(path)
    answer = desk.judged(path)
    assert isinstance(answer, AppError)
    assert texts.row(desk.form.entry, desk.form).cells[Column.FIT] == "cannot run here"


def test_another_machine_judges_anew_and_shows_the_old_answer_meanwhile(desk, own):
    presenter = desk.open()
    presenter.select(own)
    before = desk.judged(own)
    presenter.set_machine(machines.CPU_ONLY)
    assert desk.form.judged[own] == before
    desk.main.run_until(lambda: desk.form.judged[own] != before)
    assert desk.form.judged[own].verdict is Verdict.RAM
    assert not desk.form.has_gpu


def test_small_changes_of_memory_judge_nothing_anew(desk, own):
    presenter = desk.open()
    use = MemoryUse(machines.WITH_GPU.ram, (GpuUse("NVIDIA GeForce RTX 4060", GB, 8 * GB),))
    presenter.set_use(use)
    shown = len(desk.page.forms)
    presenter.set_use(replace(use, ram=replace(use.ram, available_bytes=use.ram.available_bytes - (100 << 20))))
    assert len(desk.page.forms) == shown
    presenter.set_use(replace(use, ram=replace(use.ram, available_bytes=use.ram.available_bytes - 2 * NOTICED_BYTES)))
    assert len(desk.page.forms) > shown


def test_memory_that_another_card_brings_is_noticed():
    one = MemoryUse(Memory(8 * GB, 4 * GB))
    assert moved(one, MemoryUse(Memory(8 * GB, 4 * GB), (GpuUse("x", 1, 2),)))
    assert not moved(one, one)


def test_a_file_that_changed_is_judged_anew(desk, own):
    presenter = desk.open()
    presenter.select(own)
    desk.judged(own)
    own.write_bytes(b"GGUF")
    presenter.look_again()
    desk.main.run_until(lambda: own not in desk.form.judged)


def test_a_judge_reads_a_file_once(desk, own, monkeypatch):
    desk.open()
    entry, judge = desk.form.state.entries[0], Judge()
    site = desk.services.fitting.site(machines.WITH_GPU)
    first = [news for news in judge.judging([entry], site) if news]
    monkeypatch.setattr("carryon.app.fits_here.read_shape", None)
    assert [news for news in judge.judging([entry], site) if news] == first


# names and the trash


def test_a_model_that_is_loaded_is_neither_renamed_nor_deleted(desk, own):
    presenter = desk.open()
    host = desk.services.host
    host.load(host.wish_for(ModelFile(own, own.stem, str(own))))
    desk.main.run_until(lambda: isinstance(host.state, LoadedModel))
    presenter.rename(own, "other")
    assert not presenter.move_to_trash(own)
    assert [words for words, _ in desk.page.said] == [texts.LOADED, texts.LOADED]
    assert own.exists()


@pytest.mark.parametrize("name", ["", "   ", "Qwen3-8B-Q4_K_M"])
def test_no_name_and_the_same_name_change_nothing(desk, own, name):
    desk.open().rename(own, name)
    assert desk.page.said == []
    assert own.exists()


def test_what_is_gone_meanwhile_does_no_harm(desk, own):
    presenter = desk.open()
    gone = own.with_name("gone.gguf")
    presenter.rename(gone, "x")
    assert not presenter.move_to_trash(gone)
    own.unlink()
    assert not presenter.move_to_trash(own)
    assert "is not there" in desk.page.said[-1][0]
    desk.main.run_until(lambda: desk.is_settled and desk.form.state.entries == ())


def test_the_last_row_hands_the_choice_to_the_one_before(desk, full, own):
    presenter = desk.open()
    presenter.sort(Column.NAME, is_descending=True)
    presenter.select(own)
    presenter.search("qwen")
    presenter.move_to_trash(own)
    assert desk.form.selected is None


def test_an_undo_that_comes_too_late_says_why(desk, own):
    presenter = desk.open()
    presenter.move_to_trash(own)
    undo = desk.page.said[-1][1]
    presenter.empty_trash()
    desk.main.run_until(lambda: desk.is_settled and not desk.form.state.trashed)
    undo()
    assert "no longer in the trash" in desk.page.said[-1][0]


# places


def test_a_place_that_is_empty_now_is_no_filter_any_more(desk, full):
    presenter = desk.open()
    presenter.show_place(Program.LM_STUDIO)
    assert len(desk.form.rows) == 1
    desk.form.rows[0].path.unlink()
    presenter.look_again()
    desk.main.run_until(lambda: desk.form.place is None)


def test_a_folder_that_is_none_says_so(desk, tmp_path):
    desk.open().add_folder(tmp_path / "absent")
    assert "no folder" in desk.page.said[-1][0]


def test_an_added_folder_without_models_can_be_chosen_and_removed(desk, full, tmp_path):
    (tmp_path / "mine").mkdir()
    presenter = desk.open()
    presenter.add_folder(tmp_path / "mine")
    desk.main.run_until(lambda: tmp_path / "mine" in desk.form.places)
    presenter.show_place(tmp_path / "mine")
    assert desk.form.rows == ()
    presenter.remove_folder(tmp_path / "mine")
    desk.main.run_until(lambda: tmp_path / "mine" not in desk.form.places)
    assert desk.form.place is None


def test_an_added_folder_that_is_gone_is_named(desk, full, tmp_path):
    (tmp_path / "mine").mkdir()
    presenter = desk.open()
    presenter.add_folder(tmp_path / "mine")
    desk.main.run_until(lambda: tmp_path / "mine" in desk.form.places)
    (tmp_path / "mine").rmdir()
    presenter.watch()
    desk.main.run_until(lambda: texts.troubles(desk.form) != ())
    assert str(tmp_path / "mine") in texts.troubles(desk.form)[0]


# duplicates and fields


def test_a_comparison_ends_with_an_answer_or_without_one(desk, full):
    presenter, ends = desk.open(), []
    presenter.find_copies(lambda _: None, ends.append)
    desk.main.run_until(lambda: ends != [])
    assert ends == [()]
    presenter.stop_comparing()


def test_the_fields_of_a_file_that_is_gone_are_an_error(desk, own):
    presenter, ends = desk.open(), []
    presenter.read_fields(own.with_name("gone.gguf"), ends.append)
    desk.main.run_until(lambda: ends != [])
    assert isinstance(ends[0], BadFile)


# how a model was made, and what was measured


def test_what_is_chosen_tells_its_story(desk, carryon_home):
    path = tiny_model(carryon_home.models / "m-Q4_K_M.gguf", **{"carryon.converter": "0.4.0"})
    presenter = desk.open()
    presenter.select(path)
    desk.main.run_until(lambda: path in desk.form.stories)
    assert desk.form.stories[path].making.converter == "0.4.0"
    assert desk.form.stories[path].quality is None


def test_what_was_measured_meanwhile_is_seen_when_the_page_is_opened(desk, carryon_home):
    path = tiny_model(carryon_home.models / "m-Q4_K_M.gguf")
    base = tiny_model(carryon_home.models / "m-F16.gguf", quant_type=1, n_embd=512)
    presenter = desk.open()
    presenter.select(path)
    desk.main.run_until(lambda: path in desk.form.stories)
    measured = replace(MEASURED, path=path, base=base)
    desk.services.fitting.evaluations.keep(Evaluation(replace(BASE, path=base), (measured,)))
    presenter.open()
    desk.main.run_until(lambda: desk.form.stories[path].quality is not None)
    assert desk.form.stories[path].quality.kl_divergence == pytest.approx(0.0131)


def test_a_file_that_became_another_one_tells_another_story(desk, carryon_home):
    path = tiny_model(carryon_home.models / "m-Q4_K_M.gguf", **{"carryon.converter": "0.4.0"})
    presenter = desk.open()
    presenter.select(path)
    desk.main.run_until(lambda: path in desk.form.stories)
    tiny_model(path, n_embd=512, **{"carryon.converter": "0.5.0"})
    presenter.look_again()
    desk.main.run_until(lambda: path in desk.form.stories and desk.form.stories[path].making.converter == "0.5.0")
