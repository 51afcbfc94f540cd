"""The host loads, remembers, watches and unloads one model, and shows only what is still wanted."""

import time

import psutil
import pytest
from fakes import fake_engine
from fakes.main_thread import MainThread

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, LoadWish, NoModel, default_context
from carryon.app.models import ModelFile
from carryon.app.services import build
from carryon.base.settings import RecentModel
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


def test_the_next_wish_starts_from_the_last_one(services, main, wish, tiny_model):
    file = ModelFile(tiny_model, "tiny", str(tiny_model))
    assert services.host.wish_for(file) == LoadWish(file, 4096, 0)
    services.settings.change(lambda now: now.with_recent(RecentModel(str(tiny_model), 2048, 2)))
    assert services.host.wish_for(file) == LoadWish(file, 2048, 2)


@pytest.mark.parametrize(("trained", "chosen"), [(0, 4096), (2048, 2048), (131072, 8192)])
def test_a_safe_context(trained, chosen):
    assert default_context(trained) == chosen
