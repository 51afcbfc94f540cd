"""What the Fit page can be asked: a model, a machine, wishes, another quant, a repair, the engine's own plan."""

import json
from dataclasses import asdict, replace

import pytest
from fakes import fake_engine, machines
from fakes.main_thread import MainThread

from carryon.app.host import LoadedModel
from carryon.app.models import GUIDE, guide
from carryon.app.services import build
from carryon.base.errors import BadFile, BadInput, EngineError
from carryon.base.settings import RecentModel
from carryon.fit.plan import Basis
from carryon.gguf.quants import KvType
from carryon.gguf.sketch import Parameters
from carryon.hardware.machine import MemoryUse
from carryon.ui.fit.form import BuiltMachine, FileMachine, ThisMachine
from carryon.ui.fit.presenter import FitPresenter

GB = 2**30


class Page:
    """A view that remembers what it was shown."""

    def __init__(self):
        self.forms = []

    def show_form(self, form):
        self.forms.append(form)


class Confirming:
    """The fitting of this home, but the engine's own plan is the one that a test says."""

    def __init__(self, fitting):
        self._fitting = fitting
        self.asked = []
        self.error = None
        self.bandwidth = 40e9

    def __getattr__(self, name):
        return getattr(self._fitting, name)

    def measuring(self, machine):
        yield None
        self._fitting.measurements.keep_ram_bytes_per_s(machine.cpu.name, self.bandwidth)
        return True

    def confirming(self, fit, _site, _machine):
        self.asked.append(fit)
        yield None
        if self.error:
            raise self.error
        return replace(fit, basis=Basis.DRY_RUN)


class Desk:
    """A presenter on true services, and the thread that its news run on."""

    def __init__(self, home):
        self.main = MainThread()
        self.services = build(home, self.main.post, fake_engine.command())
        self.fitting = Confirming(self.services.fitting)
        self.page = Page()
        one = self.services
        self.presenter = FitPresenter(
            one.home, one.settings, one.runner, one.host, self.fitting, one.late_discovery, self.page
        )
        self.presenter.set_machine(machines.WITH_GPU)

    @property
    def form(self):
        return self.presenter.form

    @property
    def fit(self):
        return self.form.fit

    def read(self, path):
        self.presenter.choose_path(path)
        self.main.run_until(lambda: self.form.plan or self.form.error)


@pytest.fixture
def desk(carryon_home):
    made = Desk(carryon_home)
    yield made
    made.services.end()


@pytest.fixture
def qwen(header_model):
    return header_model("qwen3-8b")


@pytest.fixture
def experts(header_model):
    return header_model("qwen3-30b-a3b")


# models


def test_without_a_model_there_is_nothing_to_say(desk):
    desk.presenter.open()
    assert desk.form.source is None
    assert desk.form.plan is None


def test_the_guide_recent_models_and_the_library_are_offered(desk, qwen):
    (desk.services.home.models / "mine").mkdir(parents=True)
    (desk.services.home.models / "mine" / "m.gguf").write_bytes(b"GGUF")
    desk.services.settings.change(lambda now: now.with_recent(RecentModel(str(qwen), 4096, 0)))
    desk.presenter.open()
    desk.main.run_until(lambda: len(desk.form.sources) == 3)
    assert [one.name for one in desk.form.sources] == ["qwen3-8b-Q4_K_M", "Carryon guide", "m"]


def test_the_page_opens_with_the_model_used_last(desk, qwen):
    desk.services.settings.change(lambda now: now.with_recent(RecentModel(str(qwen), 4096, 0)))
    desk.presenter.open()
    desk.main.run_until(lambda: desk.form.plan)
    assert desk.form.source.path == qwen


def test_opening_the_page_again_changes_nothing(desk, qwen):
    desk.read(qwen)
    desk.presenter.set_context(4096)
    desk.presenter.open()
    assert desk.form.wishes.n_ctx == 4096
    assert desk.form.plan


def test_a_model_is_read_and_every_quant_of_it_is_planned(desk, qwen):
    desk.presenter.choose_path(qwen)
    assert desk.form.is_reading
    desk.main.run_until(lambda: desk.form.plan)
    assert len(desk.form.plan.fits) > 10
    assert desk.fit.candidate.quant == desk.form.best_quant


def test_a_text_file_is_said_to_be_none_and_can_be_replaced(desk, qwen, tmp_path):
    path = tmp_path / "notes.gguf"
    path.write_text("hello")
    desk.read(path)
    assert isinstance(desk.form.error, BadFile)
    assert not desk.form.is_reading
    desk.read(qwen)
    assert desk.form.error is None


def test_only_the_model_chosen_last_counts(desk, qwen, experts):
    desk.presenter.choose_path(experts)
    desk.presenter.choose_path(qwen)
    desk.main.run_until(lambda: desk.form.plan)
    desk.main.run_for(0.3)
    assert desk.form.subject.candidates[0].shape.architecture == "qwen3"


def test_a_model_that_does_not_exist_yet_is_planned_and_cannot_be_loaded(desk):
    desk.presenter.choose(Parameters(32, 4096, 32, 14336, 128256, 131072, 8, 128, name="Mine"))
    desk.main.run_until(lambda: desk.form.subject)
    assert desk.form.subject.name == "Mine"
    assert desk.form.plan
    assert not desk.form.can_load
    assert desk.presenter.load_wish() is None


def test_another_model_begins_with_nothing_set_by_hand(desk, qwen, experts):
    desk.read(qwen)
    desk.presenter.set_context(4096)
    desk.read(experts)
    assert desk.form.is_automatic


# wishes


def test_a_longer_context_needs_more(desk, qwen):
    desk.read(qwen)
    desk.presenter.set_context(4096)
    before = desk.fit.need.total_bytes
    desk.presenter.set_context(8192)
    assert desk.fit.placement.n_ctx == 8192
    assert desk.fit.need.total_bytes > before


def test_cache_type_slots_and_layers_are_kept_as_they_were_set(desk, qwen):
    desk.read(qwen)
    desk.presenter.set_kv_type(KvType.Q4_0)
    desk.presenter.set_parallel(2)
    desk.presenter.set_layers(5)
    placed = desk.fit.placement
    assert (placed.kv_type, placed.n_parallel, placed.n_gpu_layers) == (KvType.Q4_0, 2, 5)
    assert not desk.form.is_automatic


def test_experts_can_stay_in_ram_by_hand_and_go_back_to_the_plan(desk, experts):
    desk.read(experts)
    desk.presenter.set_experts(40)
    assert desk.fit.placement.n_cpu_experts == 40
    desk.presenter.set_layers(None)
    assert desk.form.wishes.n_cpu_experts is None


def test_everything_can_be_left_to_the_plan_again(desk, qwen):
    desk.read(qwen)
    automatic = desk.fit
    desk.presenter.set_layers(3)
    desk.presenter.reset()
    assert desk.fit == automatic


def test_another_quant_is_looked_at_and_the_best_stays_the_best(desk, qwen):
    desk.read(qwen)
    best = desk.form.best_quant
    desk.presenter.choose_quant("Q2_K")
    assert (desk.fit.candidate.quant, desk.form.best_quant) == ("Q2_K", best)
    desk.presenter.choose_quant(best)
    assert desk.form.wishes.quant is None


def test_a_repair_does_what_it_says(desk, qwen):
    desk.read(qwen)
    desk.presenter.set_context(40960)
    desk.presenter.choose_quant("Q8_0")
    repair = desk.form.plan.repairs[0]
    desk.presenter.repair(repair)
    assert desk.fit.placement == repair.fit.placement
    assert desk.fit.candidate.quant == repair.fit.candidate.quant


def test_the_tick_stands_at_the_most_layers_that_fit(desk, qwen):
    desk.read(qwen)
    desk.presenter.choose_quant("F16")
    assert 0 < desk.form.most_layers < 37
    assert desk.form.most_layers == desk.fit.placement.n_gpu_layers


# machines


def test_while_the_machine_is_looked_at_there_is_no_plan(carryon_home, qwen):
    desk = Desk(carryon_home)
    desk.presenter.set_machine(None)
    desk.presenter.choose_path(qwen)
    desk.main.run_until(lambda: desk.form.subject)
    assert desk.form.plan is None
    desk.presenter.set_machine(machines.CPU_ONLY)
    desk.main.run_until(lambda: desk.form.plan)
    desk.services.end()


def test_a_larger_machine_runs_a_better_quant_and_nothing_is_loaded_there(desk, qwen):
    desk.read(qwen)
    here = desk.fit
    desk.presenter.plan_for_parts(("GeForce RTX 4090",), 64 * GB)
    assert desk.form.target == BuiltMachine(("GeForce RTX 4090",), 64 * GB)
    assert desk.form.plan.rooms.gpus[0].total_bytes == 24 * GB
    assert not desk.form.can_load
    desk.presenter.plan_here()
    assert isinstance(desk.form.target, ThisMachine)
    assert desk.fit == here


def test_the_old_plan_stays_until_the_first_one_for_other_parts_is_there(desk, qwen):
    desk.read(qwen)
    before = desk.form.plan
    desk.presenter.plan_for_parts(("M4 Pro",), 48 * GB)
    assert desk.form.plan is before  # what a first plan works out is worked out in the background
    desk.main.run_until(lambda: desk.form.plan is not before)
    assert desk.form.target == BuiltMachine(("M4 Pro",), 48 * GB)
    assert desk.form.plan.rooms.is_unified


def test_news_of_this_machine_do_not_undo_a_move_that_is_under_way(desk, qwen):
    desk.read(qwen)
    desk.presenter.plan_for_parts(("M4 Pro",), 48 * GB)
    desk.presenter.set_machine(machines.WITH_GPU)
    desk.main.run_until(lambda: not desk.form.is_here)
    assert desk.form.plan.rooms.is_unified


def test_a_model_chosen_meanwhile_is_planned_for_the_machine_chosen_before(desk, qwen, experts):
    desk.read(qwen)
    desk.presenter.plan_for_parts(("M4 Pro",), 48 * GB)
    desk.read(experts)
    assert desk.form.target == BuiltMachine(("M4 Pro",), 48 * GB)
    assert desk.form.plan.rooms.is_unified
    assert desk.fit.candidate.shape.is_moe


def test_layers_set_by_hand_here_mean_nothing_on_another_machine(desk, qwen):
    desk.read(qwen)
    desk.presenter.set_layers(3)
    desk.presenter.plan_for_parts(("GeForce RTX 4090",), 64 * GB)
    assert desk.form.wishes.n_gpu_layers is None


def test_a_part_nobody_knows_is_said(desk, qwen):
    desk.read(qwen)
    desk.presenter.plan_for_parts(("GeForce RTX 99999",), 64 * GB)
    assert isinstance(desk.form.machine_error, BadInput)
    desk.presenter.plan_here()
    assert desk.form.machine_error is None


def test_a_machine_file_is_read_and_named(desk, qwen, tmp_path):
    path = tmp_path / "server.json"
    path.write_text(json.dumps(asdict(machines.CPU_ONLY)))
    desk.read(qwen)
    desk.presenter.plan_for_file(path)
    desk.main.run_until(lambda: not desk.form.is_here)
    assert desk.form.target == FileMachine(path)
    assert desk.form.plan.rooms.gpus == ()


def test_a_machine_with_negative_memory_is_an_error_and_the_plan_stays(desk, qwen, tmp_path):
    path = tmp_path / "server.json"
    fields = asdict(machines.CPU_ONLY)
    fields["ram"]["total_bytes"] = -1
    path.write_text(json.dumps(fields))
    desk.read(qwen)
    desk.presenter.plan_for_file(path)
    desk.main.run_until(lambda: desk.form.machine_error)
    assert "negative" in desk.form.machine_error.message
    assert desk.form.is_here
    assert desk.form.plan


def test_what_other_programs_take_meanwhile_counts_once_it_is_noticed(desk, qwen):
    desk.read(qwen)
    before = desk.form.plan.rooms.ram.free_bytes
    ram = machines.WITH_GPU.ram
    desk.presenter.set_use(MemoryUse(replace(ram, available_bytes=ram.available_bytes - 5 * GB)))
    assert desk.form.plan.rooms.ram.free_bytes == before - 5 * GB
    shown = len(desk.page.forms)
    desk.presenter.set_use(MemoryUse(replace(ram, available_bytes=ram.available_bytes - 5 * GB - 1000)))
    assert len(desk.page.forms) == shown


def test_what_the_asked_engine_takes_meanwhile_does_not_start_it_anew(desk, qwen):
    look_at_the_file(desk, qwen)
    desk.presenter.confirm()
    ram = machines.WITH_GPU.ram
    desk.presenter.set_use(MemoryUse(replace(ram, available_bytes=ram.available_bytes - GB)))
    desk.main.run_until(lambda: desk.fit.basis is Basis.DRY_RUN)
    assert len(desk.fitting.asked) == 1


def test_what_is_free_here_does_not_count_elsewhere(desk, qwen):
    desk.read(qwen)
    desk.presenter.plan_for_parts((), 64 * GB)
    desk.presenter.set_use(MemoryUse(replace(machines.WITH_GPU.ram, available_bytes=GB)))
    assert desk.form.plan.rooms.ram.free_bytes > GB
    desk.presenter.plan_here()
    assert desk.form.plan.rooms.ram.free_bytes == GB


def test_news_of_this_machine_do_not_disturb_a_plan_for_another(desk, qwen):
    desk.read(qwen)
    desk.presenter.plan_for_parts((), 64 * GB)
    desk.presenter.set_machine(machines.WITH_GPU)
    assert desk.form.plan.rooms.gpus == ()


def test_the_rams_speed_is_measured_once_the_page_is_open_and_counts(desk, qwen):
    desk.read(qwen)
    desk.presenter.choose_quant("F16")
    before = desk.fit.decode
    desk.fitting.bandwidth = 400e9
    desk.presenter.open()
    desk.main.run_until(lambda: desk.fit.decode.low > before.low)
    assert desk.fit.decode.low > before.low
    desk.fitting.bandwidth = 4e9
    desk.presenter.open()
    desk.main.run_for(0.2)
    assert desk.fit.decode.low > before.low


# the engine's own plan, and loading


def look_at_the_file(desk, qwen):
    desk.read(qwen)
    desk.presenter.choose_quant("Q4_K_M")


def test_the_engines_own_plan_takes_the_place_of_the_arithmetic(desk, qwen):
    look_at_the_file(desk, qwen)
    desk.presenter.confirm()
    assert desk.form.is_confirming
    desk.main.run_until(lambda: not desk.form.is_confirming)
    assert desk.fit.basis is Basis.DRY_RUN
    assert next(one for one in desk.form.plan.fits if one.candidate.quant == "Q4_K_M").basis is Basis.DRY_RUN


def test_it_is_asked_once_and_only_for_files_that_are_here(desk, qwen):
    desk.read(qwen)
    desk.presenter.choose_quant("Q2_K")
    desk.presenter.confirm()
    desk.presenter.choose_quant("Q4_K_M")
    desk.presenter.confirm()
    desk.main.run_until(lambda: desk.fit.basis is Basis.DRY_RUN)
    desk.presenter.confirm()
    assert len(desk.fitting.asked) == 1


def test_an_answer_that_comes_after_a_change_is_dropped(desk, qwen):
    look_at_the_file(desk, qwen)
    desk.presenter.confirm()
    desk.presenter.set_context(2048)
    desk.main.run_for(0.3)
    assert desk.fit.basis is Basis.INSTANT


def test_an_engine_that_does_not_plan_leaves_the_arithmetic(desk, qwen):
    desk.fitting.error = EngineError("It would not plan.")
    look_at_the_file(desk, qwen)
    desk.presenter.confirm()
    desk.main.run_until(lambda: not desk.form.is_confirming)
    assert desk.fit.basis is Basis.INSTANT
    assert desk.form.error is None


def test_what_is_looked_at_is_what_the_load_dialog_begins_with(desk, qwen):
    look_at_the_file(desk, qwen)
    desk.presenter.set_context(2048)
    wish = desk.presenter.load_wish()
    assert (wish.file.path, wish.n_ctx, wish.is_automatic) == (qwen, 2048, True)


def test_the_guide_keeps_its_name(desk):
    desk.presenter.open()
    desk.presenter.choose(next(one for one in desk.form.sources if one.reference == GUIDE))
    desk.main.run_until(lambda: desk.form.plan)
    desk.presenter.choose_quant("Q8_0")
    assert desk.presenter.load_wish().file.is_guide


def test_what_is_loaded_would_be_unloaded_so_the_plan_is_made_anew(desk, qwen, tiny_model):
    desk.read(qwen)
    before = len(desk.page.forms)
    host = desk.services.host
    host.load(replace(desk.presenter.load_wish() or host.wish_for(desk.form.sources[0]), file=desk.form.sources[0]))
    desk.main.run_until(lambda: isinstance(host.state, LoadedModel))
    assert len(desk.page.forms) > before


@pytest.mark.slow
def test_the_real_engines_plan_of_the_guide_is_within_a_hundredth_of_the_arithmetic(carryon_home):
    main = MainThread()
    services = build(carryon_home, main.post)
    presenter = FitPresenter(
        services.home, services.settings, services.runner, services.host, services.fitting, services.late_discovery,
        Page(),
    )  # fmt: skip
    presenter.set_machine(machines.CPU_ONLY)
    presenter.choose(guide())
    main.run_until(lambda: presenter.form.plan)
    presenter.choose_quant(presenter.form.subject.chosen)
    instant = presenter.form.fit
    presenter.confirm()
    main.run_until(lambda: not presenter.form.is_confirming, wait_s=60)
    confirmed = presenter.form.fit
    services.end()
    assert confirmed.basis is Basis.DRY_RUN
    assert confirmed.need.ram.kv_bytes == instant.need.ram.kv_bytes
    assert confirmed.need.total_bytes == pytest.approx(instant.need.total_bytes, rel=0.01)
