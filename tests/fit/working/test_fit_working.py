"""Working memory: the allocator's rules, graphs of layers, and what is taken for granted to be quick."""

import itertools
from dataclasses import replace

import pytest
from fakes.header_models import MODELS, MORE_MODELS, general, header_from, heads, in_layers, llama_like
from fakes.published_compute import measured

from carryon.fit.memory import Placement, need
from carryon.fit.remembered import per_shape
from carryon.fit.room import Backend, Room, Rooms
from carryon.fit.working import body
from carryon.fit.working.anatomy import Anatomy
from carryon.fit.working.arena import Arena
from carryon.fit.working.body import Stretches
from carryon.fit.working.compute import compute_error_bytes
from carryon.fit.working.flow import Flow, Width
from carryon.fit.working.graph import layer_program
from carryon.gguf.quants import KvType
from carryon.gguf.shape import TensorInfo, shape_of
from carryon.hardware.machine import DeviceKind

MIB = 1 << 20
RAM = Room("CPU", "RAM", DeviceKind.CPU, Backend.CPU, 1 << 40, 1 << 40, 0)
NO_GPU = Rooms(RAM)


def gpus(*backends):
    return Rooms(RAM, tuple(Room(f"GPU{index}", "GPU", DeviceKind.GPU, one, 1 << 36, 1 << 36, 0)
                            for index, one in enumerate(backends)))


def shape(name):
    return shape_of([header_from(*(MODELS | MORE_MODELS)[name]())])


def compute(of, placement, rooms):
    found = need(of, placement, rooms)
    return found.ram.compute_bytes, *(one.compute_bytes for one in found.gpus)


def test_the_arena_fills_the_smallest_gap_that_is_large_enough():
    arena = Arena()
    offsets = [arena.take(size) for size in (100, 10, 40, 10)]
    arena.give(offsets[0], 100)
    arena.give(offsets[2], 40)
    assert arena.take(30) == offsets[2]
    assert arena.take(90) == 0


def test_the_arena_joins_neighbours():
    arena = Arena()
    first, second, third, _ = (arena.take(size) for size in (10, 20, 30, 5))
    for offset, size in ((first, 10), (third, 30), (second, 20)):
        arena.give(offset, size)
    assert arena.take(60) == 0
    assert arena.peak == 65


def test_the_arena_grows_only_when_nothing_fits():
    arena = Arena()
    gap = arena.take(64)
    arena.take(64)
    arena.give(gap, 64)
    assert arena.take(65) == 128


def test_a_tensor_is_written_over_one_that_nobody_needs_any_more():
    flow = Flow([Width(4)])
    left, right = flow.make(Width(4), 0), flow.make(Width(4), 0)
    program = flow.program(flow.make(Width(4), left, right, onto=(left, right)))
    assert program.out == left
    assert [move.slot for move in program.moves if move.is_taken] == [left, right]


def test_a_tensor_that_is_still_needed_is_not_written_over():
    flow = Flow([Width(4)])
    kept = flow.make(Width(4), 0)
    made = flow.make(Width(4), kept, onto=(kept,))
    assert flow.program(flow.make(Width(4), kept, made)).out not in (kept, made)


def test_equal_layers_share_one_program():
    anatomy = Anatomy((("attn_q", 64, 64), ("ffn_up", 256, 64), ("ffn_down", 64, 256)), "llama", 64, 4, 4, 16, 16)
    assert layer_program(anatomy) is layer_program(Anatomy(*vars(anatomy).values()))


def test_stretches_leave_out_what_changes_nothing():
    first, second = (layer_program(Anatomy((), "llama", width)) for width in (64, 128))
    assert Stretches([first] * 50 + [second] * 2).between(40, 52) == (*[first] * 3, *[second] * 2)


@pytest.mark.parametrize("name", [*MODELS, *MORE_MODELS])
def test_three_equal_layers_stand_for_all_of_them(name, monkeypatch):
    """Otherwise a plan would lay out every layer of every model."""
    rooms = gpus(Backend.CUDA)
    half = shape(name).n_layers // 2
    placements = [Placement(n_ctx, kind, layers) for n_ctx, kind, layers in itertools.product(
        (4096, 32768), (KvType.F16, KvType.Q8_0), (0, half, half * 4))]  # fmt: skip
    short = shape(name)
    said = [compute(short, one, rooms) for one in placements]
    monkeypatch.setattr(body, "_SETTLED", 1000)
    in_full = shape(name)
    assert [compute(in_full, one, rooms) for one in placements] == said


@pytest.mark.parametrize(("n_ctx", "n_ubatch", "mib"), [(4096, 512, 120.0), (32768, 512, 148.0), (131072, 512, 244.0)])
def test_llama_needs_what_the_engine_said(n_ctx, n_ubatch, mib):
    """Figures of llama.cpp's plan: the mask grows with the context, all else with the batch."""
    said = compute(shape("llama31-8b"), Placement(n_ctx, n_ubatch=n_ubatch), NO_GPU)[0]
    assert said == pytest.approx(mib * MIB, rel=1e-3)


def test_a_larger_batch_needs_more_work():
    said = [compute(shape("qwen3-8b"), Placement(8192, n_ubatch=size), NO_GPU)[0] for size in (64, 128, 512, 1024)]
    assert said == sorted(said)
    assert said[0] < said[-1] / 12


def test_weights_in_ram_are_copied_to_the_gpu_for_long_batches():
    """f16: one matrix of the feed-forward (112 MiB) lies in the GPU's buffer while it is used."""
    partial = Placement(4096, n_gpu_layers=20)
    _, whole = compute(shape("llama31-8b"), Placement(4096, n_gpu_layers=33), gpus(Backend.CUDA))
    _, staged = compute(shape("llama31-8b"), partial, gpus(Backend.CUDA))
    _, over_network = compute(shape("llama31-8b"), partial, gpus(Backend.RPC))
    assert over_network < whole < staged - 80 * MIB


@pytest.mark.parametrize("one", measured(), ids=lambda one: one.name)
def test_a_real_gpu_held_what_is_said(one):
    """Measured on an MI300X by others, with some and with all layers there, to a hundredth of a MiB."""
    rooms, n_all = gpus(Backend.HIP), one.shape.n_gpu_layers_max
    some, every = (compute(one.shape, Placement(4096, KvType.Q8_0, layers), rooms)[1] / MIB for layers in (2, n_all))
    assert (some, every) == pytest.approx((one.some_layers_mib, one.all_layers_mib), abs=0.01)


def test_short_batches_are_computed_where_the_weights_are():
    partial = Placement(4096, n_gpu_layers=20, n_ubatch=16)
    llama = shape("llama31-8b")
    assert compute(llama, partial, gpus(Backend.CUDA))[1] < 20 * MIB


def test_a_cache_in_ram_is_copied_too_layer_by_layer():
    """Keys and values of 8 heads of 128, two bytes each, and the mask."""
    staged = compute(shape("llama31-8b"), Placement(65536, n_gpu_layers=20), gpus(Backend.CUDA))[1]
    assert staged > 2 * 8 * 128 * 2 * 65536 + 2 * 512 * 65536


def test_cuda_makes_half_floats_of_a_quantized_cache():
    """ggml_cuda_flash_attn_ext_get_f16_extra_data: 8 heads of 128 keys and values of every cell."""
    llama, rooms = shape("llama31-8b"), gpus(Backend.CUDA)
    half, eight = (compute(llama, Placement(65536, kind, 33), rooms)[1] for kind in (KvType.F16, KvType.Q8_0))
    assert 80 * MIB < eight - half < 2 * 8 * 128 * 2 * 65536 + MIB


def test_a_pipeline_of_gpus_keeps_its_inputs_four_times():
    llama = shape("llama31-8b")
    one = compute(llama, Placement(4096, n_gpu_layers=33), gpus(Backend.RPC))
    two = compute(llama, Placement(4096, n_gpu_layers=33, split=(1, 1)), gpus(Backend.RPC, Backend.RPC))
    embedding, mask = 4 * 512 * 4096, 2 * 512 * 4096
    assert two[0] - one[0] == pytest.approx(3 * (embedding + mask), rel=0.01)
    assert two[1] - one[1] == pytest.approx(4 * embedding + 3 * mask, rel=0.01)


def test_no_pipeline_where_layers_are_in_ram():
    llama, rooms = shape("llama31-8b"), gpus(Backend.RPC, Backend.RPC)
    partial = compute(llama, Placement(4096, n_gpu_layers=32, split=(1, 1)), rooms)
    assert partial[1] == pytest.approx(104 * MIB, rel=0.01)


def test_experts_in_ram_leave_the_gpu_less_to_compute_over_the_network():
    moe, rooms = shape("qwen3-30b-a3b"), gpus(Backend.RPC)
    with_experts = compute(moe, Placement(4096, n_gpu_layers=49), rooms)
    without = compute(moe, Placement(4096, n_gpu_layers=49, n_cpu_experts=48), rooms)
    assert without[0] > with_experts[0]
    assert without[1] < with_experts[1]


def test_a_tiny_vocabulary_and_a_large_one_differ_by_the_answers_row():
    small, large = (shape_of([header_from(*llama_like("llama", "x", 1, 64, 128, 4, 4, 512, words))])
                    for words in (64, 200_000))
    assert compute(large, Placement(256, n_ubatch=1), NO_GPU)[0] > 4 * 200_000
    assert compute(small, Placement(256, n_ubatch=1), NO_GPU)[0] < 40_000


def test_a_layer_of_an_unknown_make_still_has_a_figure():
    fields = general("llama", "odd", 2, 256, 512, 4, 4, 1024, 1000, **heads(64))
    tensors = [("token_embd.weight", [256, 1000], "F16"), *in_layers(2, lambda _: [("odd.weight", [256, 900], "F16")])]
    assert compute(shape_of([header_from(fields, tensors)]), Placement(1024), NO_GPU)[0] > 0


def test_a_layers_tensor_that_names_no_layer_is_taken_as_it_is():
    """Gemma 4, BERT and RWKV have such; the engine loads them with the first layer."""
    odd = TensorInfo("odd_norm.weight", (4096,), 0, 4 * 4096)
    llama = shape("llama31-8b")
    first = replace(llama.layers[0], tensors=(odd, *llama.layers[0].tensors))
    with_odd = replace(llama, layers=(first, *llama.layers[1:]))
    assert compute(with_odd, Placement(4096), NO_GPU) == compute(llama, Placement(4096), NO_GPU)


def test_embeddings_for_every_layer_are_kept_beside_the_usual_ones():
    llama = shape("llama31-8b")
    per_layer = TensorInfo("per_layer_token_embd.weight", (256 * 32, 128256), 1, 2 * 256 * 32 * 128256)
    more = replace(llama, input_tensors=(*llama.input_tensors, per_layer))
    added = compute(more, Placement(4096), NO_GPU)[0] - compute(llama, Placement(4096), NO_GPU)[0]
    assert added == 2 * 4 * 512 * 256 * 32


def test_an_indexers_scores_grow_with_the_context_and_the_batch():
    llama = shape("llama31-8b")
    index = TensorInfo("blk.0.indexer.proj.weight", (4096, 64), 0, 4 * 4096 * 64)
    layers = tuple(replace(one, tensors=(*one.tensors, index)) for one in llama.layers)
    with_indexer = replace(llama, layers=layers)
    assert compute(with_indexer, Placement(65536), NO_GPU)[0] > 50 * 65536 * 512


def test_the_error_is_said_to_be_larger_where_it_is():
    llama, mamba = shape("llama31-8b"), shape("mamba-1.4b")
    partial = Placement(4096, n_gpu_layers=20)
    sure = compute_error_bytes(llama, Placement(4096), 100 * MIB, Backend.CPU)
    assert sure == 3 * MIB
    assert compute_error_bytes(llama, partial, 100 * MIB, Backend.CUDA) > sure
    assert compute_error_bytes(llama, partial, 100 * MIB, Backend.RPC) == sure
    assert compute_error_bytes(mamba, Placement(4096), 100 * MIB, Backend.CPU) > sure


def test_a_sum_is_made_once_for_each_shape_and_forgotten_with_it():
    made = []
    known = per_shape(lambda of, number: made.append(number) or number)
    first = shape("smollm2-1.7b")
    assert [known(first, 1), known(first, 2), known(first, 1)] == [1, 2, 1]
    del first
    known(shape("smollm2-1.7b"), 1)
    assert made == [1, 2, 1]


def test_answers_do_not_pile_up():
    known = per_shape(lambda of, number: number)
    one = shape("smollm2-1.7b")
    assert [known(one, number) for number in range(10_000)] == list(range(10_000))
