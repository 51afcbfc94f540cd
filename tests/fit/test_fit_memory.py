"""What every device has to hold: rules that the engine's placement follows, on shapes of known models."""

import statistics
import timeit
from dataclasses import replace

import pytest
from fakes.header_models import MODELS, MORE_MODELS, header_from
from hypothesis import given, settings
from hypothesis import strategies as st

from carryon.fit.memory import Extras, Placement, need
from carryon.fit.room import Backend, Room, Rooms
from carryon.gguf.mix import requantized
from carryon.gguf.quants import GGML_TYPES, KvType
from carryon.gguf.shape import shape_of
from carryon.hardware.machine import DeviceKind

RAM = Room("CPU", "RAM", DeviceKind.CPU, Backend.CPU, 1 << 40, 1 << 40, 0)
SHAPES = {name: shape_of([header_from(*make())]) for name, make in (MODELS | MORE_MODELS).items()}
LLAMA, GEMMA, QWEN_MOE = SHAPES["llama31-8b"], SHAPES["gemma3-12b"], SHAPES["qwen3-30b-a3b"]


def gpus(*backends):
    return Rooms(RAM, tuple(Room(f"{one.value.upper()}{index}", "GPU", DeviceKind.GPU, one, 1 << 36, 1 << 36, 0)
                            for index, one in enumerate(backends)))


ONE_GPU, TWO_GPUS = gpus(Backend.CUDA), gpus(Backend.CUDA, Backend.CUDA)
NO_GPU = Rooms(RAM)


def everything(shape):
    return Placement(4096, n_gpu_layers=shape.n_gpu_layers_max)


def weights(shape, placement, rooms):
    found = need(shape, placement, rooms)
    return found.ram.weights_bytes, *(one.weights_bytes for one in found.gpus)


def tensor_bytes(tensors):
    return sum(one.size_bytes for one in tensors)


placements = st.builds(
    Placement, n_ctx=st.integers(1, 1 << 18), kv_type=st.sampled_from([KvType.F16, KvType.Q8_0, KvType.Q4_0]),
    n_gpu_layers=st.integers(0, 90), n_cpu_experts=st.integers(0, 90), split=st.just(()) | st.just((3.0, 1.0)),
    n_ubatch=st.sampled_from([32, 128, 512, 1024]), n_parallel=st.integers(1, 4),
)  # fmt: skip
shapes = st.sampled_from(list(SHAPES.values()))


@given(shapes, placements, st.integers(1, 1 << 16))
@settings(max_examples=150, deadline=None)
def test_a_longer_context_never_has_a_smaller_cache_anywhere(shape, placement, more):
    shorter = need(shape, placement, TWO_GPUS)
    longer = need(shape, replace(placement, n_ctx=placement.n_ctx + more), TWO_GPUS)
    for before, after in zip((shorter.ram, *shorter.gpus), (longer.ram, *longer.gpus), strict=True):
        assert after.kv_bytes >= before.kv_bytes


@given(shapes, st.integers(1, 1 << 16), st.integers(1, 1 << 16))
@settings(max_examples=100, deadline=None)
def test_a_longer_context_never_needs_less(shape, n_ctx, more):
    longer = need(shape, Placement(n_ctx + more), NO_GPU).total_bytes
    assert longer >= need(shape, Placement(n_ctx), NO_GPU).total_bytes


@given(shapes, placements)
@settings(max_examples=100, deadline=None)
def test_one_more_layer_on_the_gpu_never_takes_weights_off_it(shape, placement):
    fewer = need(shape, placement, ONE_GPU)
    more = need(shape, replace(placement, n_gpu_layers=placement.n_gpu_layers + 1), ONE_GPU)
    assert more.gpus[0].weights_bytes >= fewer.gpus[0].weights_bytes
    assert more.ram.weights_bytes <= fewer.ram.weights_bytes


@given(shapes, placements)
@settings(max_examples=150, deadline=None)
def test_no_weight_is_lost_and_none_is_counted_twice_but_the_tied_embedding_and_the_rope_factors(shape, placement):
    embedding = next(one.size_bytes for one in shape.input_tensors if one.name == "token_embd.weight")
    copies = shape.is_tied * embedding + 2 * tensor_bytes(shape.shared_tensors)
    padding = 256 * sum(len(layer.tensors) for layer in shape.layers) + 256 * 20
    loaded = shape.weights_bytes - tensor_bytes(shape.unused_tensors)
    assert loaded <= sum(weights(shape, placement, TWO_GPUS)) <= loaded + copies + padding


@given(shapes, placements)
@settings(max_examples=100, deadline=None)
def test_the_cache_is_the_same_wherever_it_lies(shape, placement):
    found = need(shape, placement, gpus(Backend.RPC, Backend.RPC))
    in_ram = need(shape, replace(placement, n_gpu_layers=0), NO_GPU)
    assert found.ram.kv_bytes + sum(one.kv_bytes for one in found.gpus) == in_ram.ram.kv_bytes


def test_the_output_layer_is_the_first_to_be_offloaded():
    _, on_gpu = weights(LLAMA, Placement(4096, n_gpu_layers=1), ONE_GPU)
    assert on_gpu == tensor_bytes(LLAMA.output_tensors)


def test_the_last_layer_goes_next_and_the_first_one_last():
    output = tensor_bytes(LLAMA.output_tensors)
    layer, factors = tensor_bytes(LLAMA.layers[-1].tensors), tensor_bytes(LLAMA.shared_tensors)
    assert weights(LLAMA, Placement(4096, n_gpu_layers=2), ONE_GPU)[1] == output + layer + factors
    assert weights(LLAMA, Placement(4096, n_gpu_layers=32), ONE_GPU)[0] > tensor_bytes(LLAMA.input_tensors) + layer - 1


def test_the_token_embedding_stays_in_ram_whatever_is_offloaded():
    assert weights(LLAMA, everything(LLAMA), ONE_GPU)[0] == tensor_bytes(LLAMA.input_tensors)


def test_a_tied_model_holds_its_embedding_twice_beside_a_gpu_and_once_without():
    embedding = tensor_bytes(GEMMA.input_tensors)
    in_ram, on_gpu = weights(GEMMA, everything(GEMMA), ONE_GPU)
    assert in_ram == embedding
    assert in_ram + on_gpu == weights(GEMMA, Placement(4096), NO_GPU)[0] + embedding


def test_experts_of_the_first_layers_stay_in_ram():
    some = replace(everything(QWEN_MOE), n_cpu_experts=10)
    experts = [one.size_bytes for layer in QWEN_MOE.layers[:10] for one in layer.tensors if one.is_expert]
    before, after = weights(QWEN_MOE, everything(QWEN_MOE), ONE_GPU), weights(QWEN_MOE, some, ONE_GPU)
    assert after == (before[0] + sum(experts), before[1] - sum(experts))


@pytest.mark.parametrize("n_cpu_experts", [16, 48, 100])
def test_experts_of_layers_that_are_in_ram_anyway_are_not_counted_again(n_cpu_experts):
    half = Placement(4096, n_gpu_layers=33)
    total = sum(weights(QWEN_MOE, half, ONE_GPU))
    assert sum(weights(QWEN_MOE, replace(half, n_cpu_experts=n_cpu_experts), ONE_GPU)) == total


@pytest.mark.parametrize(("split", "n_first"), [((1, 1), 17), ((3, 1), 25), ((1, 3), 9), ((1, 0), 33), ((0, 1), 0)])
def test_layers_are_split_as_llama_cpp_rounds(split, n_first):
    """Layer i goes to the first device whose summed share is above i / 33 (llama-model.cpp, std::upper_bound)."""
    layer, factors = tensor_bytes(LLAMA.layers[0].tensors), tensor_bytes(LLAMA.shared_tensors)
    on_first = weights(LLAMA, replace(everything(LLAMA), split=split), gpus(Backend.RPC, Backend.RPC))[1]
    output = tensor_bytes(LLAMA.output_tensors) if n_first == 33 else 0
    assert on_first == (n_first - bool(output)) * layer + output + factors * bool(n_first)


def test_only_the_gpus_that_are_named_take_layers():
    placement = replace(everything(LLAMA), gpus=("CUDA1",))
    first, second = need(LLAMA, placement, TWO_GPUS).gpus
    assert first.total_bytes == 0
    assert second.weights_bytes == weights(LLAMA, everything(LLAMA), ONE_GPU)[1]


def test_without_a_gpu_all_lies_in_ram_whatever_is_asked():
    assert need(LLAMA, everything(LLAMA), NO_GPU) == need(LLAMA, Placement(4096), NO_GPU)


def test_cuda_widens_the_last_row_of_a_quantized_matrix():
    """2880 numbers in a row are no multiple of 512 (MATRIX_ROW_PADDING): 192 more of MXFP4 are 102 bytes."""
    shape = SHAPES["gptoss-20b"]
    broken = [one for layer in shape.layers for one in layer.tensors if one.type_id == 39 and one.shape[0] % 512]
    padding = 17 * (512 - 2880 % 512) // 32
    plain, wide = (weights(shape, everything(shape), gpus(one))[1] for one in (Backend.METAL, Backend.CUDA))
    assert {GGML_TYPES[one.type_id].name for one in broken} == {"MXFP4"}
    assert len(broken) * padding <= wide - plain <= len(broken) * (padding + 128) + 128 * 24 * 20


def test_a_window_keeps_only_what_it_looks_back_on():
    """Gemma 3: of six layers five look back 1,024 tokens and keep those and one batch, in steps of 256."""
    row = 2 * 8 * 256 * 2
    assert need(GEMMA, Placement(32768), NO_GPU).ram.kv_bytes == row * (8 * 32768 + 40 * 1536)


def test_sequences_share_the_context_out():
    one, four = (need(LLAMA, Placement(8192, n_parallel=number), NO_GPU).ram for number in (1, 4))
    assert four.kv_bytes == one.kv_bytes
    assert four.output_bytes == 4 * one.output_bytes == 16 * LLAMA.n_vocab


def test_a_latent_cache_has_no_values():
    shape = SHAPES["dsv2-lite"]
    assert need(shape, Placement(4096), NO_GPU).ram.kv_bytes == 27 * 576 * 2 * 4096


def test_a_state_does_not_grow_with_the_context_but_with_the_sequences():
    shape = SHAPES["mamba-1.4b"]
    short, long = (need(shape, Placement(n_ctx), NO_GPU).ram.kv_bytes for n_ctx in (4096, 65536))
    assert short == long > 0
    assert need(shape, Placement(4096, n_parallel=3), NO_GPU).ram.kv_bytes == 3 * short


def test_a_quantized_cache_is_smaller_by_its_blocks():
    half, eight = (need(LLAMA, Placement(4096, kind), NO_GPU).ram.kv_bytes for kind in (KvType.F16, KvType.Q8_0))
    assert eight * 32 == half * 17


def test_a_projector_lies_on_the_first_gpu_that_is_used_and_an_adapter_with_its_layers():
    extras = Extras(projector_bytes=800 << 20, adapter_bytes=320 << 20)
    ram, first, second = _with(extras, Placement(4096, n_gpu_layers=17, gpus=("CUDA1",)))
    assert (ram, first) == (160 << 20, 0)
    assert second == (1000 + 160) << 20


def test_a_draft_model_needs_weights_cache_and_work_of_its_own():
    draft = SHAPES["smollm2-1.7b"]
    placement = Placement(8192, n_gpu_layers=33)
    alone = need(draft, replace(placement, n_gpu_layers=25), ONE_GPU)
    assert _with(Extras(draft=draft), placement, ONE_GPU) == [alone.ram.total_bytes, alone.gpus[0].total_bytes]


def _with(extras, placement, rooms=TWO_GPUS):
    found = need(LLAMA, replace(placement, extras=extras), rooms)
    return [one.extra_bytes for one in (found.ram, *found.gpus)]


@pytest.mark.parametrize("name", ["llama31-8b", "dsv3"])
def test_a_need_is_known_in_under_a_millisecond(name):
    shape = requantized(SHAPES[name], "Q4_K_M")
    need(shape, Placement(4096, n_gpu_layers=10), ONE_GPU)
    times = timeit.repeat(lambda: need(shape, Placement(4096, n_gpu_layers=10), ONE_GPU), number=1, repeat=101)
    assert statistics.median(times) < 1e-3
