"""What people read about a fit."""

from dataclasses import replace

import pytest
from fakes.fits import GB, NEED, ROOMS, fit
from fakes.machines import CPU_16GB, GPU_12GB, GPU_24GB, LAPTOP_8GB, MAC_36GB, UNEQUAL_GPUS
from fakes.sites import candidates, site

from carryon.fit import words
from carryon.fit.memory import DeviceNeed, Need, Placement
from carryon.fit.plan import Basis, Change, Limit, Repair, Verdict, Wishes, plan
from carryon.fit.quality import Grade, Quality, quality_of
from carryon.fit.room import Program
from carryon.fit.speed import Basis as PaceBasis
from carryon.fit.speed import Pace
from carryon.gguf.quants import KvType
from carryon.hardware.parts import machine_with


def planned(name, machine, quants=("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"), **wishes):
    return plan(candidates(name, quants), site(machine), Wishes(**wishes))


def repair(change, better, saves_gb=0.0, speedup=1.0, program=None):
    return Repair(Wishes(), better, round(saves_gb * GB), speedup, change, program)


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (Verdict.GPU, "Fits on the GPU"),
        (Verdict.SPLIT, "Fits, split"),
        (Verdict.RAM, "Fits in RAM"),
        (Verdict.DISK, "Runs from disk, slow"),
        (Verdict.TOO_BIG, "Too big by 3.2 GB"),
    ],
)
def test_five_verdicts(verdict, text):
    assert words.verdict_text(fit(verdict=verdict, missing_bytes=round(3.2 * GB))) == text


def test_several_gpus_are_counted():
    both = Need(DeviceNeed(), (DeviceNeed(GB), DeviceNeed(GB)))
    assert words.verdict_text(fit(need=both)) == "Fits on 2 GPUs"


def test_a_sentence_says_where():
    one = planned("llama31-8b", GPU_24GB)
    assert words.verdict_sentence(one.best, one.rooms) == "Fits on the GPU: all 33 layers on RTX 4090."
    two = planned("qwen3-30b-a3b", UNEQUAL_GPUS, ("Q6_K",))
    assert words.verdict_sentence(two.best, two.rooms) == "Fits on 2 GPUs: all 49 layers on RTX 3060 and RTX 3090."
    none = planned("llama31-8b", CPU_16GB)
    assert words.verdict_sentence(none.best, none.rooms) == "Fits in RAM. The processor does all the work."


def test_a_split_says_how():
    dense = planned("llama31-8b", LAPTOP_8GB, ("Q8_0",))
    layers = dense.best.placement.n_gpu_layers
    assert words.split_text(dense.best) == f"{layers} of 33 layers on the GPU"
    mixed = planned("qwen3-30b-a3b", GPU_12GB, ("Q4_K_M",))
    assert words.split_text(mixed.best) == f"experts of {mixed.best.placement.n_cpu_experts} of 48 layers in RAM"


def test_a_split_sentence_names_both_places():
    made = planned("qwen3-30b-a3b", GPU_12GB, ("Q4_K_M",), n_gpu_layers=30, n_cpu_experts=30)
    text = words.verdict_sentence(made.best, made.rooms)
    assert text == (
        "Fits, split between RTX 3060 and RAM: 30 of 49 layers on the GPU, experts of 30 of 48 layers in RAM."
    )


def test_a_shortage_says_what_it_means():
    disk = planned("llama31-8b", CPU_16GB, ("F16",))
    assert "read from the disk again and again" in words.verdict_sentence(disk.best, disk.rooms)
    too_big = fit(verdict=Verdict.TOO_BIG, need=replace(NEED, gpus=(DeviceNeed(9 * GB),)), missing_bytes=GB)
    assert words.verdict_sentence(too_big, ROOMS) == "Too big by 1.0 GB. It can be loaded anyway, but that may fail."
    tight = fit(verdict=Verdict.TOO_BIG, need=replace(NEED, gpus=(DeviceNeed(round(6.8 * GB)),)), missing_bytes=GB // 4)
    assert words.shortage_text(tight, ROOMS) == "It would fit only into what is kept in reserve for other programs."


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (38.2, 46.1, "38–46"),
        (3.14, 3.96, "3.1–4.0"),
        (8.5, 20, "8.5–20"),
        (1204, 1377, "1,204–1,377"),
        (38.1, 38.3, "38"),
        (0.01, 0.4, "up to 0.4"),
        (0.01, 0.05, "below 0.1"),
        (0, 0, "—"),
    ],
)
def test_a_pace_is_a_range(low, high, text):
    pace = Pace(low, high, PaceBasis.PARTS)
    assert words.range_text(pace) == text
    assert words.pace_text(pace) == ("—" if text == "—" else f"{text} tokens/s")


def test_the_basis_of_speed_and_memory_is_said():
    instant = words.basis_text(fit())
    speed, memory = instant.split(" · ")
    assert speed == "speed from the parts' published figures, with 2k tokens in the context"
    assert memory == "memory calculated from the file's header"
    checked = words.memory_basis_text(fit(basis=Basis.DRY_RUN, within=0.02))
    assert checked == "memory: the engine's own plan, checked on this machine: within 2 %"
    assert words.within_text(0.0004) == "within 0.1 %"
    assert words.pace_basis_text(fit(verdict=Verdict.DISK)) == "speed guessed: it depends on the disk"


def test_what_cannot_be_loaded_has_no_speed():
    made = planned("llama31-8b", LAPTOP_8GB, ("Q8_0",), n_gpu_layers=33)
    assert words.pace_text(made.best.decode) == "—"
    assert words.basis_text(made.best) == "memory calculated from the file's header"


def test_every_state_has_words():
    assert set(words.PACE_BASES) == set(PaceBasis)
    assert set(words.MEMORY_BASES) == set(Basis)
    assert set(words.LIMITS) == set(Limit)
    assert set(words.GRADES) == set(Grade)


def test_the_summary_counts_what_is_needed_of_what_is_free():
    text = words.summary(fit(), ROOMS, is_choice=True)
    assert text == (
        "Q4_K_M is recommended. Needs 5.8 of 7.0 GB free on RTX 4060 "
        "(weights 4.0, context 8k 1.0, working 0.2, reserve 0.5)."
    )


def test_the_summary_of_a_split_tells_both_memories():
    text = words.summary(fit(verdict=Verdict.SPLIT), ROOMS, is_choice=False)
    assert text.startswith("Needs 5.8 of 7.0 GB free on RTX 4060 (")
    assert text.endswith(" and 3.6 of 22.0 GB free in RAM (weights 0.5, working 0.1, reserve 3.0).")


def test_one_pool_is_told_once():
    made = planned("qwen3-30b-a3b", MAC_36GB, ("Q4_K_M",))
    assert made.reasons[0].count("free") == 1


def test_what_does_not_fit_is_not_recommended():
    made = planned("llama33-70b", CPU_16GB, ("F16", "Q8_0"))
    assert made.reasons[0].startswith("Nothing fits; Q8_0 comes nearest. Needs ")


@pytest.mark.parametrize(
    ("label", "short"),
    [
        ("NVIDIA GeForce RTX 4060", "RTX 4060"),
        ("AMD Radeon RX 7900 XT", "RX 7900 XT"),
        ("Intel(R) Arc(TM) A770 Graphics", "Arc A770"),
        ("Apple M3 Pro", "Apple M3 Pro"),
        ("127.0.0.1:50052", "127.0.0.1:50052"),
    ],
)
def test_a_gpu_has_a_short_name(label, short):
    assert words.short_name(label) == short


@pytest.mark.parametrize(
    ("change", "better", "text"),
    [
        (Change.QUANT, fit("Q5_K_M"), "Q5_K_M instead of Q6_K: saves 1.4 GB, fits on the GPU"),
        (Change.KV_TYPE, fit(placement=Placement(8192, KvType.Q8_0)), "KV cache q8_0: saves 1.4 GB, fits on the GPU"),
        (Change.CONTEXT, fit(placement=Placement(16384)), "Context 16k: saves 1.4 GB, fits on the GPU"),
        (Change.UBATCH, fit(placement=Placement(8192, n_ubatch=256)), "Ubatch 256: saves 1.4 GB, fits on the GPU"),
        (Change.PARALLEL, fit(), "One slot instead of 4: saves 1.4 GB, fits on the GPU"),
    ],
)
def test_a_repair_is_the_change_and_what_it_does(change, better, text):
    before = fit("Q6_K", Verdict.TOO_BIG, placement=Placement(32768, n_parallel=4))
    assert words.repair_text(repair(change, better, 1.4), before) == text


def test_a_repair_of_layers_counts_them():
    made = planned("llama31-8b", LAPTOP_8GB, ("Q6_K",), n_gpu_layers=5, n_ctx=8192)
    first = made.repairs[0]
    layers, faster = first.fit.placement.n_gpu_layers, f"{first.speedup:.1f}"
    assert words.repair_text(first, made.best) == f"{layers} of 33 layers on the GPU: {faster} times as fast"


def test_a_repair_may_be_another_programs():
    split = fit(verdict=Verdict.SPLIT)
    close = repair(Change.PROGRAM, fit(), 3.1, program=Program("blender", round(3.1 * GB)))
    assert words.repair_text(close, split) == "Close blender: holds 3.1 GB, fits on the GPU"


def test_a_repair_that_only_makes_it_faster_says_how_much():
    split = fit(verdict=Verdict.SPLIT)
    assert words.repair_text(repair(Change.KV_TYPE, split, 0.01, 1.42), split) == "KV cache f16: 1.4 times as fast"


def test_experts_are_counted():
    mixed = planned("qwen3-30b-a3b", GPU_12GB, ("Q4_K_M",), n_cpu_experts=48)
    text = words.repair_text(mixed.repairs[0], mixed.best)
    assert text.startswith(f"Experts of {mixed.repairs[0].fit.placement.n_cpu_experts} layers in RAM: ")
    assert any("a token reads only 8 of 128 experts" in one for one in mixed.reasons)


def test_experts_in_ram_say_what_they_are_worth():
    made = planned("qwen3-30b-a3b", GPU_12GB, ("Q4_K_M",))
    count = made.best.placement.n_cpu_experts
    said = next(one for one in made.reasons if one.startswith("The experts"))
    assert said.startswith(f"The experts of {count} of 48 layers stay in RAM (")
    assert said.endswith("with whole layers in RAM.")


def test_what_was_given_up_is_said():
    made = planned("llama31-8b", LAPTOP_8GB, ("Q5_K_M",), n_ctx=12288)
    assert any(one.startswith("The KV cache is kept in q8_0") for one in made.reasons)
    beyond = planned("smollm2-1.7b", GPU_24GB, n_ctx=32768)
    assert "The model was trained for 8k tokens; beyond that it may lose the thread." in beyond.reasons


def test_why_not_the_next_better_quant():
    made = planned("llama31-8b", GPU_12GB, ("F16", "Q6_K"))
    assert any(one.startswith("F16 would not fit on the GPU alone: ") for one in made.reasons)
    made = planned("llama31-8b", CPU_16GB, ("F16", "Q6_K"))
    assert any(one.startswith("F16 would run from the disk: ") for one in made.reasons)
    made = planned("llama33-70b", MAC_36GB, ("F16", "Q2_K"))
    assert any(one.startswith("F16 would be too big by ") for one in made.reasons)


@pytest.mark.parametrize(
    ("quant", "text"),
    [
        ("F16", "Quality: the original, nothing is lost."),
        ("Q4_K_M", "Quality: good, typically 2.8 % higher perplexity than the original (Llama-3-8B)."),
        ("Q8_0", "Quality: near lossless, typically under 0.1 % higher perplexity than the original (Llama-3-8B)."),
    ],
)
def test_quality_is_told_with_its_source(quant, text):
    assert words.quality_sentence(quality_of(quant)) == text


def test_a_quality_without_figures_is_told_by_its_grade():
    assert words.quality_sentence(Quality(Grade.FAIR, None, None)) == "Quality: fair."


def test_every_plan_ends_with_what_limits():
    assert planned("llama31-8b", LAPTOP_8GB, ("Q8_0",)).reasons[-1] == words.LIMITS[Limit.VRAM]
    assert planned("llama31-8b", CPU_16GB).reasons[-1] == words.LIMITS[Limit.NO_GPU]


def test_equal_gpus_are_told_together():
    made = plan(candidates("llama33-70b", ("Q4_K_M",)), site(machine_with(("RTX 4090",) * 2, 64 * GB)), Wishes())
    assert made.best.verdict is Verdict.GPU
    assert made.reasons[0].count(" free ") == 1
    assert " GB free on 2 × RTX 4090 (weights " in made.reasons[0]


def test_what_does_not_fit_is_told_gpu_by_gpu():
    machine = machine_with(("RTX 4060",) * 2, 16 * GB)
    made = plan(candidates("llama33-70b", ("Q8_0",)), site(machine), Wishes(n_gpu_layers=81))
    assert made.reasons[0].count(" free on RTX 4060 (") == 2


def test_a_reason_does_not_say_the_verdict_again():
    made = planned("llama33-70b", GPU_24GB, ("Q4_K_M",))
    verdict = words.verdict_sentence(made.best, made.rooms)
    assert made.best.verdict is Verdict.SPLIT
    assert not any("lie on the GPU" in one for one in made.reasons)
    assert words.beside(verdict, ("A reason.", verdict.split(": ")[1])) == ("A reason.",)
