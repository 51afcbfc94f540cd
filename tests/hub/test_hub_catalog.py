"""The models that Carryon names by itself are named rightly."""

import re

from fakes.header_models import MODELS, header_from

from carryon.gguf.architectures import refuse_unknown
from carryon.gguf.shape import shape_of
from carryon.hub.catalog import starters
from carryon.hub.repo import Format
from carryon.hub.search import pasted
from carryon.hub.site import Site

LICENCES = {"apache-2.0", "mit", "llama3.1", "llama3.2", "gemma"}


def test_there_is_a_choice_and_no_flood():
    assert 8 <= len(starters()) <= 12
    assert len({one.found.repo_id for one in starters()}) == len(starters())


def test_each_says_what_it_is_good_for_in_one_line():
    for one in starters():
        assert re.fullmatch(r"[A-Z][^\n.]{10,85}", one.good_for), one.good_for


def test_each_has_the_facts_that_a_fit_needs_without_a_network():
    for one in starters():
        found = one.found
        assert pasted(Site(), found.repo_id)
        assert found.formats == {Format.GGUF}
        assert found.licence in LICENCES
        assert found.task in ("text-generation", "image-text-to-text")
        assert 10**8 < found.n_params < 10**11
        assert 4096 <= found.n_ctx_train <= 1 << 20


def test_the_engine_knows_each_architecture():
    fields, tensors = MODELS["qwen3-8b"]()
    for one in starters():
        said = fields | {"general.architecture": one.found.architecture}
        refuse_unknown(header_from(said, tensors))


def test_the_parameters_are_those_of_the_models():
    counted = {"Qwen/Qwen3-8B-GGUF": "qwen3-8b", "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF": "llama31-8b",
               "ggml-org/gpt-oss-20b-GGUF": "gptoss-20b", "Qwen/Qwen3-30B-A3B-GGUF": "qwen3-30b-a3b",
               "bartowski/phi-4-GGUF": "phi4", "HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF": "smollm2-1.7b"}  # fmt: skip
    told = {one.found.repo_id: one.found.n_params for one in starters()}
    for repo_id, name in counted.items():
        true = shape_of([header_from(*MODELS[name]())]).n_params
        assert abs(told[repo_id] - true) / true < 0.001, (repo_id, true)


def test_they_come_from_small_to_large():
    sizes = [one.found.n_params for one in starters()]
    assert sizes == sorted(sizes)
