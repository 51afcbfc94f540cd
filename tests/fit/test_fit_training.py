"""Tests of what training needs, against figures worked out by hand and by the papers themselves."""

from dataclasses import replace

import pytest

from carryon.base.errors import BadInput
from carryon.fit.training import Method, activations_bytes, adapter_params, training_need, training_needs
from carryon.gguf.mix import requantized
from carryon.gguf.sketch import Parameters, sketched

# 2 layers of 8 x 8 attention with one KV head of 4, feed-forward 16; vocabulary 10.
TINY = Parameters(n_layers=2, n_embd=8, n_heads=2, n_kv_heads=1, n_ff=16, n_vocab=10, n_ctx_train=64)
LINEARS = 2 * (8 * 8 + 8 * 4 + 8 * 4 + 8 * 8 + 3 * 8 * 16)  # q, k, v, o; gate, up, down
OTHERS = 2 * 2 * 8 + 8 + 2 * 8 * 10  # two norms a layer, the last norm, embedding and output
ADAPTERS = 16 * 2 * ((8 + 8) + (8 + 4) + (8 + 4) + (8 + 8) + 3 * (8 + 16))
EXPERTS = replace(TINY, n_experts=4, n_experts_used=2, n_ff_expert=16)
LLAMA_8B = Parameters(
    n_layers=32, n_embd=4096, n_heads=32, n_kv_heads=8, n_ff=14336, n_vocab=128256, n_ctx_train=131072
)  # fmt: skip


def test_full_fine_tuning_takes_16_bytes_a_parameter_beside_activations():
    need = training_need(sketched(TINY), Method.FULL, n_ctx=1)
    n_params = LINEARS + OTHERS
    assert need.n_trained == n_params
    assert (need.weights_bytes, need.gradients_bytes, need.optimizer_bytes) == (
        2 * n_params, 2 * n_params, 12 * n_params,
    )  # fmt: skip


def test_zero_says_that_7_5_billion_parameters_take_120_gb():
    """The example of the paper, figure 1: weights, gradients and optimizer, without activations."""
    shape = sketched(LLAMA_8B)
    need = training_need(shape, Method.FULL, n_ctx=1)
    assert 7.5e9 * (need.total_bytes - need.activations_bytes) / shape.n_params == 120e9


def test_lora_trains_thin_matrices_beside_every_linear_layer_of_a_frozen_model():
    need = training_need(sketched(TINY), Method.LORA, n_ctx=1)
    assert need.n_trained == ADAPTERS
    assert need.weights_bytes == 2 * (LINEARS + OTHERS) + 2 * ADAPTERS
    assert (need.gradients_bytes, need.optimizer_bytes) == (2 * ADAPTERS, 12 * ADAPTERS)


def test_lora_of_rank_16_on_llama_8b_has_42_million_parameters():
    """The figure that PEFT prints for r=16 on q, k, v, o, gate, up and down: 41,943,040."""
    assert adapter_params(sketched(LLAMA_8B)) == 41_943_040


def test_qlora_keeps_linear_layers_in_4_127_bits_and_the_rest_in_16():
    need = training_need(sketched(TINY), Method.QLORA, n_ctx=1)
    assert need.weights_bytes == round(LINEARS * 4.126953125 / 8) + 2 * OTHERS + 2 * ADAPTERS
    assert need.gradients_bytes == 2 * ADAPTERS


def test_qlora_makes_one_matrix_16_bits_at_a_time():
    shape = sketched(TINY)
    qlora, lora = (training_need(shape, method, n_ctx=4) for method in (Method.QLORA, Method.LORA))
    assert qlora.activations_bytes - lora.activations_bytes == 2 * 8 * 16


def test_activations_are_the_inputs_of_all_layers_and_all_of_one_layer():
    # four times the embedding; q 8, k 4, v 4, what attention gives 8; gate 16, up 16, activated gate 16, product 16
    one_layer = 4 * 8 + (8 + 4 + 4 + 8) + 4 * 16
    assert activations_bytes(sketched(TINY), 100) == 100 * 2 * (2 * 8 + one_layer)


def test_a_large_vocabulary_takes_more_than_a_layer():
    """Logits in 32 bits and their gradient: 8 bytes for each word and token."""
    shape = sketched(replace(TINY, n_vocab=1000))
    assert activations_bytes(shape, 100) == 100 * (2 * 2 * 8 + 8 * 1000)


def test_activations_grow_with_the_batch_and_the_context_alike():
    shape = sketched(LLAMA_8B)
    assert training_need(shape, Method.LORA, 2048, 4) == training_need(shape, Method.LORA, 8192, 1)


def test_experts_each_have_an_adapter_and_a_token_goes_through_some():
    shape = sketched(EXPERTS)
    attention = (8 + 8) + (8 + 4) + (8 + 4) + (8 + 8)
    assert adapter_params(shape) == 16 * 2 * (attention + 4 * 3 * (8 + 16))
    one_layer = 4 * 8 + 2 * 8 + (8 + 4 + 4 + 8) + 2 * 4 * 16  # two experts: their inputs, and four times 16 each
    assert activations_bytes(shape, 1) == 2 * (2 * 8 + one_layer)
    dequantized = training_need(shape, Method.QLORA, 1).activations_bytes - activations_bytes(shape, 1)
    assert dequantized == 2 * 8 * 16  # one expert, not all of them


def test_a_quantized_file_answers_as_the_original_does():
    shape = sketched(LLAMA_8B)
    assert training_needs(requantized(shape, "Q4_K_M")) == training_needs(shape)


def test_llama_8b_in_the_sizes_that_people_report():
    """Full about 130 GB, LoRA on a 24 GB card, QLoRA under 10 GB (2,048 tokens at a time)."""
    full, lora, qlora = (need.total_bytes / 1e9 for need in training_needs(sketched(LLAMA_8B)))
    assert 128 < full < 136
    assert 17 < lora < 21
    assert 7 < qlora < 10


@pytest.mark.parametrize(("n_ctx", "batch"), [(0, 1), (2048, 0), (-1, 1), (10**12, 1)])
def test_impossible_numbers_are_refused(n_ctx, batch):
    with pytest.raises(BadInput, match="cannot be trained on") as raised:
        training_needs(sketched(TINY), n_ctx, batch)
    assert raised.value.hint
