"""The words of the load dialog."""

from dataclasses import replace

import pytest
from fakes import machines
from fakes.fits import fit

from carryon.app.host import LoadingModel, LoadWish
from carryon.app.models import ModelFacts, guide
from carryon.base.settings import RecentModel
from carryon.fit.plan import Wishes
from carryon.fit.speed import Basis as PaceBasis
from carryon.fit.speed import Pace
from carryon.ui.loading import texts
from carryon.ui.loading.form import Entry, Form, NoOffload, Place

FACTS = ModelFacts(guide(), "llama", 32, 32768, 4_900_000_000)


def form(n_ctx=8192, n_gpu_layers=0, **fields):
    wishes = Wishes(n_ctx=n_ctx, n_gpu_layers=n_gpu_layers)
    return Form(**{"file": guide(), "facts": FACTS, "wishes": wishes, "no_offload": None, **fields})


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (0, "0 of 33 layers: CPU only"),
        (1, "1 of 33 layers"),
        (28, "28 of 33 layers"),
        (32, "32 of 33 layers"),
        (33, "all 33 layers: everything on GPU"),
    ],
)
def test_the_value_names_both_ends(layers, words):
    assert texts.layers_text(form(n_gpu_layers=layers)) == words


def test_a_file_in_one_line():
    assert texts.facts_text(FACTS) == "llama · 32 layers · 4.9 GB · trained for 32k tokens"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (Entry(guide(), Place.GUIDE), "built in, knows this app"),
        (Entry(guide(), Place.GUIDE, RecentModel("guide", 4096, 0)), "built in · 4k context · CPU only"),
        (Entry(guide(), Place.RECENT, RecentModel("x", 8192, 28)), "8k context · 28 layers on GPU"),
        (Entry(guide(), Place.LIBRARY), "in your models folder"),
        (Entry(guide(), Place.OPENED), "opened now"),
    ],
)
def test_a_model_says_how_it_was_loaded_or_where_it_is(entry, words):
    assert texts.entry_text(entry) == words


@pytest.mark.parametrize("reason", list(NoOffload))
def test_every_reason_for_a_switched_off_slider_is_a_sentence(reason):
    words = texts.offload_note(form(no_offload=reason, machine=machines.GPU_WITHOUT_ENGINE_SUPPORT))
    assert words.endswith((".", "…"))
    assert len(words) > 15


def test_a_gpu_that_the_engine_cannot_use_is_named_with_the_next_step():
    machine = machines.GPU_WITHOUT_ENGINE_SUPPORT
    words = texts.offload_note(form(no_offload=NoOffload.NO_GPU_SUPPORT, machine=machine))
    assert "RTX 4060" in words
    assert "bootstrap.py" in words


def test_the_gpu_is_named_once_however_many_there_are():
    engine = machines.WITH_GPU.engine
    two = replace(machines.WITH_GPU, engine=replace(engine, devices=(engine.devices[0], *engine.devices)))
    assert texts.offload_note(form(machine=two)).count("RTX 4060") == 1


def test_the_trained_maximum_is_marked_in_the_list():
    assert texts.context_item(32768, 32768) == "32k (trained maximum)"
    assert texts.context_item(4096, 32768) == "4k"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Trained maximum: 32,768 tokens."),
        ({"is_context_readable": False}, texts.NOT_A_NUMBER),
        ({"facts": None}, "—"),
    ],
)
def test_the_note_under_the_context(fields, words):
    assert texts.context_note(form(**fields)) == words


def test_an_unknown_training_is_said():
    unknown = ModelFacts(guide(), "llama", 32, 0, 1)
    assert "does not say" in texts.context_note(form(facts=unknown))
    assert "unknown" in texts.facts_text(unknown)


@pytest.mark.parametrize(
    ("fraction", "words"), [(None, "Loading Carryon guide…"), (0.42, "Loading Carryon guide… 42 %")]
)
def test_loading_in_words(fraction, words):
    wish = LoadWish(guide(), 4096, 0)
    assert texts.loading_text(form(loading=LoadingModel(wish, fraction))) == words
    assert texts.loading_text(form()) == ""
    assert texts.layers_text(form(facts=None)) == "—"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(38, 46, "About 38–46 tokens/s"), (0.0, 0.5, "Up to 0.5 tokens/s"), (0.01, 0.05, "Below 0.1 tokens/s")],
)
def test_a_speed_begins_a_line(low, high, words):
    assert texts.pace_text(replace(fit(), decode=Pace(low, high, PaceBasis.GUESSED))) == words
