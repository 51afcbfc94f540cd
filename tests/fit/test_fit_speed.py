"""Speeds: published runs are the measure; what must follow from a formula is checked as such."""

import time
from dataclasses import replace

import pytest
from fakes import published_runs as published
from fakes.published_runs import Run, model

from carryon.fit.answers import Candidate, Fit, Site, Verdict
from carryon.fit.calibration import learn
from carryon.fit.memory import DeviceNeed, Need
from carryon.fit.observing import observed_speed
from carryon.fit.placement import Placement
from carryon.fit.room import Rooms, rooms_of
from carryon.fit.speed import SPREAD, Basis, Pace, Speeds, decode_pace, prefill_pace, speeds_of
from carryon.gguf.quants import KvType
from carryon.hardware.machine import Cpu, Machine
from carryon.hardware.parts import machine_with

GB = 1 << 30
LLAMA_8B, LLAMA_70B, MIXTURE = ("llama31-8b", "Q4_K_M"), ("llama33-70b", "Q4_K_M"), ("qwen3-30b-a3b", "Q4_K_M")
CORES = {"N100": 4, "7820HQ": 4, "1135G7": 4, "10900X": 10}


def machine_of(run: Run) -> Machine:
    machine = machine_with(run.gpus, run.ram_gb * GB)
    if run.is_vulkan:
        devices = tuple(replace(one, name=one.name.replace("ROCm", "Vulkan")) for one in machine.engine.devices)
        machine = replace(machine, engine=replace(machine.engine, devices=devices))
    if run.cpu:
        cores = next(count for name, count in CORES.items() if name in run.cpu)
        machine = replace(machine, cpu=Cpu(run.cpu, cores, 2 * cores, ("AVX2", "FMA")))
    return machine


def site_of(run: Run) -> Site:
    machine = machine_of(run)
    rooms = rooms_of(machine)
    return Site(rooms, speeds_of(machine, rooms))


def placement_of(run: Run, rooms: Rooms) -> Placement:
    names = tuple(room.name for room in rooms.gpus)
    layers = run.n_gpu_layers if names else 0
    return Placement(
        4096, n_gpu_layers=layers, n_cpu_experts=run.n_cpu_experts, gpus=names, split=tuple(1.0 for _ in names)
    )


def decoded(run: Run, site: Site) -> Pace:
    shape, placement = model(run.model, run.quant), placement_of(run, site.rooms)
    return decode_pace(shape, placement, site.rooms, site.speeds, run.depth_tokens)


def with_layer_us(site: Site, layer_us: float) -> Site:
    gpus = tuple(replace(one, layer_s=layer_us * 1e-6) for one in site.speeds.gpus)
    return replace(site, speeds=replace(site.speeds, gpus=gpus))


def table(title: str, runs, predicted) -> list[float]:
    """Prints every run beside its prediction and returns the errors, as shares."""
    print(f"\n{title}")
    errors: list[float] = []
    for run, tokens_per_s in zip(runs, predicted, strict=True):
        errors.append(tokens_per_s / run.tokens_per_s - 1)
        where = " + ".join(run.gpus) or run.cpu
        if run.gpus and run.n_gpu_layers < 999:
            where += f" -ngl {run.n_gpu_layers}"
        if run.n_cpu_experts:
            where += f" --n-cpu-moe {run.n_cpu_experts}"
        speeds = f"{run.tokens_per_s:8.1f} {tokens_per_s:8.1f} {errors[-1]:+7.1%}"
        print(f"  {where:32.32} {run.model:18} {run.quant:9} {speeds}")
    print(f"  mean error {mean(errors):.1%}, worst {max(errors, key=abs):+.1%}")
    return errors


def mean(errors) -> float:
    return sum(map(abs, errors)) / len(errors)


def test_runs_of_2024_with_the_overhead_of_the_engine_of_2024():
    """One bandwidth share a generation, and reference/fit.md's cost of a layer for the engine of that time."""
    runs = published.OLD_DECODE
    sites = [with_layer_us(site_of(run), published.OLD_LAYER_US[run.gpus[0]]) for run in runs]
    errors = table("decode, May 2024", runs, [decoded(run, site).middle for run, site in zip(runs, sites, strict=True)])
    assert mean(errors) <= 0.06
    assert max(map(abs, errors)) <= 0.10


def test_runs_of_today_with_everything_on_the_gpu():
    runs = published.DECODE
    errors = table("decode, 2025 and 2026", runs, [decoded(run, site_of(run)).middle for run in runs])
    assert mean(errors) <= 0.06
    assert max(map(abs, errors)) <= 0.25


@pytest.mark.parametrize("run", published.DECODE, ids=lambda run: f"{run.gpus[0]}-{run.model}-{run.quant}")
def test_the_range_that_is_told_holds_what_was_measured(run):
    pace = decoded(run, site_of(run))
    assert pace.low <= run.tokens_per_s <= pace.high


def test_70b_over_two_3090_is_within_ten_percent_with_the_overhead_of_either_time():
    run = next(one for one in published.OLD_DECODE if one.gpus == ("RTX 3090", "RTX 3090"))
    today = decoded(run, site_of(run)).middle
    then = decoded(run, with_layer_us(site_of(run), published.OLD_LAYER_US["RTX 3090"])).middle
    assert today == pytest.approx(run.tokens_per_s, rel=0.10)
    assert then == pytest.approx(run.tokens_per_s, rel=0.10)


def test_30b_a3b_is_within_ten_percent():
    run = next(one for one in published.DECODE if one.model == "qwen3-30b-a3b")
    assert decoded(run, site_of(run)).middle == pytest.approx(run.tokens_per_s, rel=0.10)


def test_layers_and_experts_in_ram():
    """One bandwidth of one machine's RAM, guessed from its processor's name."""
    runs = published.SPLIT
    errors = table("decode, split", runs, [decoded(run, site_of(run)).middle for run in runs])
    assert mean(errors) <= 0.10
    assert max(map(abs, errors)) <= 0.25


def test_one_answer_of_a_split_model_explains_the_others():
    """What four split models taught in reference/fit.md: after the first the others are within 12 %."""
    first, *others = [run for run in published.SPLIT if run.n_gpu_layers < 100]
    site = site_of(first)
    learnt = learn(observed_speed(fit_of(first, site), site, first.tokens_per_s, None, first.depth_tokens))
    machine = machine_of(first)
    taught = replace(site, speeds=speeds_of(machine, site.rooms, None, learnt))
    errors = table("decode, split, after one answer", others, [decoded(run, taught).middle for run in others])
    assert max(map(abs, errors)) <= 0.12


def fit_of(run: Run, site: Site) -> Fit:
    none = Need(DeviceNeed(), tuple(DeviceNeed() for _ in site.rooms.gpus))
    pace = Pace(0.0, 0.0, Basis.GUESSED)
    candidate = Candidate(run.quant, model(run.model, run.quant))
    return Fit(candidate, placement_of(run, site.rooms), none, Verdict.SPLIT, 0, pace, pace)


def test_the_cpu_alone_is_within_its_range():
    errors = table("decode, CPU", published.CPU, [decoded(run, site_of(run)).middle for run in published.CPU])
    assert max(map(abs, errors)) <= SPREAD[Basis.GUESSED]


def test_quant_types_gain_less_than_their_bytes_below_four_bits():
    """On a GPU that is not named: what it is comes from F16 and Q4_K_M, the other types from their bytes."""
    runs = published.QUANT_TYPES
    site = site_of(replace(runs[0], gpus=("RTX 3090",)))
    fitted = solved(site, *(run for run in runs if run.quant in ("F16", "Q4_K_M")))
    errors = table("decode, quant types", runs, [decoded(run, fitted).middle for run in runs])
    assert mean(errors) <= 0.06
    assert max(map(abs, errors)) <= 0.12


def solved(site: Site, one: Run, other: Run) -> Site:
    """The site with that bandwidth and that overhead which explain two runs."""
    times = [1 / decoded(run, with_layer_us(site, 0)).middle for run in (one, other)]
    factor = (1 / one.tokens_per_s - 1 / other.tokens_per_s) / (times[0] - times[1])
    layer_s = (1 / one.tokens_per_s - factor * times[0]) / model(one.model, one.quant).n_layers
    gpu = site.speeds.gpus[0]
    known = replace(gpu, weights_bytes_per_s=gpu.weights_bytes_per_s / factor, layer_s=layer_s)
    return replace(site, speeds=Speeds(site.speeds.ram, (known,)))


def test_reading_a_prompt():
    runs = published.PREFILL
    predicted = []
    for run in runs:
        site, shape = site_of(run), model(run.model, run.quant)
        predicted.append(prefill_pace(shape, placement_of(run, site.rooms), site.rooms, site.speeds, 256).middle)
    errors = table("prefill", runs, predicted)
    assert mean(errors) <= 0.10
    assert max(map(abs, errors)) <= 0.30


def machine(*gpus, ram_gb=64) -> tuple[Machine, Rooms, Speeds]:
    found = machine_with(gpus, ram_gb * GB)
    rooms = rooms_of(found)
    return found, rooms, speeds_of(found, rooms)


def test_more_layers_on_the_gpu_are_never_slower():
    _, rooms, speeds = machine("RTX 4060")
    paces = [
        decode_pace(model(*LLAMA_8B), Placement(4096, n_gpu_layers=layers), rooms, speeds).middle
        for layers in range(34)
    ]
    assert paces == sorted(paces)


def test_a_long_context_is_slower():
    _, rooms, speeds = machine("RTX 4090")
    whole = Placement(32768, n_gpu_layers=99)
    empty, full = (decode_pace(model(*LLAMA_8B), whole, rooms, speeds, depth).middle for depth in (0, 32768))
    assert 1.3 * full < empty


def test_a_quantized_cache_saves_memory_and_promises_no_speed():
    _, rooms, speeds = machine("RTX 4090")
    paces = {
        decode_pace(model(*LLAMA_8B), Placement(32768, kv_type, n_gpu_layers=99), rooms, speeds, 32768)
        for kv_type in (KvType.F16, KvType.Q8_0, KvType.Q4_0)
    }
    assert len(paces) == 1


def test_at_a_depth_of_33000_a_4090_is_within_the_range_of_what_was_measured():
    """llama.cpp #17505: 8B Q4_0, one token at a time behind 32768 others, 102.8 tokens/s."""
    _, rooms, speeds = machine("RTX 4090")
    pace = decode_pace(model("llama31-8b", "Q4_0"), Placement(40960, n_gpu_layers=99), rooms, speeds, 33024)
    assert pace.middle == pytest.approx(102.8, rel=0.12)


def test_a_window_ends_what_depth_costs():
    _, rooms, speeds = machine("RTX 4090")
    shape = model("gemma3-12b", "Q4_K_M")
    place = Placement(131072, n_gpu_layers=99)
    short, long, longer = (1 / decode_pace(shape, place, rooms, speeds, depth).middle for depth in (0, 1024, 2048))
    assert longer - long < (long - short) / 3  # 8 of 48 layers see everything


def test_experts_on_the_cpu_beat_whole_layers_there():
    """For the same gigabyte of the GPU: everything but the experts, or the output and three whole layers."""
    _, rooms, speeds = machine("RTX 4060")
    shape = model(*MIXTURE)
    experts = decode_pace(shape, Placement(4096, n_gpu_layers=99, n_cpu_experts=48), rooms, speeds)
    layers = decode_pace(shape, Placement(4096, n_gpu_layers=4), rooms, speeds)
    assert experts.middle > 1.05 * layers.middle


def test_a_mixture_reads_only_the_experts_it_is_sent_to():
    _, rooms, speeds = machine("RTX 4090")
    whole = Placement(4096, n_gpu_layers=99)
    mixture = decode_pace(model(*MIXTURE), whole, rooms, speeds).middle
    assert mixture > 1.2 * decode_pace(model(*LLAMA_8B), whole, rooms, speeds).middle  # 30B of weights, 3B a token


def test_a_bigger_batch_reads_faster_where_weights_stay_in_ram():
    _, rooms, speeds = machine("RTX 4060")
    half = Placement(4096, n_gpu_layers=16)
    assert (
        prefill_pace(model(*LLAMA_8B), replace(half, n_ubatch=1024), rooms, speeds).middle
        > 1.3 * prefill_pace(model(*LLAMA_8B), replace(half, n_ubatch=256), rooms, speeds).middle
    )


def test_without_a_gpu_everything_is_the_cpus():
    _, rooms, speeds = machine()
    pace = decode_pace(model(*LLAMA_8B), Placement(4096, n_gpu_layers=99), rooms, speeds)
    assert 2 < pace.low < pace.high < 20
    assert pace.basis is Basis.GUESSED


def test_a_measured_ram_is_told_as_such_and_narrows_the_range():
    found, rooms, _ = machine()
    probed = speeds_of(found, rooms, 60e9)
    pace = decode_pace(model(*LLAMA_8B), Placement(4096), rooms, probed)
    assert pace.basis is Basis.PROBED
    assert pace.high / pace.low == pytest.approx(1.2 / 0.8, rel=0.01)


def test_a_gpu_that_nobody_knows_is_guessed():
    found = machine_with(["RTX 4090"], 64 * GB)
    devices = tuple(replace(one, description="NVIDIA Whatever 1") for one in found.engine.devices)
    found = replace(found, engine=replace(found.engine, devices=devices))
    rooms = rooms_of(found)
    pace = decode_pace(model(*LLAMA_8B), Placement(4096, n_gpu_layers=99), rooms, speeds_of(found, rooms))
    assert pace.basis is Basis.GUESSED
    assert 20 < pace.middle < 130


def test_an_integrated_gpu_is_as_fast_as_the_ram_it_works_in():
    """normiebench #10: a Radeon 780M in a Ryzen 7 8840U with LPDDR5-6400, 16.3 tokens/s."""
    found = machine_with(["Radeon 780M"], 32 * GB)
    found = replace(found, cpu=Cpu("AMD Ryzen 7 8840U w/ Radeon 780M Graphics", 8, 16, ("AVX2",)))
    rooms = rooms_of(found)
    guessed, probed = (speeds_of(found, rooms, measured) for measured in (None, 95e9))
    whole = Placement(4096, n_gpu_layers=99)
    paces = [decode_pace(model(*LLAMA_8B), whole, rooms, speeds) for speeds in (guessed, probed)]
    assert [one.basis for one in paces] == [Basis.GUESSED, Basis.PROBED]
    assert all(one.low < 16.3 < one.high for one in paces)


def test_unequal_gpus_take_their_own_time():
    _, rooms, speeds = machine("RTX 4090", "RTX 3060")
    fast, slow = (
        decode_pace(model(*LLAMA_8B), Placement(4096, n_gpu_layers=99, split=split), rooms, speeds).middle
        for split in ((3.0, 1.0), (1.0, 3.0))
    )
    assert fast > 1.3 * slow


def test_a_slider_may_ask_on_every_tick():
    _, rooms, speeds = machine("RTX 4090", "RTX 4090")
    shape, place = model(*LLAMA_70B), Placement(4096, n_gpu_layers=60, split=(1.0, 1.0))
    decode_pace(shape, place, rooms, speeds, 2048)
    best_s = min(timed(lambda: decode_pace(shape, place, rooms, speeds, 2048)) for _ in range(200))
    assert best_s < 100e-6


def timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
