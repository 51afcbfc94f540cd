"""The workshop's queue: one run at a time, cancelled at once, resumed at the first stage that is not whole."""

import hashlib
import time
from contextlib import closing
from dataclasses import replace

import pytest
from fakes.main_thread import MainThread
from fakes.workshop_bench import bench_of, everything_in, folder_source, inspector_of, order_of
from model_folders import write_folder

from carryon.app.evaluations import Evaluations
from carryon.app.hub_access import HubAccess
from carryon.app.workshop import Workshop
from carryon.app.workshop_list import (
    FailedRun,
    FinishedRun,
    Interrupted,
    Source,
    SourceKind,
    StageKind,
    Waiting,
    Working,
)
from carryon.app.workshop_places import Places
from carryon.base.errors import BadFile, BadInput
from carryon.base.jobs import Runner
from carryon.base.settings import SettingsFile
from carryon.gguf.header import read_header
from carryon.hub.fetching.file_lock import FileLock

pytestmark = pytest.mark.slow  # each starts the processes that convert


@pytest.fixture
def main():
    return MainThread()


@pytest.fixture
def runner(main):
    made = Runner(main.post)
    yield made
    made.end()


@pytest.fixture
def workshop(carryon_home, runner):
    made = opened(carryon_home, runner)
    yield made
    runner.end()
    made.end()


def opened(home, runner, **more):
    settings = SettingsFile(home.settings)
    return Workshop(home, settings, runner, HubAccess(home, settings), inspector_of(home), **more)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return folder_source(write_folder(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def large_model(tmp_path_factory):
    """Large enough to be caught at work."""
    sizes = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "num_hidden_layers": 24}
    return folder_source(write_folder(tmp_path_factory.mktemp("models") / "large", **sizes))


def state(workshop, id):
    return next((one.state for one in workshop.now if one.id == id), None)


def ends(workshop, main, id, wait_s=180):
    main.run_until(lambda: not isinstance(state(workshop, id), Waiting | Working), wait_s)
    return state(workshop, id)


def works(workshop, main, id):
    main.run_until(lambda: isinstance(state(workshop, id), Working) and state(workshop, id).done, 60)


def test_a_run_ends_with_its_files_and_says_so(carryon_home, runner, main, model, tmp_path):
    told, seen = [], []
    workshop = opened(carryon_home, runner, made=told.append)
    workshop.listen(lambda runs: seen.append(runs))
    id = workshop.start(order_of(model, tmp_path / "out", "Q8_0"))
    assert isinstance(state(workshop, id), Waiting)
    assert ends(workshop, main, id) == FinishedRun((tmp_path / "out" / "tiny-Q8_0.gguf",))
    run = workshop.now[0]
    assert all(one.is_done for one in run.stages)
    assert told == [(tmp_path / "out" / "tiny-Q8_0.gguf",)]
    assert everything_in(tmp_path / "out") == ["tiny-Q8_0.gguf"]
    assert read_header(told[0][0]).fields["general.name"] == "tiny"
    assert "convert Q8_0" in run.log_path.read_text()
    assert any(isinstance(runs[0].state, Working) for runs in seen if runs)
    runner.end()
    workshop.end()


def test_a_target_that_is_there_is_refused_before_anything_runs(workshop, model, tmp_path):
    order = order_of(model, tmp_path, "Q8_0")
    order.target("Q8_0").write_text("mine")
    with pytest.raises(BadFile, match="not overwritten"):
        workshop.start(order)
    assert workshop.now == ()
    assert order.target("Q8_0").read_text() == "mine"


def test_nonsense_is_refused(workshop, model, tmp_path):
    with pytest.raises(BadInput):
        workshop.start(replace(order_of(model, tmp_path, "Q8_0"), quants=("Q99",)))


def test_asking_twice_is_one_run(workshop, model, tmp_path):
    order = order_of(model, tmp_path / "out", "Q8_0")
    assert workshop.start(order) == workshop.start(order)
    assert len(workshop.now) == 1


def test_cancelling_takes_less_than_two_seconds_and_leaves_nothing_half(workshop, main, large_model, tmp_path):
    id = workshop.start(order_of(large_model, tmp_path / "out", "F32"))
    works(workshop, main, id)
    began_s = time.monotonic()
    workshop.cancel(id)
    assert ends(workshop, main, id) == Interrupted()
    assert time.monotonic() - began_s < 2
    assert everything_in(tmp_path / "out") == []


def test_what_waits_is_cancelled_at_once_and_comes_back(workshop, main, large_model, model, tmp_path):
    first = workshop.start(order_of(large_model, tmp_path / "out", "F32"))
    second = workshop.start(order_of(model, tmp_path / "out", "Q8_0"))
    workshop.cancel(second)
    assert state(workshop, second) == Interrupted()
    workshop.resume(second)
    workshop.cancel(first)
    assert isinstance(ends(workshop, main, second), FinishedRun)


def test_it_goes_on_with_the_first_stage_that_is_not_whole(workshop, main, model, tmp_path):
    id = workshop.start(order_of(model, tmp_path / "out", "Q8_0", "Q4_K_M"))
    main.run_until(lambda: workshop.now[0].stages[0].is_done, 60)
    workshop.cancel(id)
    assert ends(workshop, main, id) == Interrupted()
    made_ns = (tmp_path / "out" / "tiny-Q8_0.gguf").stat().st_mtime_ns
    workshop.resume(id)
    assert isinstance(ends(workshop, main, id), FinishedRun)
    assert (tmp_path / "out" / "tiny-Q8_0.gguf").stat().st_mtime_ns == made_ns
    assert everything_in(tmp_path / "out") == ["tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf"]


def test_a_failure_says_why_and_may_be_tried_again(workshop, main, tmp_path):
    folder = write_folder(tmp_path / "tiny")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-100])
    id = workshop.start(order_of(folder_source(folder), tmp_path / "out", "Q8_0"))
    failed = ends(workshop, main, id)
    assert isinstance(failed, FailedRun)
    assert "cut off" in failed.error.message
    assert failed.error.hint
    assert everything_in(tmp_path / "out") == []
    (folder / "model.safetensors").write_bytes(whole)
    workshop.resume(id)
    assert isinstance(ends(workshop, main, id), FinishedRun)


def test_a_folder_that_cannot_be_written_is_an_error(workshop, main, model, tmp_path):
    (tmp_path / "file").write_text("")
    id = workshop.start(order_of(model, tmp_path / "file" / "out", "Q8_0"))
    failed = ends(workshop, main, id)
    assert isinstance(failed, FailedRun)
    assert failed.error.hint


def test_a_name_that_is_taken_meanwhile_stays_the_others(workshop, main, model, tmp_path):
    order = order_of(model, tmp_path / "out", "Q8_0")
    id = workshop.start(order)
    order.folder.mkdir(exist_ok=True)
    order.target("Q8_0").write_text("mine")
    assert isinstance(ends(workshop, main, id), FailedRun)
    assert order.target("Q8_0").read_text() == "mine"


def test_two_processes_do_not_work_on_one_run(workshop, main, model, tmp_path):
    order = order_of(model, tmp_path / "out", "Q8_0")
    places = Places(order, workshop.start(order))
    places.work.mkdir(parents=True, exist_ok=True)
    other = FileLock(places.lock)
    if not other.take():
        pytest.skip("the run was quicker")
    failed = ends(workshop, main, places.id)
    other.release()
    assert isinstance(failed, FailedRun)
    assert "works on this already" in failed.error.message


def test_a_run_from_before_is_interrupted_and_its_leftovers_go(carryon_home, runner, main, model, tmp_path):
    order = order_of(model, tmp_path / "out", "Q8_0")
    with bench_of(carryon_home) as bench:
        bench.store.add("0" * 16, order)
    places = Places(order, "0" * 16)
    places.work.mkdir(parents=True)
    (places.work / "Q8_0.work.part").write_text("half")
    workshop = opened(carryon_home, runner)
    assert [one.state for one in workshop.now] == [Interrupted()]
    workshop.begin()
    main.run_until(lambda: not (tmp_path / "out" / ".carryon").exists())
    workshop.resume("0" * 16)
    assert isinstance(ends(workshop, main, "0" * 16), FinishedRun)
    runner.end()
    workshop.end()


def test_forgetting_removes_what_is_unfinished_and_keeps_what_is_whole(workshop, main, model, tmp_path):
    id = workshop.start(order_of(model, tmp_path / "out", "Q8_0", "Q4_K_M"))
    main.run_until(lambda: workshop.now[0].stages[0].is_done, 60)
    workshop.forget(id)
    assert workshop.now == ()
    main.run_until(lambda: everything_in(tmp_path / "out") == ["tiny-Q8_0.gguf"])


def test_a_finished_run_whose_files_are_gone_is_made_again(workshop, main, model, tmp_path):
    order = order_of(model, tmp_path / "out", "Q8_0")
    id = workshop.start(order)
    assert isinstance(ends(workshop, main, id), FinishedRun)
    with pytest.raises(BadFile):
        workshop.start(order)
    order.target("Q8_0").unlink()
    assert workshop.start(order) == id
    assert isinstance(ends(workshop, main, id), FinishedRun)
    assert order.target("Q8_0").is_file()


def test_what_only_llama_cpp_could_convert_is_refused_clearly(workshop, main, tmp_path):
    folder = write_folder(tmp_path / "m", architectures=["BloomForCausalLM"])
    id = workshop.start(order_of(folder_source(folder), tmp_path / "out", "Q8_0"))
    failed = ends(workshop, main, id)
    assert isinstance(failed, FailedRun)
    assert "llama.cpp's own converter" in failed.error.message


def test_the_file_in_between_stays_where_it_is_wanted(workshop, main, model, tmp_path):
    id = workshop.start(order_of(model, tmp_path / "out", "Q4_K_M", keeps_middle=True))
    assert isinstance(ends(workshop, main, id), FinishedRun)
    assert everything_in(tmp_path / "out") == ["tiny-BF16.gguf", "tiny-Q4_K_M.gguf"]


def test_an_importance_matrix_is_made_from_a_text_and_told_in_the_file(workshop, main, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("The model lies on the GPU, or in RAM where it does not fit. " * 70)
    id = workshop.start(order_of(folder_source(), tmp_path / "out", "IQ2_M", imatrix_text=text))
    assert isinstance(ends(workshop, main, id), FinishedRun)
    assert [one.kind.value for one in workshop.now[0].stages] == ["convert", "imatrix", "quantize"]
    fields = read_header(tmp_path / "out" / "guide-IQ2_M.gguf").fields
    assert hashlib.sha256(text.read_bytes()).hexdigest() in fields.values()
    assert everything_in(tmp_path / "out") == ["guide-IQ2_M.gguf"]


def test_what_a_type_lost_is_measured_and_kept(carryon_home, workshop, main, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("The model lies on the GPU, or in RAM where it does not fit. " * 70)
    id = workshop.start(order_of(folder_source(), tmp_path / "out", "BF16", "Q4_0", measures=True, text=text))
    assert isinstance(ends(workshop, main, id), FinishedRun)
    with closing(Evaluations(carryon_home.library)) as kept:
        found = kept.of(tmp_path / "out" / "guide-Q4_0.gguf")
    assert found.kl_divergence > 0
    assert found.base_quant == "BF16"


def test_a_gguf_file_is_quantized(workshop, main, tmp_path):
    from fakes.workshop_bench import GUIDE

    source = Source(SourceKind.GGUF, str(GUIDE / "guide-Q8_0.gguf"))
    order = order_of(source, tmp_path / "out", "Q4_K_M", requantizes=True)
    id = workshop.start(order)
    assert isinstance(ends(workshop, main, id), FinishedRun)
    assert [one.kind for one in workshop.now[0].stages] == [StageKind.QUANTIZE]
    assert everything_in(tmp_path / "out") == ["guide-Q8_0-Q4_K_M.gguf"]
