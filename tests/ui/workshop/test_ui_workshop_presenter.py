"""The Workshop page's presenter, without Qt: steps, sources, orders, and runs that come back after a restart."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import workbench
from fakes.main_thread import MainThread
from fakes.workbench import FOLDER, GGUF_FILE, MB, REPOSITORY, FakeWorkbench

from carryon.app.workshop_list import Converter, FinishedRun, Order, Source, SourceKind, Waiting, Working
from carryon.base.errors import NoRoom, Offline
from carryon.base.jobs import Runner
from carryon.ui.workshop.form import Matrix, ModelHere, Step
from carryon.ui.workshop.presenter import RECENT_KEPT, WorkshopPresenter
from carryon.ui.workshop.sources import name_for


class View:
    """Keeps what it is shown."""

    def __init__(self):
        self.forms, self.said, self.used = [], [], []

    def show_form(self, form):
        self.forms.append(form)

    def say(self, words):
        self.said.append(words)

    def use(self, path):
        self.used.append(path)


class Desk:
    """A presenter with its workbench and its main thread."""

    def __init__(self, models, bench=None, charting=lambda run: workbench.charting(())):
        self.bench, self.main, self.view = bench or FakeWorkbench(), MainThread(), View()
        self.runner = Runner(self.main.post)
        self.presenter = WorkshopPresenter(self.bench, self.runner, models, self.view, charting)

    @property
    def form(self):
        return self.presenter.form

    def settle(self):
        self.main.run_until(lambda: not self.form.is_inspecting)

    def open(self, source=FOLDER, **told):
        self.presenter.open(source, **told)
        self.settle()

    def choose_targets(self, source=FOLDER):
        self.open(source)
        self.presenter.go(Step.TARGETS)


@pytest.fixture
def make_desk(tmp_path):
    made = []

    def make(**options):
        made.append(Desk(tmp_path / "models", **options))
        return made[-1]

    yield make
    for desk in made:
        assert desk.runner.end()


@pytest.fixture
def desk(make_desk):
    return make_desk()


# the steps


def test_at_first_only_the_source_can_be_chosen(desk):
    assert desk.form.step is Step.SOURCE
    assert [desk.form.is_open(step) for step in Step] == [True, False, False, False]
    desk.presenter.go_on()
    assert desk.form.step is Step.SOURCE


def test_a_source_leads_to_its_preflight_and_then_to_the_targets(desk):
    desk.open()
    assert desk.form.step is Step.PREFLIGHT
    assert desk.form.preflight.architecture == "llama"
    desk.presenter.go_on()
    assert desk.form.step is Step.TARGETS


def test_going_back_and_on_loses_nothing(desk):
    desk.choose_targets()
    desk.presenter.tick("Q4_K_M", True)
    desk.presenter.choose(name="mine", measures=True)
    before = desk.form.choices
    for _ in range(2):
        desk.presenter.go_back()
    assert desk.form.step is Step.SOURCE
    for _ in range(2):
        desk.presenter.go_on()
    assert desk.form.step is Step.TARGETS
    assert desk.form.choices == before
    assert sum(asked[0] == "inspect" for asked in desk.bench.asked) == 1


def test_another_source_forgets_what_was_ticked_but_not_where_files_go(desk, tmp_path):
    desk.choose_targets()
    desk.presenter.tick("Q2_K", True)
    desk.presenter.choose(folder=tmp_path)
    desk.open(REPOSITORY)
    assert desk.form.choices.quants == {"Q6_K"}
    assert desk.form.choices.folder == tmp_path
    assert desk.form.choices.name == REPOSITORY.name


def test_checking_the_same_source_again_keeps_what_was_set(desk):
    desk.choose_targets()
    desk.presenter.choose(name="mine")
    desk.bench.answers[FOLDER.place] = workbench.preflight(findings=(workbench.BAD,))
    desk.presenter.check_again()
    desk.settle()
    assert not desk.form.can_continue
    assert desk.form.choices.name == "mine"


# the source


def test_a_repository_is_typed_with_or_without_a_revision_or_as_an_address(desk):
    for text, place in (
        ("HuggingFaceTB/SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M"),
        (" HuggingFaceTB/SmolLM2-135M@v1.0 ", "HuggingFaceTB/SmolLM2-135M@v1.0"),
        ("https://huggingface.co/HuggingFaceTB/SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M"),
        ("https://huggingface.co/HuggingFaceTB/SmolLM2-135M/tree/v2", "HuggingFaceTB/SmolLM2-135M@v2"),
    ):
        desk.presenter.open_text(text)
        assert desk.form.source == Source(SourceKind.REPOSITORY, place)
        desk.settle()


def test_a_folder_and_a_file_are_known_by_what_they_hold(desk, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    desk.presenter.open_text(str(model))
    assert desk.form.source == Source(SourceKind.FOLDER, str(model))
    file = tmp_path / "x-00002-of-00003.gguf"
    file.touch()
    desk.presenter.open_path(file)
    assert desk.form.source == Source(SourceKind.GGUF, str(tmp_path / "x-00001-of-00003.gguf"))
    (model / "model.safetensors").touch()
    desk.presenter.open_path(model / "model.safetensors")
    assert desk.form.source == Source(SourceKind.FOLDER, str(model))
    desk.settle()


@pytest.mark.parametrize("text", ["", "   ", "three/parts/here", "/no/such/folder", "~/nothing-here-at-all", "a..b/c"])
def test_what_is_no_source_is_said_in_the_first_step(desk, text):
    desk.presenter.open_text(text)
    assert desk.form.step is Step.SOURCE
    assert desk.form.source_error.message
    assert desk.form.source_error.hint
    assert not desk.bench.asked


def test_an_adapter_alone_is_no_model(desk, tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    desk.presenter.open_path(tmp_path)
    assert "LoRA adapter" in desk.form.source_error.message


def test_an_adapter_is_merged_into_folders_and_repositories_but_never_into_a_file(desk, tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    desk.presenter.set_adapter(tmp_path)
    desk.open()
    assert desk.form.source.adapter == tmp_path
    desk.open(GGUF_FILE)
    assert desk.form.source.adapter is None


def test_another_adapter_is_another_source(desk, tmp_path):
    desk.open()
    (tmp_path / "adapter_config.json").write_text("{}")
    desk.presenter.set_adapter(tmp_path)
    assert desk.form.preflight is None
    desk.presenter.go(Step.PREFLIGHT)
    desk.settle()
    assert desk.bench.asked[-1][1].adapter == tmp_path


def test_a_folder_without_an_adapter_is_refused(desk, tmp_path):
    desk.presenter.set_adapter(tmp_path)
    assert desk.form.adapter is None
    assert "adapter_config.json" in desk.form.source_error.message


def test_recent_sources_are_those_of_this_session_and_of_the_runs(make_desk):
    bench = FakeWorkbench()
    bench.show(workbench.run("old", Order(REPOSITORY, ("Q8_0",), Path("/out"), "x")))
    desk = make_desk(bench=bench)
    assert desk.form.recent == (REPOSITORY,)
    desk.open(FOLDER)
    desk.open(REPOSITORY)
    assert desk.form.recent == (REPOSITORY, FOLDER)
    for count in range(RECENT_KEPT + 2):
        desk.open(Source(SourceKind.REPOSITORY, f"owner/m{count}"))
    assert len(desk.form.recent) == RECENT_KEPT


def test_the_files_of_the_library_are_shown(desk):
    model = ModelHere(Path("/m.gguf"), "m", "Q8_0", 1)
    desk.presenter.show_models((model,))
    assert desk.form.models == (model,)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (GGUF_FILE, "SmolLM2-1.7B-Instruct"),
        (Source(SourceKind.GGUF, "/m/Smol-bf16-00001-of-00003.gguf"), "Smol"),
        (Source(SourceKind.GGUF, "/m/smol.q4_k_m.gguf"), "smol"),
        (Source(SourceKind.GGUF, "/m/Q4_K_M.gguf"), "Q4_K_M"),
        (Source(SourceKind.GGUF, "/m/Smol-Instruct.gguf"), "Smol-Instruct"),
        (Source(SourceKind.FOLDER, "/m/Smol-F16"), "Smol-F16"),
        (Source(SourceKind.REPOSITORY, "owner/Smol@main"), "Smol"),
    ],
)
def test_a_file_is_not_called_by_two_types(source, name):
    assert name_for(source) == name


# the preflight


def test_a_preflight_that_fails_says_why_and_can_be_tried_again(desk):
    desk.bench.answers[REPOSITORY.place] = Offline("The Hub does not answer.", "Try again.")
    desk.open(REPOSITORY)
    assert desk.form.error.message == "The Hub does not answer."
    assert not desk.form.is_open(Step.TARGETS)
    del desk.bench.answers[REPOSITORY.place]
    desk.presenter.inspect_again()
    desk.settle()
    assert desk.form.error is None
    assert desk.form.can_continue


def test_a_preflight_can_be_stopped(desk):
    desk.bench.may_answer.clear()
    desk.presenter.open(REPOSITORY)
    assert desk.form.is_inspecting
    desk.presenter.stop_inspecting()
    desk.settle()
    assert desk.form.was_stopped
    assert desk.form.preflight is None


def test_an_answer_for_the_source_before_is_dropped(desk):
    desk.bench.may_answer.clear()
    desk.presenter.open(REPOSITORY)
    desk.presenter.open(FOLDER)
    desk.bench.may_answer.set()
    desk.settle()
    assert desk.form.preflight.source == FOLDER


def test_a_problem_is_in_the_way(desk):
    desk.bench.answers[FOLDER.place] = workbench.preflight(findings=(workbench.BAD, *workbench.GOOD[1:]))
    desk.open()
    desk.presenter.go(Step.TARGETS)
    assert desk.form.step is Step.PREFLIGHT


def test_the_converter_of_llama_cpp_is_fetched_only_with_consent(desk):
    desk.bench.answers[FOLDER.place] = workbench.preflight(converter=Converter.UPSTREAM)
    desk.open()
    assert desk.form.wants_consent
    assert not desk.form.is_open(Step.TARGETS)
    desk.presenter.agree_to_fetch(True)
    desk.presenter.go(Step.TARGETS)
    desk.presenter.make()
    assert desk.bench.orders()[0].may_fetch_converter


def test_consent_is_for_one_source(desk):
    desk.bench.answers[FOLDER.place] = desk.bench.answers[REPOSITORY.place] = workbench.preflight(
        converter=Converter.UPSTREAM
    )
    desk.open()
    desk.presenter.agree_to_fetch(True)
    desk.open(REPOSITORY)
    assert not desk.form.may_fetch


# the targets


def test_the_best_is_ticked_and_nothing_else(desk):
    desk.choose_targets()
    assert desk.form.choices.quants == {"Q6_K"}
    assert [one.quant for one in desk.form.shown_targets] == ["Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"]


def test_a_best_that_is_not_among_the_usual_ones_is_shown_too(desk):
    desk.bench.answers[FOLDER.place] = workbench.preflight(targets=workbench.targets("Q3_K_M"))
    desk.choose_targets()
    assert [one.quant for one in desk.form.shown_targets][-1] == "Q3_K_M"
    desk.presenter.show_all(True)
    assert len(desk.form.shown_targets) == 10


def test_where_nothing_fits_nothing_is_ticked(desk):
    desk.bench.answers[FOLDER.place] = workbench.preflight(targets=workbench.targets(""))
    desk.choose_targets()
    assert desk.form.choices.quants == frozenset()
    desk.presenter.make_best()
    desk.presenter.make()
    assert desk.bench.orders() == []


def test_types_that_need_a_matrix_are_made_only_with_one(desk):
    desk.choose_targets()
    desk.presenter.tick("IQ2_XS", True)
    assert [one.quant for one in desk.form.chosen] == ["Q6_K"]
    desk.presenter.set_matrix(Matrix.TEXT, Path("/text.txt"))
    assert {one.quant for one in desk.form.chosen} == {"Q6_K", "IQ2_XS"}
    desk.presenter.make()
    assert desk.bench.orders()[0].imatrix_text == Path("/text.txt")
    assert desk.bench.orders()[0].imatrix is None
    desk.presenter.set_matrix(Matrix.FILE, Path("/m.gguf"))
    desk.presenter.make()
    assert (desk.bench.orders()[1].imatrix, desk.bench.orders()[1].imatrix_text) == (Path("/m.gguf"), None)
    desk.presenter.set_matrix(Matrix.NONE, None)
    assert [one.quant for one in desk.form.chosen] == ["Q6_K"]


def test_another_context_asks_for_other_verdicts_and_keeps_the_choices(desk):
    desk.choose_targets()
    desk.presenter.tick("Q8_0", True)
    desk.presenter.choose(n_ctx=32768)
    assert desk.form.preflight is not None  # shown meanwhile
    desk.settle()
    assert desk.bench.asked[-1] == ("inspect", FOLDER, 32768)
    assert desk.form.choices.quants == {"Q6_K", "Q8_0"}
    assert desk.form.step is Step.TARGETS


def test_the_best_of_another_context_takes_the_tick_that_nobody_set(desk):
    desk.choose_targets()
    desk.bench.answers[FOLDER.place] = workbench.preflight(targets=workbench.targets("Q4_K_M"))
    desk.presenter.choose(n_ctx=131072)
    desk.settle()
    assert desk.form.choices.quants == {"Q4_K_M"}


@pytest.mark.parametrize(
    ("ticked", "others", "middle_mb"),
    [
        ({"Q6_K"}, {}, 3424),
        ({"Q8_0"}, {}, 0),
        ({"Q8_0"}, {"measures": True}, 3424),
        ({"Q6_K", "BF16"}, {}, 0),
        ({"Q6_K", "F32"}, {}, 0),
    ],
)
def test_the_disk_holds_the_targets_and_what_they_are_made_from(desk, ticked, others, middle_mb):
    desk.choose_targets()
    desk.presenter.choose(quants=frozenset(ticked), **others)
    assert desk.form.middle_bytes == middle_mb * MB
    assert desk.form.needed_bytes == sum(one.size_bytes for one in desk.form.chosen) + middle_mb * MB


def test_a_download_takes_room_too_and_a_file_needs_no_middle(desk):
    desk.bench.answers[REPOSITORY.place] = workbench.preflight(download_bytes=3424 * MB)
    desk.choose_targets(REPOSITORY)
    assert desk.form.needed_bytes == (3424 + 3424 + 1406) * MB
    desk.choose_targets(GGUF_FILE)
    assert desk.form.needed_bytes == 1406 * MB


def test_what_is_ordered_is_what_was_chosen(desk, tmp_path):
    desk.bench.answers[REPOSITORY.place] = workbench.preflight(revision="abc")
    desk.choose_targets(REPOSITORY)
    desk.presenter.tick("Q4_K_M", True)
    desk.presenter.choose(name=" mine ", folder=tmp_path, keeps_middle=True, measures=True, text=Path("/t.txt"))
    desk.presenter.make()
    order = desk.bench.orders()[0]
    assert order == Order(
        REPOSITORY, ("Q6_K", "Q4_K_M"), tmp_path, "mine", keeps_middle=True, measures=True, text=Path("/t.txt"),
        revision="abc",
    )  # fmt: skip
    assert desk.form.step is Step.RUN


def test_an_order_that_is_refused_is_told_where_it_was_made(desk):
    desk.choose_targets()
    desk.bench.refuses = NoRoom("The disk is full.", "Free some room.")
    desk.presenter.make()
    assert desk.form.step is Step.TARGETS
    assert desk.form.order_error.message == "The disk is full."
    desk.bench.refuses = None
    desk.presenter.tick("Q4_K_M", True)
    assert desk.form.order_error is None


def test_measuring_can_be_asked_for_from_another_page(desk):
    desk.open(GGUF_FILE, measures=True)
    assert desk.form.choices.measures


# the runs


def test_the_best_alone_is_made_with_one_button_and_then_used(desk):
    desk.open()
    desk.presenter.tick("Q2_K", True)
    desk.presenter.make_best()
    assert desk.bench.orders()[0].quants == ("Q6_K",)
    assert desk.form.opening == {"run0"}
    desk.bench.work("run0", 1, 3, 290)
    assert isinstance(desk.form.run("run0").state, Working)
    desk.bench.finish("run0")
    assert [path.name for path in desk.view.used] == ["SmolLM2-1.7B-Instruct-Q6_K.gguf"]
    assert desk.form.opening == frozenset()


def test_what_was_not_asked_for_is_not_used_when_it_is_ready(desk):
    desk.choose_targets()
    desk.presenter.make()
    desk.bench.finish("run0")
    assert desk.view.used == []
    desk.presenter.open_when_ready("run0", True)
    assert desk.view.used == []


def test_a_run_can_be_stopped_resumed_and_forgotten(desk):
    desk.choose_targets()
    desk.presenter.make()
    desk.presenter.cancel("run0")
    assert not desk.form.run("run0").is_active
    desk.presenter.resume("run0")
    assert isinstance(desk.form.run("run0").state, Waiting)
    desk.presenter.cancel("run0")
    desk.presenter.forget("run0")
    assert desk.form.runs == ()
    assert desk.form.step is Step.SOURCE  # a step without anything in it is left


def test_what_was_finished_before_is_not_announced(make_desk):
    bench = FakeWorkbench()
    bench.show(workbench.run("old", Order(FOLDER, ("Q8_0",), Path("/out"), "x"), FinishedRun((Path("/out/x.gguf"),))))
    desk = make_desk(bench=bench)
    assert desk.view.said == []
    assert desk.form.is_open(Step.RUN)


def test_runs_stand_in_the_order_in_which_one_looks_for_them(desk):
    order = Order(FOLDER, ("Q8_0",), Path("/out"), "x")
    desk.bench.show(*(workbench.run(id, order) for id in ("done", "newer", "stopped", "work", "wait")))
    desk.bench.finish("done")
    desk.bench.finish("newer")
    desk.bench.cancel("stopped")
    desk.bench.work("work", 0, 1, 2)
    assert [one.id for one in desk.form.runs] == ["work", "wait", "stopped", "newer", "done"]


def test_the_measurement_of_a_finished_run_is_asked_for_once(make_desk):
    asked = []

    def charting(run):
        asked.append(run.id)
        return workbench.charting(workbench.points())

    desk = make_desk(charting=charting)
    desk.bench.show(workbench.run("a", Order(FOLDER, ("Q8_0",), Path("/out"), "x", measures=True)))
    assert asked == []
    desk.bench.finish("a")
    desk.bench.show(*desk.bench.now)
    desk.main.run_until(lambda: desk.form.charts)
    assert asked == ["a"]
    assert desk.form.charts["a"] == workbench.points()


def test_a_quantized_file_is_known_by_its_bits(desk):
    desk.bench.answers[GGUF_FILE.place] = workbench.preflight(source_bytes=1820 * MB, converter=Converter.NONE)
    desk.open(GGUF_FILE)
    assert desk.form.is_quantized_already
    desk.bench.answers[GGUF_FILE.place] = workbench.preflight(converter=Converter.NONE)
    desk.presenter.inspect_again()
    desk.settle()
    assert not desk.form.is_quantized_already
    assert not replace(desk.form, source=FOLDER).is_quantized_already
