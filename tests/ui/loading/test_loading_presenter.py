"""The load dialog's choices: which models, which context, which layers where, and what becomes of a load."""

import json
from dataclasses import replace

import pytest
from fakes import fake_engine, machines, tiny_gguf
from fakes.header_models import write_header_model
from fakes.main_thread import MainThread

from carryon.app.host import FailedModel, LoadedModel, LoadWish, NoModel
from carryon.app.models import guide
from carryon.app.services import build
from carryon.base.errors import BadFile
from carryon.base.settings import RecentModel
from carryon.engine.protocol import KvType
from carryon.engine.reasons import Crash, Refusal
from carryon.fit.plan import Change, Verdict
from carryon.fit.speed import Basis
from carryon.hardware.machine import GpuUse, MemoryUse
from carryon.ui.loading import texts
from carryon.ui.loading.form import Check, Entry, Form, NoOffload, Place, context_steps, no_offload, parsed_context
from carryon.ui.loading.presenter import LoadPresenter, model_file

GB = 2**30


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

    def __init__(self, home, machine=machines.CPU_ONLY, ram_bytes_per_s=40e9, **engine_options):
        self.main = MainThread()
        services = build(home, self.main.post, fake_engine.command(**engine_options))
        self.services = replace(services, probing=machines.probing(machine))
        if ram_bytes_per_s:
            self.keep_ram_speed(machine, ram_bytes_per_s)
        self.machine = machine
        self.use = MemoryUse(machine.ram)  # what the meter tells just before a load
        self.page = Page()
        self.presenter = LoadPresenter(self.services, self.page, self._metering)

    def _metering(self):
        yield None
        return self.use

    def keep_ram_speed(self, machine, bytes_per_s):
        self.services.fitting.measurements.keep_ram_bytes_per_s(machine.cpu.name, bytes_per_s)

    @property
    def form(self):
        return self.presenter.form

    @property
    def host(self):
        return self.services.host

    def open(self, file=None):
        self.presenter.open(file)
        self.read()

    def read(self):
        """Until the file and the machine are known."""
        self.main.run_until(lambda: self.form.error or (self.form.facts and self.form.no_offload != NoOffload.LOOKING))

    def load(self):
        self.presenter.load()
        self.main.run_until(lambda: isinstance(self.host.state, LoadedModel))

    def start_loading(self):
        self.presenter.load()
        self.main.run_until(lambda: self.form.loading or self.form.check in (Check.SURE, Check.CHANGED))

    def other_programs_take(self, gpu_bytes):
        """So much of the GPU is in use now."""
        (gpu,) = self.machine.gpus
        self.use = MemoryUse(self.machine.ram, (GpuUse(gpu.name, gpu_bytes, gpu.total_bytes),))


@pytest.fixture
def make_desk(carryon_home):
    made = []

    def make(machine=machines.CPU_ONLY, **engine_options):
        made.append(Desk(carryon_home, machine, **engine_options))
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


@pytest.fixture
def gpu_desk(make_desk):
    return make_desk(machines.WITH_GPU)


@pytest.fixture
def big(tmp_path):
    """Llama 3.1 8B in F16, 16 GB: on the GPU of 8 GB only in part."""
    return model_file(write_header_model("llama31-8b", tmp_path / "Llama-3.1-8B-F16.gguf"))


@pytest.fixture
def fitting_8b(tmp_path):
    """The same in Q4_K_M, 4.9 GB: on the GPU as a whole."""
    return model_file(write_header_model("llama31-8b", tmp_path / "Llama-3.1-8B-Q4_K_M.gguf", "Q4_K_M"))


@pytest.fixture
def mixture(tmp_path):
    """Qwen3 30B A3B in Q4_K_M: 48 layers of experts, 18.6 GB."""
    return model_file(write_header_model("qwen3-30b-a3b", tmp_path / "Qwen3-30B-A3B-Q4_K_M.gguf", "Q4_K_M"))


@pytest.fixture
def giant(tmp_path):
    """DeepSeek V3 in Q4_K_M: 400 GB."""
    return model_file(write_header_model("dsv3", tmp_path / "DeepSeek-V3-Q4_K_M.gguf", "Q4_K_M"))


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
    assert desk.form.fit.verdict is Verdict.RAM
    assert not desk.form.is_manual


def test_a_new_model_starts_on_the_gpu_that_it_fits(gpu_desk, fitting_8b):
    gpu_desk.open(fitting_8b)
    assert gpu_desk.form.n_gpu_layers == 33
    assert gpu_desk.form.fit.verdict is Verdict.GPU
    assert gpu_desk.form.most_layers == 33


def test_a_gpu_that_is_found_later_is_used_unless_the_slider_was_moved(desk, model):
    desk.open(model)
    assert desk.form.n_gpu_layers == 0
    desk.presenter.set_machine(machines.WITH_GPU)
    assert desk.form.n_gpu_layers == 33
    desk.presenter.set_layers(5)
    desk.presenter.set_machine(machines.WITH_GPU)
    assert desk.form.n_gpu_layers == 5


def test_a_model_starts_as_it_was_loaded_the_last_time(gpu_desk, fitting_8b):
    recent = RecentModel(fitting_8b.reference, 16384, 28, kv_type="q8_0", n_ubatch=256, use_mmap=False)
    gpu_desk.services.settings.change(lambda now: now.with_recent(recent))
    gpu_desk.open()
    form = gpu_desk.form
    assert form.file == fitting_8b
    assert form.is_manual
    assert (form.n_ctx, form.n_gpu_layers, form.kv_type) == (16384, 28, KvType.Q8_0)
    assert (form.fit.placement.n_ubatch, form.fit.placement.use_mmap) == (256, False)


def test_what_was_chosen_automatically_is_chosen_anew(gpu_desk, fitting_8b):
    recent = RecentModel(fitting_8b.reference, 4096, 3, is_automatic=True)
    gpu_desk.services.settings.change(lambda now: now.with_recent(recent))
    gpu_desk.open()
    assert not gpu_desk.form.is_manual
    assert (gpu_desk.form.n_ctx, gpu_desk.form.n_gpu_layers) == (4096, 33)


def test_what_was_remembered_never_exceeds_the_model(gpu_desk, model):
    gpu_desk.services.settings.change(lambda now: now.with_recent(RecentModel(model.reference, 16384, 99)))
    gpu_desk.open()
    assert gpu_desk.form.n_gpu_layers == 33


@pytest.mark.parametrize(("wanted", "kept"), [(0, 0), (28, 28), (33, 33), (34, 33), (-1, 0)])
def test_layers_go_from_none_to_one_more_than_the_model_has(gpu_desk, model, wanted, kept):
    gpu_desk.open(model)
    gpu_desk.presenter.set_layers(wanted)
    assert gpu_desk.form.n_gpu_layers == kept


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
    desk.presenter.choose(model)
    desk.main.run_until(lambda: desk.form.facts)
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
    desk = make_desk(machines.WITH_GPU, load_ms=200)
    desk.open(model)
    desk.presenter.set_context("16k")
    desk.presenter.set_layers(28)
    desk.load()
    assert any(form.loading and form.loading.fraction for form in desk.page.forms)
    assert desk.page.was_closed
    assert desk.services.settings.now.recent(model.reference) == RecentModel(model.reference, 16384, 28)


def test_an_automatic_load_is_remembered_as_one(gpu_desk, fitting_8b):
    gpu_desk.open(fitting_8b)
    gpu_desk.load()
    recent = gpu_desk.services.settings.now.recent(fitting_8b.reference)
    assert (recent.is_automatic, recent.n_gpu_layers) == (True, 33)


def test_a_load_that_shall_not_be_remembered_is_not(gpu_desk, model):
    gpu_desk.open(model)
    gpu_desk.presenter.set_kept(False)
    gpu_desk.load()
    assert gpu_desk.services.settings.now.recent_models == ()


def test_a_load_that_runs_can_be_stopped(make_desk, model):
    desk = make_desk(hang_loading=1)
    desk.open(model)
    desk.start_loading()
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
    desk.start_loading()
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


def test_moving_the_slider_makes_it_manual_and_pins_everything_else(gpu_desk, fitting_8b):
    gpu_desk.open(fitting_8b)
    before = gpu_desk.form
    gpu_desk.presenter.set_layers(20)
    after = gpu_desk.form
    assert after.is_manual
    assert (after.n_gpu_layers, after.n_ctx, after.kv_type) == (20, before.n_ctx, before.kv_type)
    assert after.fit.verdict is Verdict.SPLIT


def test_back_to_automatic_the_plan_chooses_again(gpu_desk, fitting_8b):
    gpu_desk.open(fitting_8b)
    gpu_desk.presenter.set_layers(3)
    gpu_desk.presenter.set_manual(False)
    assert gpu_desk.form.n_gpu_layers == 33


def test_the_tick_is_the_last_value_that_fits(gpu_desk, big):
    gpu_desk.open(big)
    tick = gpu_desk.form.most_layers
    assert 0 < tick < 33
    gpu_desk.presenter.set_layers(tick)
    assert gpu_desk.form.fit.verdict.fits
    gpu_desk.presenter.set_layers(tick + 1)
    assert gpu_desk.form.fit.verdict is Verdict.TOO_BIG


def test_a_longer_context_moves_the_tick_down(gpu_desk, big):
    gpu_desk.open(big)
    before = gpu_desk.form.most_layers
    gpu_desk.presenter.set_context("32k")
    assert gpu_desk.form.most_layers < before


def test_a_context_that_was_chosen_stays_whatever_fits(gpu_desk, fitting_8b):
    gpu_desk.open(fitting_8b)
    gpu_desk.presenter.set_context("128k")
    for kv_type in (KvType.Q8_0, KvType.F16):
        gpu_desk.presenter.set_kv(kv_type)
        assert (gpu_desk.form.n_ctx, gpu_desk.form.kv_type) == (131072, kv_type)


def test_a_mixture_begins_with_experts_in_ram_and_they_can_be_moved(gpu_desk, mixture):
    gpu_desk.open(mixture)
    assert gpu_desk.form.has_experts
    assert gpu_desk.form.n_cpu_experts > 0
    before = gpu_desk.form.fit.need.gpus[0].weights_bytes
    gpu_desk.presenter.set_experts(48)
    assert gpu_desk.form.fit.need.gpus[0].weights_bytes < before


def test_what_does_not_fit_can_be_loaded_anyway(gpu_desk, big):
    gpu_desk.open(big)
    gpu_desk.presenter.set_layers(33)
    assert gpu_desk.form.fit.verdict is Verdict.TOO_BIG
    assert texts.load_text(gpu_desk.form) == texts.LOAD_ANYWAY
    gpu_desk.load()
    assert gpu_desk.host.state.engine.request.n_gpu_layers == 33


def test_ram_that_must_overflow_is_asked_about_once(make_desk, giant):
    desk = make_desk(hang_loading=1)
    recent = RecentModel(giant.reference, 4096, 0, use_mmap=False)
    desk.services.settings.change(lambda now: now.with_recent(recent))
    desk.open()
    desk.start_loading()
    assert desk.form.check is Check.SURE
    assert texts.load_text(desk.form) == texts.LOAD_SURE
    assert isinstance(desk.host.state, NoModel)
    desk.start_loading()
    assert desk.form.loading


def test_mapped_weights_never_ask(make_desk, giant):
    desk = make_desk(hang_loading=1)
    desk.open(giant)
    desk.start_loading()
    assert desk.form.loading


def test_a_repair_is_one_click(gpu_desk, big):
    gpu_desk.open(big)
    gpu_desk.presenter.set_layers(33)
    repair = next(one for one in gpu_desk.form.plan.repairs if one.change is Change.LAYERS)
    gpu_desk.presenter.apply(repair)
    assert gpu_desk.form.n_gpu_layers == repair.fit.placement.n_gpu_layers
    assert gpu_desk.form.fit.verdict.fits


def test_a_repair_by_another_file_chooses_that_file(gpu_desk, big, fitting_8b):
    gpu_desk.open(big)
    gpu_desk.presenter.set_layers(33)
    repair = next(one for one in gpu_desk.form.plan.repairs if one.change is Change.QUANT)
    gpu_desk.presenter.apply(repair)
    gpu_desk.read()
    assert gpu_desk.form.file == fitting_8b
    assert gpu_desk.form.n_gpu_layers == 33


def test_free_memory_is_read_when_the_dialog_opens(gpu_desk, fitting_8b):
    gpu_desk.presenter.set_machine(machines.CPU_ONLY)
    gpu_desk.open(fitting_8b)
    gpu_desk.main.run_until(lambda: gpu_desk.form.no_offload is None)
    assert gpu_desk.form.n_gpu_layers == 33


def test_what_other_programs_took_since_is_said_before_the_load(gpu_desk, fitting_8b):
    gpu_desk.open(fitting_8b)
    gpu_desk.other_programs_take(7 * 10**9)
    gpu_desk.start_loading()
    assert gpu_desk.form.check is Check.CHANGED
    assert gpu_desk.form.fit.verdict is not Verdict.GPU
    assert isinstance(gpu_desk.host.state, NoModel)
    gpu_desk.load()
    assert gpu_desk.host.state.engine.request.n_gpu_layers == gpu_desk.form.n_gpu_layers


def test_a_loaded_model_gives_its_memory_back(gpu_desk, fitting_8b):
    """The fake engine's GPU has another name; what it holds of the RAM is of the engine's CPU."""
    gpu_desk.open(fitting_8b)
    free_bytes = gpu_desk.form.plan.rooms.ram.free_bytes
    gpu_desk.presenter.set_layers(0)
    gpu_desk.load()
    gpu_desk.presenter.open()
    gpu_desk.read()
    gpu_desk.main.run_until(lambda: gpu_desk.form.plan.rooms.ram.free_bytes > free_bytes)


def test_a_load_that_runs_out_of_memory_offers_the_next_rung(make_desk, fitting_8b):
    facts = json.dumps({"device": "CUDA0", "wanted_bytes": 10**9})
    desk = make_desk(machines.WITH_GPU, refuse="out_of_memory", facts=facts)
    desk.open(fitting_8b)
    desk.presenter.load()
    desk.main.run_until(lambda: desk.form.error)
    rung = desk.form.rung
    assert isinstance(desk.form.error, Refusal)
    assert sum(one.total_bytes for one in rung.fit.need.gpus) < sum(one.total_bytes for one in desk.form.fit.need.gpus)
    assert desk.form.n_gpu_layers == 33  # nothing steps down by itself
    desk.presenter.load_rung()
    desk.main.run_until(lambda: isinstance(desk.host.state, FailedModel) and desk.form.error)
    assert desk.host.state.wish.n_gpu_layers == rung.fit.placement.n_gpu_layers


def test_another_refusal_offers_no_rung(make_desk, fitting_8b):
    desk = make_desk(machines.WITH_GPU, refuse="bad_model")
    desk.open(fitting_8b)
    desk.presenter.load()
    desk.main.run_until(lambda: desk.form.error)
    assert desk.form.rung is None


def test_the_load_knows_what_was_predicted(gpu_desk, fitting_8b):
    gpu_desk.open(fitting_8b)
    gpu_desk.load()
    assert gpu_desk.host.state.wish.fit == gpu_desk.form.fit


def test_a_model_that_only_the_engine_knows_can_be_loaded(desk, tmp_path):
    path = tiny_gguf.random_model(tmp_path / "new.gguf")
    path.write_bytes(path.read_bytes().replace(b"llama", b"lumas"))
    desk.open(model_file(path))
    assert desk.form.fit is None
    assert desk.form.can_load
    assert "architecture is new" in texts.no_plan_text(desk.form)


def test_the_command_says_the_same_load(gpu_desk, mixture):
    gpu_desk.open(mixture)
    gpu_desk.presenter.set_context("8k")
    gpu_desk.presenter.set_kv(KvType.Q8_0)
    gpu_desk.presenter.set_layers(40)
    gpu_desk.presenter.set_experts(30)
    assert gpu_desk.presenter.command() == (
        f"carryon run {mixture.path} --ctx 8192 --gpu-layers 40 --cpu-experts 30 --kv q8_0 -p Hello"
    )


def test_a_cache_that_the_model_cannot_have_is_said_and_another_one_can_be_chosen(desk, model):
    """The heads of the tiny model are too short for blocks of 32 numbers."""
    desk.open(model)
    desk.presenter.set_kv(KvType.Q8_0)
    assert desk.form.plan is None
    assert "cannot be kept in q8_0" in texts.no_plan_text(desk.form)
    assert desk.form.can_load  # the engine has the last word
    desk.presenter.set_kv(KvType.F16)
    assert desk.form.fit


def test_a_wish_from_elsewhere_is_where_the_dialog_begins(gpu_desk, fitting_8b):
    gpu_desk.presenter.open(wish=LoadWish(fitting_8b, 2048, 12, kv_type=KvType.Q4_0))
    gpu_desk.read()
    assert (gpu_desk.form.n_ctx, gpu_desk.form.n_gpu_layers, gpu_desk.form.kv_type) == (2048, 12, KvType.Q4_0)


def test_the_ram_is_measured_when_it_never_was(make_desk, fitting_8b):
    desk = make_desk(ram_bytes_per_s=None)

    def measuring(machine):
        yield None
        desk.keep_ram_speed(machine, 50e9)
        return True

    desk.services.fitting.measuring = measuring
    desk.open(fitting_8b)
    desk.main.run_until(lambda: desk.form.fit and desk.form.fit.decode.basis is Basis.PROBED)


def test_the_ram_is_left_alone_while_a_model_works(make_desk, model, fitting_8b):
    desk = make_desk(ram_bytes_per_s=None)
    asked = []
    desk.services.fitting.measuring = lambda machine: iter(asked.append(machine) or ())
    desk.host.load(desk.host.wish_for(model))
    desk.main.run_until(lambda: isinstance(desk.host.state, LoadedModel))
    desk.open(fitting_8b)
    assert asked == []
