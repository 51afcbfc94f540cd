"""What holds for every plan, whatever the model, the machine and the wishes."""

from dataclasses import replace

from fakes.machines import CPU_16GB, CPU_ONLY, GIB, GPU_12GB, LAPTOP_8GB, MAC_36GB, UNEQUAL_GPUS
from fakes.sites import candidates, model, site
from hypothesis import given, settings
from hypothesis import strategies as st

from carryon.fit.answers import RANK
from carryon.fit.ladder import best_fit
from carryon.fit.plan import Candidate, Change, Verdict, Wishes, assess, plan
from carryon.gguf.quants import USUAL_KV_TYPES
from carryon.hardware.machine import DeviceKind, EngineDevice, EngineDevices, Memory

NAMES = ("llama31-8b", "qwen3-30b-a3b", "gemma3-12b", "smollm2-1.7b", "dsv2-lite", "gptoss-20b", "llama33-70b")
QUANTS = ("F16", "Q8_0", "Q5_K_M", "Q4_K_M", "Q2_K")
MACHINES = (LAPTOP_8GB, GPU_12GB, UNEQUAL_GPUS, MAC_36GB, CPU_16GB)
STEADY = settings(max_examples=60, deadline=None, derandomize=True)


def machine(ram_gib, gpus_gib, kind=DeviceKind.GPU):
    """A machine with so much free RAM and GPUs that are empty."""
    devices = tuple(
        EngineDevice(f"CUDA{index}", f"GPU {index}", kind, round(gib * GIB), round(gib * GIB))
        for index, gib in enumerate(gpus_gib)
    )
    ram = Memory(round(ram_gib * GIB), round(ram_gib * GIB))
    return replace(CPU_ONLY, ram=ram, engine=EngineDevices("llama.cpp", True, devices))


candidate_of = st.builds(
    lambda name, quant: Candidate(quant, model(name, quant)), st.sampled_from(NAMES), st.sampled_from(QUANTS)
)
gib = st.floats(1, 96).map(lambda number: round(number, 1))
machines = st.builds(machine, gib, st.lists(gib, max_size=3), st.sampled_from((DeviceKind.GPU, DeviceKind.IGPU)))
wishes_of = st.builds(
    Wishes,
    n_ctx=st.sampled_from((256, 4096, 10000, 32768)),
    kv_type=st.none() | st.sampled_from(USUAL_KV_TYPES),
    n_gpu_layers=st.none() | st.integers(0, 90),
    n_cpu_experts=st.none() | st.integers(0, 60),
    n_ubatch=st.none() | st.sampled_from((64, 512, 2048)),
    n_parallel=st.integers(1, 4),
)


@STEADY
@given(candidate_of, machines, wishes_of)
def test_what_fits_goes_into_every_room(candidate, on, wishes):
    where = site(on)
    best = plan([candidate], where, wishes).best
    if not best.verdict.fits:
        assert best.missing_bytes > 0
        return
    assert best.missing_bytes == 0
    assert best.need.ram.total_bytes <= where.rooms.ram.usable_bytes
    assert all(one.total_bytes <= room.usable_bytes for one, room in zip(best.need.gpus, where.rooms.gpus, strict=True))
    if where.rooms.is_unified:
        assert best.need.total_bytes <= where.rooms.ram.usable_bytes


@STEADY
@given(candidate_of, machines, wishes_of)
def test_wishes_are_kept(candidate, on, wishes):
    placed = plan([candidate], site(on), wishes).best.placement
    shape = candidate.shape
    assert (placed.n_ctx, placed.n_parallel) == (wishes.n_ctx, wishes.n_parallel)
    assert wishes.kv_type in (None, placed.kv_type)
    assert wishes.n_ubatch in (None, placed.n_ubatch)
    assert wishes.n_gpu_layers is None or placed.n_gpu_layers == min(wishes.n_gpu_layers, shape.n_gpu_layers_max)
    assert wishes.n_cpu_experts is None or placed.n_cpu_experts == min(wishes.n_cpu_experts, shape.n_layers)


@STEADY
@given(candidate_of, gib, gib, st.floats(0, 8))
def test_more_free_memory_is_never_worse(candidate, ram_gib, gpu_gib, more_gib):
    ranks = [
        RANK[best_fit(candidate, site(machine(ram, [gpu])), Wishes(n_ctx=8192)).verdict]
        for ram, gpu in ((ram_gib, gpu_gib), (ram_gib, gpu_gib + more_gib), (ram_gib + more_gib, gpu_gib))
    ]
    assert ranks[0] >= ranks[1]
    assert ranks[0] >= ranks[2]


@STEADY
@given(candidate_of, machines)
def test_the_number_of_layers_is_the_largest_that_fits(candidate, on):
    where = site(on)
    best = best_fit(candidate, where, Wishes(n_ctx=8192))
    if best.verdict is not Verdict.SPLIT or best.placement.n_cpu_experts or len(where.rooms.gpus) > 1:
        return
    one_more = replace(best.placement, n_gpu_layers=best.placement.n_gpu_layers + 1)
    assert not assess(candidate, one_more, where).verdict.fits


@STEADY
@given(st.sampled_from(NAMES), st.sampled_from(MACHINES), wishes_of)
def test_repairs_do_what_they_say(name, on, wishes):
    where, quants = site(on), candidates(name, ("Q8_0", "Q5_K_M", "Q4_K_M"))
    made = plan(quants, where, replace(wishes, quant="Q8_0"))
    assert len(made.repairs) <= 4
    for repair in made.repairs:
        assert RANK[repair.fit.verdict] <= RANK[made.best.verdict]
        assert repair.fit.verdict is not made.best.verdict or repair.speedup > 1.1
        if repair.change is not Change.PROGRAM:
            assert plan(quants, where, repair.wishes).best == repair.fit


@STEADY
@given(st.sampled_from(NAMES), st.sampled_from(MACHINES), wishes_of)
def test_the_same_question_has_the_same_answer(name, on, wishes):
    where = site(on)
    assert plan(candidates(name), where, wishes) == plan(candidates(name), where, wishes)
