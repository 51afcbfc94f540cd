"""The load dialog's choices: which models, which context, how many layers, and what becomes of a load."""

from dataclasses import replace

import pytest
from fakes import fake_engine, machines, tiny_gguf
from fakes.main_thread import MainThread

from carryon.app.host import LoadedModel, LoadWish, NoModel
from carryon.app.models import guide
from carryon.app.services import build
from carryon.base.errors import BadFile
from carryon.base.settings import RecentModel
from carryon.engine.reasons import Crash
from carryon.ui.loading import texts
from carryon.ui.loading.presenter import (
    Entry,
    Form,
    LoadPresenter,
    NoOffload,
    Place,
    context_steps,
    model_file,
    no_offload,
    parsed_context,
)


class Page:
    """A view that remembers what it was shown."""

    def __init__(self):
        self.forms = []
        self.was_closed = False

    def show_form(self, form):
        self.forms.append(form)

    def close_after_load(self):
        self.was_closed = True


class Desk:
    """A presenter on true services with a fake engine, and the thread that its news run on."""

    def __init__(self, home, **engine_options):
        self.main = MainThread()
        self.services = build(home, self.main.post, fake_engine.command(**engine_options))
        self.page = Page()
        one = self.services
        self.presenter = LoadPresenter(one.home, one.settings, one.runner, one.host, self.page)

    @property
    def form(self):
        return self.presenter.form

    def open(self, file=None):
        self.presenter.open(file)
        self.read()

    def read(self):
        self.main.run_until(lambda: self.form.facts or self.form.error)

    def load(self):
        self.presenter.load()
        self.main.run_until(lambda: isinstance(self.services.host.state, LoadedModel))


@pytest.fixture
def make_desk(carryon_home):
    made = []

    def make(**engine_options):
        made.append(Desk(carryon_home, **engine_options))
        return made[-1]

    yield make
    for desk in made:
        desk.services.end()


@pytest.fixture
def desk(make_desk):
    return make_desk()


@pytest.fixture
def model(carryon_home):
    """A model of 32 layers, trained for 32k tokens, in the library."""
    path = carryon_home.models / "owner" / "repo" / "Big-Q5_K_M.gguf"
    path.parent.mkdir(parents=True)
    shape = tiny_gguf.Shape(layers=32, hidden=64, feed_forward=64, context=32768)
    return model_file(tiny_gguf.random_model(path, shape=shape))


def test_the_guide_comes_first_then_recent_models_then_the_library(desk, model, tmp_path):
    other = RecentModel(str(tmp_path / "Other.gguf"), 4096, 0)
    desk.services.settings.change(lambda now: now.with_recent(other))
    desk.presenter.open(guide())
    desk.main.run_until(lambda: len(desk.form.entries) == 3)
    assert [entry.place for entry in desk.form.entries] == [Place.GUIDE, Place.RECENT, Place.LIBRARY]
    assert [entry.file.name for entry in desk.form.entries] == ["Carryon guide", "Other", "Big-Q5_K_M"]


def test_a_recent_model_of_the_library_is_listed_once(desk, model):
    desk.services.settings.change(lambda now: now.with_recent(RecentModel(model.reference, 4096, 0)))
    desk.open(model)
    assert [entry.file.reference for entry in desk.form.entries].count(model.reference) == 1


def test_a_file_from_the_disk_joins_the_list(desk, tmp_path, model):
    desk.open(model)
    path = tiny_gguf.random_model(tmp_path / "dropped.gguf")
    desk.presenter.choose_path(path)
    desk.read()
    assert desk.form.entries[0] == Entry(model_file(path), Place.OPENED)
    assert desk.form.file.name == "dropped"


def test_a_new_model_starts_with_8k_and_the_cpu(desk, model):
    desk.open(model)
    assert (desk.form.n_ctx, desk.form.n_gpu_layers) == (8192, 0)
    assert desk.form.facts.n_gpu_layers_max == 33


def test_a_new_model_starts_on_the_gpu_that_it_fits(desk, model):
    desk.presenter.set_machine(machines.WITH_GPU)
    desk.open(model)
    assert desk.form.n_gpu_layers == 33


def test_a_gpu_that_is_found_later_is_used_unless_the_slider_was_moved(desk, model):
    desk.open(model)
    assert desk.form.n_gpu_layers == 0
    desk.presenter.set_machine(machines.WITH_GPU)
    assert desk.form.n_gpu_layers == 33
    desk.presenter.set_layers(5)
    desk.presenter.set_machine(machines.WITH_GPU)
    assert desk.form.n_gpu_layers == 5


def test_a_model_starts_as_it_was_loaded_the_last_time(desk, model):
    desk.services.settings.change(lambda now: now.with_recent(RecentModel(model.reference, 16384, 28)))
    desk.presenter.set_machine(machines.WITH_GPU)
    desk.open()
    assert desk.form.file == model
    assert (desk.form.n_ctx, desk.form.n_gpu_layers) == (16384, 28)


def test_what_was_remembered_never_exceeds_the_model(desk, model):
    desk.services.settings.change(lambda now: now.with_recent(RecentModel(model.reference, 16384, 99)))
    desk.presenter.set_machine(machines.WITH_GPU)
    desk.open()
    assert desk.form.n_gpu_layers == 33


@pytest.mark.parametrize(("wanted", "kept"), [(0, 0), (28, 28), (33, 33), (34, 33), (-1, 0)])
def test_layers_go_from_none_to_one_more_than_the_model_has(desk, model, wanted, kept):
    desk.presenter.set_machine(machines.WITH_GPU)
    desk.open(model)
    desk.presenter.set_layers(wanted)
    assert desk.form.n_gpu_layers == kept


def test_layers_cannot_be_set_before_the_file_is_read(desk, model):
    desk.presenter.open(model)
    desk.presenter.set_layers(5)
    assert desk.form.n_gpu_layers == 0


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (None, NoOffload.LOOKING),
        (machines.WITH_GPU, None),
        (machines.CPU_ONLY, NoOffload.NO_GPU),
        (machines.GPU_WITHOUT_ENGINE_SUPPORT, NoOffload.NO_GPU_SUPPORT),
        (machines.BROKEN, NoOffload.ENGINE_SILENT),
        (machines.RPC_ONLY, None),
    ],
)
def test_the_engines_own_devices_decide_whether_layers_can_move(machine, reason):
    assert no_offload(machine) is reason


def test_a_build_with_rpc_but_no_device_cannot_offload():
    engine = replace(machines.CPU_ONLY.engine, supports_rpc=True)
    assert no_offload(replace(machines.CPU_ONLY, engine=engine)) is NoOffload.NO_GPU


def test_without_a_gpu_what_was_remembered_becomes_cpu_only(desk, model):
    desk.services.settings.change(lambda now: now.with_recent(RecentModel(model.reference, 16384, 28)))
    desk.open()
    assert desk.form.n_gpu_layers == 28  # still looking: nothing is taken back unseen
    desk.presenter.set_machine(machines.CPU_ONLY)
    assert desk.form.n_gpu_layers == 0


@pytest.mark.parametrize(
    ("text", "n_ctx"),
    [
        ("8k", 8192), ("8 K", 8192), ("8192", 8192), ("8,192", 8192), ("8192 tokens", 8192), ("256", 256),
        ("255", None), ("", None),
        ("k", None), ("many", None), ("-5", None), ("1.5k", None), ("99999999999999", None), ("٣٢٠٠", None),
    ],
)
def test_a_context_is_read_as_people_write_it(text, n_ctx):
    assert parsed_context(text) == n_ctx


@pytest.mark.parametrize(
    ("trained", "steps"),
    [
        (32768, (2048, 4096, 8192, 16384, 32768)),
        (5000, (2048, 4096, 5000)),
        (1024, (1024,)),
        (2048, (2048,)),
        (0, (2048, 4096, 8192, 16384, 32768)),
    ],
)
def test_the_steps_end_at_the_trained_maximum(trained, steps):
    assert context_steps(trained) == steps


def test_a_context_above_the_trained_one_is_allowed_and_said(desk, model):
    desk.open(model)
    desk.presenter.set_context("64k")
    assert desk.form.is_above_trained
    assert desk.form.can_load
    assert "32,768" in texts.context_note(desk.form)


def test_a_context_that_is_no_number_cannot_be_loaded(desk, model):
    desk.open(model)
    desk.presenter.set_context("much")
    assert not desk.form.can_load
    assert texts.context_note(desk.form) == texts.NOT_A_NUMBER
    desk.presenter.load()
    assert isinstance(desk.services.host.state, NoModel)


def test_an_unreadable_file_says_why_and_cannot_be_loaded(desk, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not a model")
    desk.open(model_file(broken))
    assert isinstance(desk.form.error, BadFile)
    assert desk.form.error.hint
    assert not desk.form.can_load


def test_another_file_takes_the_reason_away(desk, tmp_path, model):
    desk.open(model_file(tmp_path / "missing.gguf"))
    assert desk.form.error
    desk.presenter.choose(model)
    assert desk.form.error is None


def test_facts_of_a_file_that_was_left_are_dropped(desk, tmp_path, model):
    other = model_file(tiny_gguf.random_model(tmp_path / "other.gguf"))
    desk.presenter.open(other)
    desk.presenter.choose(model)
    desk.read()
    assert desk.form.facts.file == model


def test_loading_shows_progress_closes_the_page_and_is_remembered(make_desk, model):
    desk = make_desk(load_ms=200)
    desk.presenter.set_machine(machines.WITH_GPU)
    desk.open(model)
    desk.presenter.set_context("16k")
    desk.presenter.set_layers(28)
    desk.load()
    assert any(form.loading and form.loading.fraction for form in desk.page.forms)
    assert desk.page.was_closed
    assert desk.services.settings.now.recent(model.reference) == RecentModel(model.reference, 16384, 28)


def test_a_load_that_runs_can_be_stopped(make_desk, model):
    desk = make_desk(hang_loading=1)
    desk.open(model)
    desk.presenter.load()
    assert desk.form.loading
    assert not desk.form.can_load
    desk.presenter.stop_loading()
    assert desk.form.loading is None
    assert isinstance(desk.services.host.state, NoModel)


def test_stopping_without_a_load_leaves_the_loaded_model_alone(desk, model):
    desk.open(model)
    desk.load()
    desk.presenter.stop_loading()
    assert isinstance(desk.services.host.state, LoadedModel)


def test_a_crash_while_loading_is_told_in_the_dialog(make_desk, model):
    desk = make_desk(crash_loading="SIGABRT")
    desk.open(model)
    desk.presenter.load()
    desk.main.run_until(lambda: desk.form.error)
    assert isinstance(desk.form.error, Crash)
    assert desk.form.can_load
    assert not desk.page.was_closed


def test_a_load_that_goes_on_after_closing_leaves_the_page_alone(make_desk, model):
    desk = make_desk(load_ms=100)
    desk.open(model)
    desk.presenter.load()
    shown = len(desk.page.forms)
    desk.presenter.close()
    desk.main.run_until(lambda: isinstance(desk.services.host.state, LoadedModel))
    assert len(desk.page.forms) == shown
    assert not desk.page.was_closed


def test_a_load_from_elsewhere_does_not_close_the_page_before_it_is_open(desk, model):
    desk.services.host.load(LoadWish(model, 4096, 0))
    desk.main.run_until(lambda: isinstance(desk.services.host.state, LoadedModel))
    assert not desk.page.was_closed
    desk.open()
    assert desk.form.file == model


def test_an_engine_that_dies_later_is_no_mistake_of_the_form(desk, model):
    desk.open(model)
    desk.load()
    desk.presenter.open()
    desk.services.host.state.engine._child.process.kill()
    desk.main.run_until(lambda: not isinstance(desk.services.host.state, LoadedModel))
    assert desk.form.error is None


def test_an_empty_form_offers_nothing():
    form = Form()
    assert not form.can_load
    assert not form.is_above_trained
    assert form.contexts == context_steps(0)
