"""What one token touches: bytes by device, summed as a person would with the tensors in hand."""

import pytest
from fakes.published_runs import model

from carryon.fit.placement import Placement
from carryon.fit.room import rooms_of
from carryon.fit.traffic import Traffic, traffics
from carryon.gguf.quants import KvType
from carryon.hardware.parts import machine_with

GB = 1 << 30
ONE, TWO = (rooms_of(machine_with(["RTX 4090"] * count, 64 * GB)) for count in (1, 2))
LLAMA, TIED, MIXTURE = ("llama31-8b", "Q4_K_M"), ("llama32-3b", "Q4_K_M"), ("qwen3-30b-a3b", "Q4_K_M")
WHOLE = Placement(4096, n_gpu_layers=99)


def size(shape, *names: str) -> int:
    return sum(one.size_bytes for one in shape.tensors if any(name in one.name for name in names))


def test_every_weight_but_the_embedding_is_read():
    shape = model(*LLAMA)
    one = traffics(shape, WHOLE, ONE).gpus[0]
    assert one.weights_bytes == pytest.approx(shape.weights_bytes - size(shape, "token_embd", "rope_freqs"))
    assert one.n_layers == 32
    assert one.params == pytest.approx(8.03e9 - 128256 * 4096, rel=0.001)


def test_a_tied_embedding_is_the_output_and_is_read():
    shape = model(*TIED)
    assert traffics(shape, WHOLE, ONE).gpus[0].weights_bytes == pytest.approx(shape.weights_bytes)


def test_of_the_experts_only_those_that_are_used():
    shape = model(*MIXTURE)
    experts = size(shape, "_exps")
    expected = shape.weights_bytes - size(shape, "token_embd") - experts * (1 - 8 / 128)
    assert traffics(shape, WHOLE, ONE).gpus[0].weights_bytes == pytest.approx(expected)


def test_layers_lie_where_the_placement_puts_them_and_nothing_is_lost():
    shape = model(*LLAMA)
    everything = traffics(shape, WHOLE, ONE, 1000).gpus[0]
    placement = Placement(4096, n_gpu_layers=20, split=(1.0, 1.0))
    parts = traffics(shape, placement, TWO, 1000)
    assert [one.n_layers for one in (parts.ram, *parts.gpus)] == [13, 10, 9]
    together = (parts.ram, *parts.gpus)
    for what in ("weights_bytes", "kv_bytes", "params", "attention", "unpacking_bytes"):
        assert sum(getattr(one, what) for one in together) == pytest.approx(getattr(everything, what))


def test_a_gpu_without_layers_is_idle():
    parts = traffics(model(*LLAMA), Placement(4096, n_gpu_layers=20), TWO)
    assert parts.gpus[1] == Traffic()
    assert parts.gpus[1].is_idle


def test_experts_in_ram_are_read_by_the_cpu():
    shape = model(*MIXTURE)
    on_gpu, split = (traffics(shape, Placement(4096, n_gpu_layers=99, n_cpu_experts=count), ONE) for count in (0, 24))
    moved = sum(size(shape, f"blk.{layer}.ffn_{part}_exps") for layer in range(24) for part in ("up", "gate", "down"))
    assert split.ram.weights_bytes == pytest.approx(moved * 8 / 128)
    assert split.gpus[0].weights_bytes == pytest.approx(on_gpu.gpus[0].weights_bytes - moved * 8 / 128)
    assert split.cpu_expert_layers == (24,)
    assert split.experts_stored_bytes == pytest.approx(moved)


def test_a_dense_model_has_no_experts_to_keep_in_ram():
    placement = Placement(4096, n_gpu_layers=99, n_cpu_experts=10)
    assert traffics(model(*LLAMA), placement, ONE) == traffics(model(*LLAMA), WHOLE, ONE)


def test_the_cache_grows_with_depth():
    """32 layers x 8 heads x 128 numbers, keys and values, two bytes each: 128 KiB a token."""
    assert traffics(model(*LLAMA), WHOLE, ONE, 1000).gpus[0].kv_bytes == 1000 * (128 << 10)
    assert traffics(model(*LLAMA), WHOLE, ONE, 0).gpus[0].kv_bytes == 0


def test_a_window_ends_it():
    """Gemma-3-12B: 8 of 48 layers see everything, the others 1024 tokens; 8 heads of 256 numbers."""
    a_layer = 8 * 256 * 2 * 2
    found = traffics(model("gemma3-12b", "Q4_K_M"), WHOLE, ONE, 5000).gpus[0].kv_bytes
    assert found == a_layer * (8 * 5000 + 40 * 1024)


def test_latent_attention_keeps_only_keys():
    """DeepSeek-V2-Lite: 27 layers of 512 + 64 numbers."""
    found = traffics(model("dsv2-lite", "Q4_K_M"), WHOLE, ONE, 100).gpus[0].kv_bytes
    assert found == 27 * 576 * 2 * 100


def test_recurrent_state_is_read_and_written_whatever_the_depth():
    shape = model("mamba-1.4b", "F16")
    state = sum(layer.recurrent_bytes for layer in shape.layers)
    assert state > 0
    assert {traffics(shape, WHOLE, ONE, depth).gpus[0].kv_bytes for depth in (0, 5000)} == {2 * state}


def test_low_bit_types_are_harder_to_unpack():
    four, two = (traffics(model("llama31-8b", quant), WHOLE, ONE).gpus[0] for quant in ("Q4_K_M", "IQ2_XXS"))
    assert four.unpacking_bytes == 0
    assert two.unpacking_bytes > two.weights_bytes / 2


def test_a_quantized_cache_counts_as_one_of_sixteen_bits():
    small = Placement(4096, KvType.Q4_0, n_gpu_layers=99)
    assert traffics(model(*LLAMA), small, ONE, 100) == traffics(model(*LLAMA), WHOLE, ONE, 100)
