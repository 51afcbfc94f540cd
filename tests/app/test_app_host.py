"""The host loads, remembers, watches and unloads one model, and shows only what is still wanted."""

import time
from dataclasses import replace

import psutil
import pytest
from fakes import fake_engine, machines
from fakes.header_models import write_header_model
from fakes.main_thread import MainThread

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, LoadWish, NoModel, default_context
from carryon.app.models import ModelFile, guide
from carryon.app.services import build
from carryon.base.settings import RecentModel
from carryon.engine.protocol import KvType
from carryon.engine.reasons import Crash, Refusal


@pytest.fixture
def main():
    return MainThread()


@pytest.fixture
def services(request, main, carryon_home):
    options = getattr(request, "param", {})
    services = build(carryon_home, main.post, fake_engine.command(**options))
    yield services
    services.end()
    assert not psutil.Process().children()


@pytest.fixture
def wish(tmp_path):
    return LoadWish(ModelFile(tmp_path / "m.gguf", "m", "m.gguf"), 4096, 5)


def is_in(services, *kinds):
    return lambda: isinstance(services.host.state, kinds)


def test_loading_ends_in_a_model_that_answers(services, main, wish):
    seen = []
    services.host.listen(seen.append)
    services.host.load(wish)
    main.run_until(is_in(services, LoadedModel))
    assert [type(one) for one in seen][:2] == [NoModel, LoadingModel]
    assert services.host.state.engine.client.tokenize("a b") == [0, 1]


def test_how_a_model_was_loaded_is_remembered(services, main, wish):
    services.host.load(wish)
    main.run_until(is_in(services, LoadedModel))
    assert services.settings.now.recent_models == (RecentModel("m.gguf", 4096, 5),)


def test_unloading_ends_the_engine(services, main, wish):
    services.host.load(wish)
    main.run_until(is_in(services, LoadedModel))
    pid = services.host.state.engine.pid
    services.host.unload()
    assert isinstance(services.host.state, NoModel)
    main.run_until(lambda: not psutil.pid_exists(pid))


def test_a_slow_engine_holds_up_neither_the_window_nor_is_it_left(services, main, wish):
    services.host.load(wish)
    main.run_until(is_in(services, LoadedModel))
    engine = services.host.state.engine
    psutil.Process(engine.pid).suspend()  # it will not hear that its pipe ended
    began_s = time.monotonic()
    services.host.unload()
    assert time.monotonic() - began_s < 0.2
    main.run_until(lambda: not psutil.pid_exists(engine.pid))


def test_the_next_model_waits_until_the_last_one_is_gone(services, main, wish):
    services.host.load(wish)
    main.run_until(is_in(services, LoadedModel))
    first = services.host.state.engine
    psutil.Process(first.pid).suspend()
    services.host.load(LoadWish(wish.file, 8192, 0))
    main.run_until(lambda: isinstance(services.host.state, LoadedModel))
    assert not psutil.pid_exists(first.pid)


@pytest.mark.parametrize("services", [{"hang_loading": 1}], indirect=True)
def test_a_load_can_be_given_up(services, main, wish):
    services.host.load(wish)
    main.run_until(lambda: getattr(services.host.state, "fraction", None) is not None)
    services.host.unload()
    assert isinstance(services.host.state, NoModel)


def test_a_second_load_takes_the_place_of_the_first(services, main, wish):
    services.host.load(wish)
    services.host.load(LoadWish(wish.file, 8192, 0))
    main.run_until(is_in(services, LoadedModel))
    assert services.host.state.wish.n_ctx == 8192


@pytest.mark.parametrize("services", [{"refuse": "not_gguf"}], indirect=True)
def test_a_refusal_is_a_state_with_its_reason(services, main, wish):
    services.host.load(wish)
    main.run_until(is_in(services, FailedModel))
    assert isinstance(services.host.state.error, Refusal)
    assert services.settings.now.recent_models == ()


def test_a_crash_while_idle_is_noticed(services, main, wish):
    services.host.load(wish)
    main.run_until(is_in(services, LoadedModel))
    psutil.Process(services.host.state.engine.pid).kill()
    main.run_until(is_in(services, FailedModel))
    assert isinstance(services.host.state.error, Crash)


def test_a_load_that_shall_not_be_kept_is_not(services, main, wish):
    services.host.load(replace(wish, is_kept=False))
    main.run_until(is_in(services, LoadedModel))
    assert services.settings.now.recent_models == ()


def test_everything_of_a_wish_reaches_the_engine_and_the_settings(services, main, wish):
    whole = replace(
        wish, n_cpu_experts=3, gpus=("CUDA0", "CUDA1"), split=(2.0, 1.0), n_ubatch=256, kv_type=KvType.Q8_0,
        use_mmap=False, is_automatic=True,
    )  # fmt: skip
    services.host.load(whole)
    main.run_until(is_in(services, LoadedModel))
    request = services.host.state.engine.request
    assert (request.n_cpu_experts, request.gpus, request.split) == (3, ("CUDA0", "CUDA1"), (2.0, 1.0))
    assert (request.n_ubatch, request.kv_type, request.use_mmap) == (256, KvType.Q8_0, False)
    assert services.settings.now.recent_models == (RecentModel("m.gguf", 4096, 5, 3, "q8_0", 256, False, True),)


def test_the_next_wish_starts_from_the_last_one(services, main, wish, tiny_model):
    file = ModelFile(tiny_model, "tiny", str(tiny_model))
    assert services.host.wish_for(file) == LoadWish(file, 4096, 0, is_automatic=True)
    services.settings.change(lambda now: now.with_recent(RecentModel(str(tiny_model), 2048, 2)))
    assert services.host.wish_for(file) == LoadWish(file, 2048, 2)


def test_a_model_nobody_set_by_hand_is_planned_for_the_machine(services, tmp_path):
    path = write_header_model("llama31-8b", tmp_path / "8b.gguf", "Q4_K_M")
    file = ModelFile(path, "8b", str(path))
    services.host.set_machine(machines.WITH_GPU)
    wish = services.host.wish_for(file)
    assert (wish.n_gpu_layers, wish.gpus, wish.is_automatic) == (33, ("CUDA0",), True)
    services.host.set_machine(machines.CPU_ONLY)
    assert services.host.wish_for(file).n_gpu_layers == 0


def test_what_was_free_before_a_load_is_not_given_back_twice(services, main, wish, tmp_path):
    path = write_header_model("llama31-8b", tmp_path / "8b.gguf", "Q4_K_M")
    file = ModelFile(path, "8b", str(path))
    services.host.set_machine(machines.CPU_ONLY)
    before = services.host.wish_for(file).site.rooms.ram.free_bytes
    services.host.load(wish)
    main.run_until(is_in(services, LoadedModel))
    assert services.host.wish_for(file).site.rooms.ram.free_bytes == before
    services.host.set_machine(machines.CPU_ONLY)  # looked at again, with the model in it
    assert services.host.wish_for(file).site.rooms.ram.free_bytes > before


def test_the_guide_is_planned_without_keeping_anybody_waiting(services):
    services.host.set_machine(machines.WITH_GPU)
    services.host.wish_for(guide())  # the first time imports
    began_s = time.monotonic()
    services.host.wish_for(guide())
    assert time.monotonic() - began_s < 0.1


def test_what_was_predicted_is_kept_beside_what_happened(services, main, tmp_path):
    told = []
    services.fitting.loaded = lambda fit, site, ready: told.append((fit, ready))
    path = write_header_model("llama31-8b", tmp_path / "8b.gguf", "Q4_K_M")
    services.host.set_machine(machines.WITH_GPU)
    wish = services.host.wish_for(ModelFile(path, "8b", str(path)))
    services.host.load(wish)
    main.run_until(is_in(services, LoadedModel))
    assert told == [(wish.fit, services.host.state.engine.ready)]


@pytest.mark.parametrize(("trained", "chosen"), [(0, 4096), (2048, 2048), (131072, 8192)])
def test_a_safe_context(trained, chosen):
    assert default_context(trained) == chosen
