"""What is worked out once for layers that are alike, and once for all quants of a model."""

from dataclasses import replace

import pytest
from fakes.header_models import MODELS
from fakes.sites import model

from carryon.fit.alike import alike, each_layer
from carryon.fit.remembered import per_family
from carryon.gguf.mix import requantized


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("quant", ["F16", "Q4_K_M", "IQ2_M"])
def test_layers_that_are_alike_take_the_same(name, quant):
    shape = model(name, quant)

    def size_bytes(layer):
        return sum(one.size_bytes for one in layer.tensors)

    assert each_layer(shape, size_bytes) == [size_bytes(layer) for layer in shape.layers]


def test_most_layers_of_a_quant_are_of_few_kinds():
    assert len(set(alike(model("llama33-70b", "Q4_K_M")))) < 8


def test_what_quants_have_in_common_is_worked_out_once():
    asked = []
    known = per_family(lambda shape: asked.append(shape.quant) or shape.n_layers)
    assert {known(requantized(model("qwen3-8b"), quant)) for quant in ("Q8_0", "Q4_K_M", "Q2_K")} == {36}
    assert asked == ["Q8_0"]


def test_a_changed_model_is_not_of_the_family():
    shape = requantized(model("qwen3-8b"), "Q8_0")
    shorter = replace(shape, layers=shape.layers[:10])
    known = per_family(lambda one: one.n_layers)
    assert (known(shape), known(shorter)) == (36, 10)


def test_two_files_of_one_model_are_told_by_everything_but_types():
    one, other = (requantized(model("qwen3-8b"), quant) for quant in ("Q8_0", "Q4_K_M"))
    assert one.is_quant_of(other)
    assert not one.is_quant_of(replace(other, layers=other.layers[:-1]))
    assert not one.is_quant_of(replace(other, n_experts_used=2))
    assert not one.is_quant_of(model("llama31-8b", "Q8_0"))
