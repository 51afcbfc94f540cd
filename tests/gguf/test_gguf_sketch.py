"""Tests of models that do not exist yet: typed sizes give the tensors that a model of these sizes has."""

from dataclasses import replace

import pytest
from fakes.header_models import MODELS, header_from

from carryon.base.errors import BadInput
from carryon.gguf.mix import requantized
from carryon.gguf.shape import shape_of
from carryon.gguf.sketch import Parameters, sketched

LLAMA_8B = Parameters(
    n_layers=32, n_embd=4096, n_heads=32, n_kv_heads=8, n_ff=14336, n_vocab=128256, n_ctx_train=131072
)  # fmt: skip
QWEN_30B_A3B = Parameters(
    n_layers=48, n_embd=2048, n_heads=32, n_kv_heads=4, head_length=128, n_ff=6144, n_vocab=151936, n_ctx_train=40960,
    n_experts=128, n_experts_used=8, n_ff_expert=768,
)  # fmt: skip
SMOLLM = Parameters(
    n_layers=24, n_embd=2048, n_heads=32, n_ff=8192, n_vocab=49152, n_ctx_train=8192, is_tied=True
)  # fmt: skip
GEMMA_LIKE = replace(LLAMA_8B, n_layers=12, window=1024, full_every=6)


@pytest.mark.parametrize(
    ("name", "parameters"), [("llama31-8b", LLAMA_8B), ("qwen3-30b-a3b", QWEN_30B_A3B), ("smollm2-1.7b", SMOLLM)]
)
def test_the_sizes_of_a_known_model_give_that_model(name, parameters):
    known, typed = shape_of([header_from(*MODELS[name]())]), sketched(parameters)
    assert typed.n_params == pytest.approx(known.n_params, rel=1e-6)  # Llama 3.1 has 64 rope factors more
    assert typed.weights_bytes == pytest.approx(known.weights_bytes, rel=1e-6)
    assert typed.is_tied == known.is_tied
    assert [one.attention for one in typed.layers] == [one.attention for one in known.layers]
    assert (typed.n_embd, typed.n_ff_expert, typed.n_vocab, typed.n_experts, typed.n_experts_used) == (
        known.n_embd, known.n_ff_expert, known.n_vocab, known.n_experts, known.n_experts_used,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "parameters"), [("llama31-8b", LLAMA_8B), ("qwen3-30b-a3b", QWEN_30B_A3B)])
@pytest.mark.parametrize("quant", ["Q8_0", "Q4_K_M", "IQ3_XXS"])
def test_it_is_quantized_as_the_known_model_is(name, parameters, quant):
    known = shape_of([header_from(*MODELS[name]())])
    assert sketched(parameters, quant).weights_bytes == pytest.approx(requantized(known, quant).weights_bytes, rel=1e-6)


def test_the_head_size_is_the_embedding_shared_out_and_every_head_has_its_own_values():
    assert (SMOLLM.head_size, SMOLLM.kv_heads) == (64, 32)
    assert replace(SMOLLM, n_embd=4096).head_size == 128


def test_a_window_is_looked_back_on_by_all_layers_but_every_sixth():
    windows = [one.attention.window for one in sketched(GEMMA_LIKE).layers]
    assert windows == [1024, 1024, 1024, 1024, 1024, 0] * 2
    assert {one.attention.window for one in sketched(replace(GEMMA_LIKE, full_every=0)).layers} == {1024}


def test_the_first_layers_may_have_no_experts():
    layers = sketched(replace(QWEN_30B_A3B, n_dense_layers=3)).layers
    assert [any(one.is_expert for one in layer.tensors) for layer in layers[:4]] == [False, False, False, True]
    assert any(one.name == "blk.0.ffn_up.weight" and one.shape == (2048, 6144) for one in layers[0].tensors)


def test_the_file_is_its_tensors():
    shape = sketched(SMOLLM, "Q4_K_M")
    assert shape.quant == "Q4_K_M"
    assert shape.weights_bytes <= shape.size_bytes < shape.weights_bytes + 32 * len(shape.tensors)


IMPOSSIBLE = [
    ({"n_layers": 0}, "number of layers cannot be 0"),
    ({"n_layers": 513}, "number of layers cannot be 513"),
    ({"n_embd": -1}, "cannot be"),
    ({"n_heads": 0}, "number of heads cannot be 0"),
    ({"n_kv_heads": -8}, "number of KV heads cannot be -8"),
    ({"n_kv_heads": 5}, "32 heads cannot share 5 KV heads"),
    ({"n_heads": 33}, "cannot be shared out among 33 heads"),
    ({"n_ff": 0}, "no feed-forward length"),
    ({"n_vocab": 10**12}, "vocabulary cannot be 1,000,000,000,000"),
    ({"n_ctx_train": 10**12}, "trained context cannot be 1,000,000,000,000"),
    ({"window": -1}, "sliding window cannot be -1"),
    ({"n_experts": 8}, "0 of 8 experts cannot be used"),
    ({"n_experts": 8, "n_experts_used": 9}, "9 of 8 experts cannot be used"),
    ({"n_experts": 8, "n_experts_used": 2}, "experts have no size"),
    ({"n_dense_layers": 33}, "33 layers without experts are more than the 32 layers"),
]


@pytest.mark.parametrize(("change", "said"), IMPOSSIBLE)
def test_sizes_that_cannot_be_are_refused_in_one_sentence_with_the_next_step(change, said):
    with pytest.raises(BadInput, match=said) as raised:
        replace(LLAMA_8B, **change)
    assert raised.value.message.endswith(".")
    assert raised.value.hint.endswith(".")


def test_all_experts_and_no_dense_layer_need_no_feed_forward_length():
    assert sketched(replace(QWEN_30B_A3B, n_ff=0)).n_params == sketched(QWEN_30B_A3B).n_params
    with pytest.raises(BadInput, match="no feed-forward length"):
        replace(QWEN_30B_A3B, n_ff=0, n_dense_layers=1)


def test_an_unknown_quant_type_is_refused():
    with pytest.raises(BadInput, match="no quant type"):
        sketched(SMOLLM, "Q7")
