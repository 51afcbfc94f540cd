"""Repairs: the one change that makes a model fit, or makes it faster."""

from dataclasses import replace

from fakes.machines import CPU_16GB, GIB, GPU_12GB, GPU_24GB, LAPTOP_8GB
from fakes.sites import candidates, site

from carryon.fit.plan import Change, Limit, Verdict, Wishes, plan
from carryon.gguf.quants import KvType
from carryon.hardware.machine import GpuProcess


def planned(name, machine, quants=("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"), **wishes):
    return plan(candidates(name, quants), site(machine), Wishes(**wishes))


def repairs(made):
    return {repair.change: repair for repair in made.repairs}


def crowded(machine, free_gib, *programs):
    """The same machine with other programs on its GPU: (name, GiB)."""
    processes = tuple(GpuProcess(10 + n, name, round(held * GIB)) for n, (name, held) in enumerate(programs))
    devices = (replace(machine.engine.devices[0], free_bytes=round(free_gib * GIB)),)
    gpu = replace(machine.gpus[0], free_bytes=round(free_gib * GIB), processes=processes)
    return replace(machine, gpus=(gpu,), engine=replace(machine.engine, devices=devices))


def test_a_smaller_quant_is_the_largest_of_those_that_help():
    found = repairs(planned("llama31-8b", LAPTOP_8GB, quant="Q8_0", n_gpu_layers=33, n_ctx=8192))
    assert found[Change.QUANT].fit.candidate.quant == "Q6_K"
    assert found[Change.QUANT].fit.verdict is Verdict.GPU
    assert found[Change.QUANT].saves_bytes > GIB


def test_a_smaller_kv_cache_says_what_it_saves():
    made = planned("llama31-8b", LAPTOP_8GB, ("Q5_K_M",), n_ctx=32768)
    found = repairs(made)[Change.KV_TYPE]
    assert found.wishes.kv_type is KvType.Q8_0
    assert found.saves_bytes >= made.best.need.total_bytes - found.fit.need.total_bytes > GIB
    assert found.speedup > 1.1


def test_a_shorter_context_is_the_longest_that_helps():
    found = repairs(planned("llama31-8b", LAPTOP_8GB, ("Q5_K_M",), n_ctx=32768))
    assert found[Change.CONTEXT].wishes.n_ctx == 16384
    assert found[Change.CONTEXT].fit.verdict is Verdict.GPU


def test_too_many_layers_are_answered_with_the_number_that_fits():
    found = repairs(planned("llama31-8b", LAPTOP_8GB, ("Q8_0",), n_gpu_layers=33, n_ctx=8192))[Change.LAYERS]
    assert 15 < found.wishes.n_gpu_layers < 33
    assert found.fit.verdict is Verdict.SPLIT


def test_too_few_layers_are_answered_with_more_which_is_faster():
    made = planned("llama31-8b", LAPTOP_8GB, ("Q6_K",), n_gpu_layers=5, n_ctx=8192)
    assert repairs(made)[Change.LAYERS].speedup > 2
    assert made.limit is Limit.WISHES


def test_experts_go_to_ram_where_they_do_not_fit_and_come_back_where_they_do():
    too_few = repairs(planned("qwen3-30b-a3b", GPU_12GB, ("Q4_K_M",), n_cpu_experts=0, n_gpu_layers=49))
    too_many = repairs(planned("qwen3-30b-a3b", GPU_12GB, ("Q4_K_M",), n_cpu_experts=48))
    assert too_few[Change.EXPERTS].fit.verdict is Verdict.SPLIT
    assert too_many[Change.EXPERTS].speedup > 1.3
    assert too_few[Change.EXPERTS].wishes.n_cpu_experts == too_many[Change.EXPERTS].wishes.n_cpu_experts


def test_one_slot_instead_of_many_where_each_keeps_a_state():
    """Gemma's windows are kept once for each slot."""
    made = planned("gemma3-12b", GPU_12GB, ("Q4_K_M",), n_parallel=16, n_ctx=32768, kv_type=KvType.F16)
    assert repairs(made)[Change.PARALLEL].fit.placement.n_parallel == 1


def test_a_program_to_close_is_named_with_what_it_holds():
    made = planned("llama31-8b", crowded(LAPTOP_8GB, 4.2, ("blender", 3.1), ("firefox", 0.2)), ("Q4_K_M",))
    found = repairs(made)[Change.PROGRAM]
    assert (found.program.name, found.saves_bytes) == ("blender", round(3.1 * GIB))
    assert found.fit.verdict is Verdict.GPU


def test_a_program_that_holds_too_little_is_left_alone():
    assert Change.PROGRAM not in repairs(planned("llama33-70b", crowded(GPU_24GB, 23, ("firefox", 0.01))))


def test_what_is_well_needs_no_repair():
    assert planned("llama31-8b", GPU_24GB).repairs == ()


def test_the_better_verdict_stands_first():
    made = planned("llama31-8b", LAPTOP_8GB, n_gpu_layers=33, quant="Q6_K", n_ctx=32768)
    verdicts = [repair.fit.verdict for repair in made.repairs]
    assert verdicts == sorted(verdicts, key=list(Verdict).index)


def test_at_most_four_are_offered():
    machine = crowded(LAPTOP_8GB, 4.2, ("blender", 3.1))
    assert len(planned("gemma3-12b", machine, quant="Q8_0", n_ctx=32768, n_parallel=4).repairs) <= 4


def test_a_click_asks_for_the_same_quant_and_context():
    made = planned("llama31-8b", crowded(LAPTOP_8GB, 4.2, ("blender", 3.1)))
    assert all(repair.wishes.n_ctx is not None and repair.wishes.quant for repair in made.repairs)


def test_a_disk_is_left_where_a_smaller_quant_fits_in_ram():
    made = planned("llama31-8b", CPU_16GB, ("F16", "Q8_0"), quant="F16")
    assert made.best.verdict is Verdict.DISK
    assert repairs(made)[Change.QUANT].fit.verdict is Verdict.RAM


def test_no_quality_is_given_up_for_a_little_speed():
    """Below Q4_K_M a quant is offered where it makes the model fit better, not where it only runs a bit faster."""
    faster = planned("llama31-8b", CPU_16GB, ("Q8_0", "Q4_K_M", "Q2_K"), quant="Q8_0")
    assert repairs(faster)[Change.QUANT].fit.candidate.quant == "Q4_K_M"
    assert Change.QUANT not in repairs(planned("llama31-8b", CPU_16GB, ("Q8_0", "Q4_K_M", "Q2_K"), quant="Q4_K_M"))
    fits = repairs(planned("llama33-70b", CPU_16GB, ("Q8_0", "Q2_K"), quant="Q8_0"))
    assert fits[Change.QUANT].fit.candidate.quant == "Q2_K"
