"""How a model shall be loaded: remembered, planned, or safe while nothing is known."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import fits
from hypothesis import given
from hypothesis import strategies as st

from carryon.app.models import ModelFacts, ModelFile
from carryon.app.wishes import (
    LoadWish,
    default_context,
    planned_wish,
    recent_of,
    request_of,
    safe_wish,
    wishes_again,
    wishes_of,
)
from carryon.base.settings import RecentModel
from carryon.engine.protocol import KvType
from carryon.fit.memory import DEFAULT_UBATCH, Placement
from carryon.fit.plan import Wishes

FILE = ModelFile(Path("/m/m.gguf"), "m", "/m/m.gguf")
FACTS = ModelFacts(FILE, "llama", 32, 32768, 5_000_000_000)
BY_HAND = RecentModel("/m/m.gguf", 16384, 20, 4, "q8_0", 256, use_mmap=False)
PLACED = Placement(8192, KvType.Q8_0, 33, 5, ("CUDA0", "CUDA1"), (20.0, 13.0), 256, use_mmap=False)


def test_nothing_known_and_nothing_remembered_is_the_processor_with_a_safe_context():
    assert safe_wish(FACTS, None) == LoadWish(FILE, 8192, 0, is_automatic=True)


def test_what_was_remembered_comes_back_whole():
    assert recent_of(safe_wish(FACTS, BY_HAND)) == BY_HAND


def test_what_was_remembered_never_exceeds_the_model():
    wish = safe_wish(FACTS, replace(BY_HAND, n_gpu_layers=99, n_cpu_experts=99))
    assert (wish.n_gpu_layers, wish.n_cpu_experts) == (33, 32)


def test_a_planned_wish_is_exactly_its_placement():
    wish = planned_wish(FILE, fits.fit(placement=PLACED), is_automatic=True)
    request = request_of(wish)
    assert (request.n_ctx, request.kv_type, request.n_gpu_layers, request.n_cpu_experts) == (8192, KvType.Q8_0, 33, 5)
    assert (request.gpus, request.split) == (("CUDA0", "CUDA1"), (20.0, 13.0))
    assert (request.n_ubatch, request.use_mmap, request.model_path) == (256, False, "/m/m.gguf")


def test_the_prediction_is_no_part_of_a_wish():
    fit = fits.fit(placement=PLACED)
    wish = planned_wish(FILE, fit, is_automatic=True)
    assert wish == replace(wish, fit=None)
    assert wish.fit is fit


def test_an_automatic_load_keeps_its_context_and_leaves_the_layers_to_the_plan():
    wishes = wishes_of(replace(BY_HAND, is_automatic=True))
    assert wishes == Wishes(n_ctx=16384, kv_type=KvType.Q8_0, use_mmap=False)


def test_a_load_by_hand_is_asked_for_again_as_it_was():
    assert wishes_of(BY_HAND) == Wishes(
        n_ctx=16384, kv_type=KvType.Q8_0, n_gpu_layers=20, n_cpu_experts=4, n_ubatch=256, use_mmap=False
    )
    assert wishes_again(safe_wish(FACTS, BY_HAND)) == wishes_of(BY_HAND)
    assert wishes_of(None) == Wishes()


@pytest.mark.parametrize("kv_type", ["", "q9_9", "F16"])
def test_a_kv_type_of_a_newer_version_is_read_as_f16(kv_type):
    assert safe_wish(FACTS, replace(BY_HAND, kv_type=kv_type)).kv_type is KvType.F16


def test_the_engines_default_is_the_plans():
    assert LoadWish(FILE, 4096, 0).n_ubatch == DEFAULT_UBATCH


@given(st.integers(0, 1 << 24))
def test_a_context_to_begin_with_is_never_beyond_training(trained):
    assert 0 < default_context(trained) <= max(trained, 4096)
    assert default_context(trained) <= 8192
