"""Plans for known models on known machines: the ladder's order, the quant to recommend, what is wished."""

from dataclasses import replace

import pytest
from fakes.machines import (
    CONTAINER_4GB,
    CPU_16GB,
    GIB,
    GPU_12GB,
    GPU_24GB,
    LAPTOP_8GB,
    MAC_36GB,
    UNEQUAL_GPUS,
)
from fakes.sites import candidates, model, site

from carryon.base.errors import BadInput
from carryon.fit.calibration import Learnt, MemoryLesson
from carryon.fit.memory import Extras, Placement
from carryon.fit.plan import Candidate, Change, Limit, Verdict, Wishes, assess, fewest_experts, largest_layers, plan
from carryon.fit.speed import speeds_of
from carryon.gguf.mix import QUANTS
from carryon.gguf.quants import KvType


def planned(name, machine, quants=("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K"), **wishes):
    return plan(candidates(name, quants), site(machine), Wishes(**wishes))


def test_8b_on_a_laptop_with_8_gb_lies_on_the_gpu_in_a_usual_quant():
    best = planned("llama31-8b", LAPTOP_8GB).best
    assert best.verdict is Verdict.GPU
    assert best.candidate.quant in ("Q6_K", "Q5_K_M", "Q4_K_M")
    assert best.placement.n_gpu_layers == 33
    assert best.placement.n_ctx >= 8192


def test_a_large_gpu_gets_the_best_usual_quant_and_a_longer_context():
    made = planned("llama31-8b", GPU_24GB)
    assert (made.best.candidate.quant, made.best.placement.n_ctx) == ("Q6_K", 16384)
    assert made.limit is Limit.NOTHING


def test_a_small_model_is_recommended_in_q8_0():
    assert planned("smollm2-1.7b", GPU_12GB).best.candidate.quant == "Q8_0"


def test_a_context_is_never_longer_than_the_model_was_trained_for():
    made = planned("smollm2-1.7b", GPU_24GB)
    assert made.best.placement.n_ctx == 8192
    assert made.limit is Limit.TRAINED_CONTEXT


def test_70b_on_24_gb_is_split_by_layers():
    best = planned("llama33-70b", GPU_24GB, ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M")).best
    assert best.verdict is Verdict.SPLIT
    assert best.candidate.quant == "Q4_K_M"
    assert 35 <= best.placement.n_gpu_layers <= 50


def test_a_mixture_of_experts_keeps_experts_in_ram_and_every_layer_on_the_gpu():
    best = planned("qwen3-30b-a3b", GPU_12GB, ("Q4_K_M",)).best
    assert best.verdict is Verdict.SPLIT
    assert best.placement.n_gpu_layers == 49
    assert 15 <= best.placement.n_cpu_experts <= 30


def test_no_fewer_experts_in_ram_would_fit():
    candidate, where = candidates("qwen3-30b-a3b", ("Q4_K_M",))[0], site(GPU_12GB)
    placed = plan([candidate], where).best.placement
    assert fewest_experts(candidate, placed, where) == placed.n_cpu_experts
    one_less = replace(placed, n_cpu_experts=placed.n_cpu_experts - 1)
    assert assess(candidate, one_less, where).verdict is Verdict.TOO_BIG


def test_a_mac_has_one_pool_which_is_counted_once():
    best = planned("qwen3-30b-a3b", MAC_36GB, ("Q8_0", "Q5_K_M", "Q4_K_M")).best
    rooms = site(MAC_36GB).rooms
    assert best.verdict is Verdict.GPU
    assert best.need.total_bytes <= rooms.ram.usable_bytes
    assert planned("qwen3-30b-a3b", MAC_36GB, ("Q8_0",)).best.verdict is Verdict.DISK


def test_without_a_gpu_everything_lies_in_ram():
    made = planned("llama31-8b", CPU_16GB)
    assert (made.best.verdict, made.best.placement.n_gpu_layers) == (Verdict.RAM, 0)
    assert made.limit is Limit.NO_GPU


def test_weights_beyond_the_ram_run_from_the_disk_as_long_as_a_good_part_is_in_memory():
    made = planned("llama31-8b", CPU_16GB, ("F16",))
    assert made.best.verdict is Verdict.DISK
    over = made.best.need.ram.total_bytes - made.rooms.ram.usable_bytes
    assert made.best.missing_bytes == over
    assert made.best.decode.high < planned("llama31-8b", CPU_16GB, ("Q8_0",)).best.decode.high


def test_what_is_far_too_big_says_by_how_much():
    best = planned("llama33-70b", CPU_16GB, ("F16",)).best
    assert best.verdict is Verdict.TOO_BIG
    assert best.missing_bytes == pytest.approx(best.need.ram.total_bytes - 10 * GIB, rel=0.05)


def test_even_what_is_too_big_can_be_loaded_anyway():
    best = planned("dsv3", CONTAINER_4GB, ("Q4_K_M",)).best
    assert best.verdict is Verdict.TOO_BIG
    assert best.placement.n_ctx > 0


def test_one_fast_gpu_is_better_than_two():
    best = planned("llama31-8b", UNEQUAL_GPUS, ("Q4_K_M",)).best
    assert best.placement.gpus == ("CUDA1",)


def test_two_unequal_gpus_share_whole_layers_by_the_memory_they_have():
    best = planned("qwen3-30b-a3b", UNEQUAL_GPUS, ("Q6_K",)).best
    assert best.verdict is Verdict.GPU
    assert best.placement.gpus == ("CUDA0", "CUDA1")
    assert sum(best.placement.split) == 49
    rooms = site(UNEQUAL_GPUS).rooms.gpus
    small, large = (one.total_bytes / room.usable_bytes for one, room in zip(best.need.gpus, rooms, strict=True))
    assert small == pytest.approx(large, abs=0.1)


def test_before_a_layer_leaves_the_gpu_the_kv_cache_shrinks():
    best = planned("llama31-8b", LAPTOP_8GB, ("Q5_K_M",), n_ctx=12288).best
    assert (best.verdict, best.placement.kv_type) == (Verdict.GPU, KvType.Q8_0)
    best = planned("llama31-8b", LAPTOP_8GB, ("Q5_K_M",), n_ctx=12288, kv_type=KvType.F16).best
    assert (best.verdict, best.placement.kv_type) == (Verdict.SPLIT, KvType.F16)


def test_a_context_of_4k_is_better_than_leaving_the_gpu():
    device = replace(LAPTOP_8GB.engine.devices[0], free_bytes=round(5.6 * GIB))
    small = replace(LAPTOP_8GB, engine=replace(LAPTOP_8GB.engine, devices=(device,)))
    best = planned("llama31-8b", small, ("Q4_K_M",)).best
    assert (best.verdict, best.placement.n_ctx) == (Verdict.GPU, 4096)


def test_other_quants_are_for_when_no_usual_one_is_any_good():
    quants = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ2_M")
    assert planned("llama33-70b", LAPTOP_8GB, ("Q4_K_M", "IQ2_M")).best.candidate.quant in ("Q4_K_M", "IQ2_M")
    best = planned("qwen3-30b-a3b", CPU_16GB, quants).best
    assert (best.candidate.quant, best.verdict) == ("IQ2_M", Verdict.RAM)
    assert any("smaller model" in one for one in planned("qwen3-30b-a3b", CPU_16GB, quants).reasons)


def test_where_every_quant_is_slow_the_fastest_usual_one_is_recommended():
    slow = replace(site(CPU_16GB), speeds=speeds_of(CPU_16GB, site(CPU_16GB).rooms, 5e9))
    assert plan(candidates("llama31-8b"), slow).best.candidate.quant == "Q4_K_M"


def test_a_model_born_in_four_bits_is_recommended_as_it_is():
    assert planned("gptoss-20b", GPU_24GB, ("Q8_0", "Q6_K", "MXFP4_MOE")).best.candidate.quant == "MXFP4_MOE"


@pytest.mark.parametrize("n_gpu_layers", [0, 1, 17, 32, 33])
def test_a_wished_number_of_layers_is_kept(n_gpu_layers):
    best = planned("llama31-8b", LAPTOP_8GB, n_gpu_layers=n_gpu_layers, quant="Q8_0").best
    assert best.placement.n_gpu_layers == n_gpu_layers


def test_all_wishes_are_kept_even_where_they_do_not_fit():
    wishes = Wishes("Q8_0", 65536, KvType.F16, 33, 0, 1024, n_parallel=2, extras=Extras(projector_bytes=GIB))
    made = plan(candidates("llama31-8b"), site(LAPTOP_8GB), wishes)
    assert made.best.verdict is Verdict.TOO_BIG
    assert made.best.candidate.quant == "Q8_0"
    assert made.best.placement == Placement(
        65536, KvType.F16, 33, 0, ("CUDA0",), (), 1024, 2, extras=Extras(projector_bytes=GIB)
    )


def test_more_layers_than_there_are_means_all_of_them():
    assert planned("llama31-8b", GPU_24GB, n_gpu_layers=999).best.placement.n_gpu_layers == 33


def test_a_gpu_that_is_not_wished_takes_nothing():
    made = planned("llama31-8b", UNEQUAL_GPUS, ("Q4_K_M",), gpus=("CUDA0",))
    assert made.best.placement.gpus == ("CUDA0",)
    assert made.best.need.gpus[1].total_bytes == 0
    assert planned("llama31-8b", UNEQUAL_GPUS, ("Q4_K_M",), gpus=()).best.verdict is Verdict.RAM


def test_every_candidate_has_a_fit_in_the_same_order():
    made = planned("llama31-8b", LAPTOP_8GB, QUANTS)
    assert [fit.candidate.quant for fit in made.fits] == list(QUANTS)
    assert {fit.placement.n_ctx for fit in made.fits} == {made.best.placement.n_ctx}


def test_asking_for_a_quant_keeps_the_recommendation_at_hand():
    made = planned("llama31-8b", GPU_24GB, quant="Q2_K")
    assert made.best.candidate.quant == "Q2_K"
    assert made.recommended.candidate.quant == "Q6_K"


def test_a_shape_alone_can_be_planned():
    assert plan(model("llama31-8b", "Q4_K_M"), site(GPU_24GB)).best.verdict is Verdict.GPU


def test_the_tick_of_the_slider_is_the_largest_number_that_fits():
    candidate, where, placed = Candidate("F16", model("llama31-8b")), site(GPU_12GB), Placement(8192)
    most = largest_layers(candidate, placed, where)
    placements = [replace(placed, n_gpu_layers=n, gpus=("CUDA0",)) for n in range(34)]
    assert [assess(candidate, one, where).verdict.fits for one in placements] == [n <= most for n in range(34)]
    assert 15 < most < 30
    assert largest_layers(candidate, placed, site(CPU_16GB)) == 0


def test_a_gpu_that_holds_not_one_layer_leaves_all_in_ram():
    tiny = replace(GPU_12GB.engine.devices[0], free_bytes=GIB, total_bytes=GIB)
    where = site(replace(GPU_12GB, engine=replace(GPU_12GB.engine, devices=(tiny,))))
    candidate = candidates("llama31-8b", ("Q4_K_M",))[0]
    assert plan([candidate], where).best.verdict is Verdict.RAM
    assert largest_layers(candidate, Placement(8192), where) == 0


def test_experts_need_a_gpu_to_be_kept_from():
    candidate = candidates("qwen3-30b-a3b", ("Q4_K_M",))[0]
    assert fewest_experts(candidate, Placement(8192, n_gpu_layers=49), site(CPU_16GB)) == 0


def test_what_earlier_loads_taught_is_added_and_said():
    where = site(GPU_24GB)
    gpu, wanted = where.rooms.gpus[0], candidates("llama31-8b", ("Q4_K_M",))
    key = ("llama", gpu.label, gpu.backend, KvType.F16)
    taught = replace(where, learnt=Learnt(memory={key: MemoryLesson(300 << 20, 0.02)}))
    before, after = plan(wanted, where).best, plan(wanted, taught).best
    assert after.need.gpus[0].total_bytes - before.need.gpus[0].total_bytes == 300 << 20
    assert (before.within, after.within) == (None, 0.02)


def test_the_tick_counts_every_gpu_unless_some_are_left_out():
    candidate, where = Candidate("Q4_K_M", model("llama33-70b", "Q4_K_M")), site(UNEQUAL_GPUS)
    both = largest_layers(candidate, Placement(8192), where)
    alone = largest_layers(candidate, Placement(8192), where, ("CUDA1",))
    assert 30 < alone < both < 81


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"n_ctx": 0}, "The context cannot be 0."),
        ({"n_ctx": -4096}, "The context cannot be -4,096."),
        ({"n_ctx": 10**12}, "The context cannot be 1,000,000,000,000."),
        ({"n_gpu_layers": -1}, "The number of GPU layers cannot be -1."),
        ({"n_cpu_experts": -1}, "The number of layers with experts in RAM cannot be -1."),
        ({"n_ubatch": 0}, "The ubatch cannot be 0."),
        ({"n_parallel": 0}, "The number of parallel slots cannot be 0."),
        ({"n_parallel": 1000}, "The number of parallel slots cannot be 1,000."),
        ({"quant": "Q9_X"}, "There is no Q9_X of this model."),
        ({"gpus": ("CUDA7",)}, "There is no GPU named CUDA7 here."),
    ],
)
def test_a_wish_that_makes_no_sense_is_one_sentence_and_the_next_step(wishes, sentence):
    with pytest.raises(BadInput) as caught:
        planned("llama31-8b", LAPTOP_8GB, **wishes)
    assert caught.value.message == sentence
    assert caught.value.hint.startswith(("Choose", "Plan"))


def odd_heads():
    """A model whose heads have 80 numbers, like Phi-2."""
    shape = model("llama31-8b", "Q4_K_M")
    layers = tuple(replace(one, attention=replace(one.attention, key_length=80)) for one in shape.layers)
    return replace(shape, layers=layers)


def test_a_kv_cache_that_the_engine_would_refuse_is_neither_taken_nor_offered():
    with pytest.raises(BadInput, match="cannot be kept in q8_0: its heads are no multiple of 32"):
        plan(odd_heads(), site(GPU_24GB), Wishes(kv_type=KvType.Q8_0))
    made = plan(odd_heads(), site(LAPTOP_8GB), Wishes(n_ctx=32768))
    assert made.best.placement.kv_type is KvType.F16
    assert Change.KV_TYPE not in [repair.change for repair in made.repairs]


def test_nothing_to_plan_for_is_said():
    with pytest.raises(BadInput, match="no model"):
        plan([], site(LAPTOP_8GB))
