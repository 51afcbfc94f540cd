"""How far a choice can go, and the next smaller way when a load ran out of memory."""

from dataclasses import replace

import pytest
from fakes import machines
from fakes.header_models import write_header_model

from carryon.app.fitting import Fitting
from carryon.fit.memory import Placement
from carryon.fit.plan import Candidate, Change, Wishes, assess
from carryon.gguf.quants import KvType
from carryon.gguf.shape import read_shape
from carryon.ui.loading.limits import Remembered, largest_context
from carryon.ui.loading.rungs import next_rung

ON_GPU = {"n_gpu_layers": 33, "gpus": ("CUDA0",)}


@pytest.fixture
def site(carryon_home):
    fitting = Fitting(carryon_home)
    yield fitting.site(machines.WITH_GPU)
    fitting.close()


@pytest.fixture
def candidate(tmp_path):
    """Llama 3.1 8B in Q4_K_M."""
    path = write_header_model("llama31-8b", tmp_path / "8b.gguf", "Q4_K_M")
    return Candidate("Q4_K_M", read_shape(path), str(path))


@pytest.fixture
def mixture(tmp_path):
    path = write_header_model("qwen3-30b-a3b", tmp_path / "30b.gguf", "Q4_K_M")
    return Candidate("Q4_K_M", read_shape(path), str(path))


@pytest.mark.parametrize("kv_type", [KvType.F16, KvType.Q8_0, KvType.Q4_0])
def test_the_longest_context_fits_and_the_next_step_does_not(candidate, site, kv_type):
    def verdict(n_ctx):
        return assess(candidate, Placement(n_ctx, kv_type, **ON_GPU), site).verdict

    longest = largest_context(candidate, Placement(4096, kv_type, **ON_GPU), site)
    assert verdict(longest).fits
    assert not verdict(longest + 1024).fits


def test_the_trained_context_is_the_most(candidate, site):
    assert largest_context(candidate, Placement(4096, KvType.Q4_0), site) == 131072


def test_where_nothing_fits_no_context_does(candidate, site):
    (gpu,) = site.rooms.gpus
    full = replace(site, rooms=replace(site.rooms, gpus=(replace(gpu, free_bytes=0),)))
    assert largest_context(candidate, Placement(4096, **ON_GPU), full) == 0


def test_an_answer_is_asked_for_once():
    asked, remembered = [], Remembered()

    def ask():
        asked.append(1)
        return len(asked)

    assert [remembered.get(key, ask) for key in ("a", "a", "b")] == [1, 1, 2]
    remembered.clear()
    assert remembered.get("b", ask) == 3


def rungs(candidate, placement, site, is_gpu_full):
    """All the way down."""
    fit = assess(candidate, placement, site)
    while rung := next_rung(fit, Wishes(), site, is_gpu_full=is_gpu_full):
        yield fit, rung
        fit = rung.fit


def test_every_rung_takes_less_of_the_gpu_down_to_none(candidate, site):
    steps = list(rungs(candidate, Placement(8192, **ON_GPU), site, is_gpu_full=True))
    for fit, rung in steps:
        assert sum(one.total_bytes for one in rung.fit.need.gpus) < sum(one.total_bytes for one in fit.need.gpus)
    assert {rung.change for _, rung in steps} == {Change.LAYERS}
    assert steps[-1][1].fit.placement.n_gpu_layers == 0


def test_a_mixture_moves_experts_first(mixture, site):
    placement = Placement(8192, KvType.F16, 49, 30, ("CUDA0",))
    rung = next_rung(assess(mixture, placement, site), Wishes(), site, is_gpu_full=True)
    assert rung.change is Change.EXPERTS
    assert rung.wishes.n_cpu_experts == 36


def test_full_ram_gives_up_stride_then_exactness_then_length(candidate, site):
    changes = [rung.change for _, rung in rungs(candidate, Placement(8192), site, is_gpu_full=False)]
    assert list(dict.fromkeys(changes)) == [Change.UBATCH, Change.KV_TYPE, Change.CONTEXT]


def test_a_rung_asks_for_exactly_what_was_assessed(candidate, site):
    fit = assess(candidate, Placement(8192, **ON_GPU), site)
    rung = next_rung(fit, Wishes(quant="Q4_K_M"), site, is_gpu_full=True)
    assert (rung.wishes.n_gpu_layers, rung.wishes.n_ctx, rung.wishes.quant) == (29, 8192, "Q4_K_M")
    assert rung.saves_bytes > 0
