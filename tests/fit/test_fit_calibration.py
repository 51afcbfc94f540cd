"""Learning: what was off once is right the next time, and one bad run ruins nothing."""

import random
from dataclasses import replace

import pytest
from fakes.published_runs import model

from carryon.fit.answers import Candidate, Fit, Site, Verdict
from carryon.fit.calibration import (
    DeviceTime,
    Learnt,
    MemoryObservation,
    SpeedObservation,
    Task,
    corrected,
    learn,
)
from carryon.fit.memory import DeviceNeed, Need
from carryon.fit.observing import observed_load, observed_speed
from carryon.fit.placement import Placement
from carryon.fit.room import Backend, Rooms, rooms_of
from carryon.fit.speed import Basis, Pace, Speeds, decode_pace, prefill_pace, speeds_of
from carryon.fit.verdict import assess
from carryon.gguf.quants import KvType
from carryon.gguf.sketch import Parameters, sketched
from carryon.hardware.parts import machine_with

GB, MB = 1 << 30, 1 << 20
MACHINE = machine_with(["RTX 4060"], 32 * GB)
ROOMS = rooms_of(MACHINE)
WHOLE = Placement(4096, n_gpu_layers=99)
SMALL, MIDDLE, LARGE = ("llama32-1b", "Q4_K_M"), ("llama32-3b", "Q4_K_M"), ("llama31-8b", "Q4_K_M")
GPU = ROOMS.gpus[0]
NOBODY = Learnt()


def site(learnt: Learnt = NOBODY) -> Site:
    return Site(ROOMS, speeds_of(MACHINE, ROOMS, None, learnt), learnt)


def true_site(bandwidth: float, overhead: float, flops: float = 1.0) -> Site:
    """The machine as it really is: so much faster than the table says."""
    plain = site()
    gpu = plain.speeds.gpus[0]
    real = replace(
        gpu,
        weights_bytes_per_s=gpu.weights_bytes_per_s * bandwidth,
        kv_bytes_per_s=gpu.kv_bytes_per_s * bandwidth,
        layer_s=gpu.layer_s * overhead,
        flops=gpu.flops * flops,
    )
    return replace(plain, speeds=Speeds(plain.speeds.ram, (real,)))


def fit(which, placement=WHOLE) -> Fit:
    pace = Pace(0.0, 0.0, Basis.GUESSED)
    none = Need(DeviceNeed(), (DeviceNeed(),))
    return Fit(Candidate(which[1], model(*which)), placement, none, Verdict.GPU, 0, pace, pace)


def speed(which, at: Site, placement=WHOLE) -> float:
    return decode_pace(model(*which), placement, at.rooms, at.speeds, 512).middle


def answer(which, real: Site, said: Site, when_s: float, slowed: float = 1.0):
    observed = observed_speed(fit(which), said, speed(which, real) / slowed, None)
    return [replace(one, when_s=when_s) for one in observed]


def test_nothing_learnt_changes_nothing():
    assert site(learn([])).speeds == site().speeds


def test_one_answer_corrects_the_same_model():
    real = true_site(0.8, 1.3)
    taught = site(learn(answer(LARGE, real, site(), 1.0)))
    assert speed(LARGE, taught) == pytest.approx(speed(LARGE, real), rel=0.04)
    assert abs(speed(LARGE, site()) / speed(LARGE, real) - 1) > 0.15


def test_two_sizes_tell_bandwidth_from_overhead():
    """A third model between them, which never ran here, is right as well."""
    real = true_site(0.8, 1.6)
    seen = [*answer(SMALL, real, site(), 1.0), *answer(LARGE, real, site(), 2.0)]
    taught = site(learn(seen)).speeds
    assert taught.gpus[0].weights_bytes_per_s == pytest.approx(real.speeds.gpus[0].weights_bytes_per_s, rel=0.05)
    fixed_s = [16 * one.gpus[0].layer_s + one.token_s for one in (taught, real.speeds)]
    assert fixed_s[0] == pytest.approx(fixed_s[1], rel=0.1)
    assert speed(MIDDLE, site(learn(seen))) == pytest.approx(speed(MIDDLE, real), rel=0.04)


def test_a_tiny_model_says_little_about_a_large_one():
    """It is nearly all overhead: that is what it teaches."""
    real = true_site(1.0, 2.0)
    taught = site(learn(answer(SMALL, real, site(), 1.0)))
    assert speed(SMALL, taught) == pytest.approx(speed(SMALL, real), rel=0.06)
    assert speed(LARGE, taught) == pytest.approx(speed(LARGE, real), rel=0.12)


def test_the_built_in_model_does_not_slander_the_ram():
    """It is what most people load first: a few megabytes, and a tenth of the speed that bytes alone would give."""
    alone = machine_with([], 32 * GB)
    rooms = rooms_of(alone)
    where = Site(rooms, speeds_of(alone, rooms))
    guide = sketched(Parameters(6, 256, 4, 768, 3072, 2048, name="guide", is_tied=True), "Q8_0")
    there = replace(fit(LARGE, Placement(2048)), candidate=Candidate("Q8_0", guide), need=Need(DeviceNeed()))
    taught = speeds_of(alone, rooms, None, learn(observed_speed(there, where, 300.0, None, 64)))
    large = decode_pace(model(*LARGE), Placement(4096), rooms, taught).middle
    assert large == pytest.approx(decode_pace(model(*LARGE), Placement(4096), rooms, where.speeds).middle, rel=0.15)
    assert decode_pace(guide, Placement(2048), rooms, taught, 64).middle == pytest.approx(300.0, rel=0.1)


@pytest.mark.parametrize("ram_bytes_per_s", [10.3e9, 40e9])
def test_the_built_in_model_does_not_flatter_the_ram(ram_bytes_per_s):
    """Its few megabytes stay in the processor's cache: two and a half times as fast as the RAM allows, seen here."""
    alone = machine_with([], 32 * GB)
    rooms = rooms_of(alone)
    where = Site(rooms, speeds_of(alone, rooms, ram_bytes_per_s))
    guide = sketched(Parameters(6, 256, 4, 768, 3072, 2048, name="guide", is_tied=True), "Q8_0")
    there = replace(fit(LARGE, Placement(2048)), candidate=Candidate("Q8_0", guide), need=Need(DeviceNeed()))
    fast = 2.5 * decode_pace(guide, Placement(2048), rooms, where.speeds, 64).middle
    taught = speeds_of(alone, rooms, ram_bytes_per_s, learn(observed_speed(there, where, fast, None, 64)))
    assert taught.ram.weights_bytes_per_s == where.speeds.ram.weights_bytes_per_s
    assert decode_pace(guide, Placement(2048), rooms, taught, 64).basis is not Basis.MEASURED


@pytest.mark.parametrize(("written", "read", "tasks"), [
    (16, 128, [Task.DECODE, Task.PREFILL]), (15, 128, [Task.PREFILL]), (200, 5, [Task.DECODE]), (1, 1, []),
])  # fmt: skip
def test_a_few_tokens_are_no_measurement(written, read, tasks):
    seen = observed_speed(fit(LARGE), site(), 40.0, 900.0, 200, n_written=written, n_read=read)
    assert [one.task for one in seen] == tasks


def test_a_measured_speed_is_told_as_such_and_narrowly():
    taught = site(learn(answer(LARGE, true_site(0.9, 1.0), site(), 1.0)))
    pace = decode_pace(model(*LARGE), WHOLE, ROOMS, taught.speeds)
    assert pace.basis is Basis.MEASURED
    other = decode_pace(model(*SMALL), WHOLE, ROOMS, taught.speeds)
    assert pace.high / pace.low == pytest.approx(1.1 / 0.9, rel=0.01)
    assert 1.1 / 0.9 < other.high / other.low < 1.25 / 0.75
    assert prefill_pace(model(*LARGE), WHOLE, ROOMS, taught.speeds).basis is Basis.PARTS


def test_what_a_gpu_did_says_nothing_about_the_ram():
    taught = site(learn(answer(LARGE, true_site(0.7, 1.0), site(), 1.0)))
    assert taught.speeds.ram == site().speeds.ram


@pytest.mark.parametrize("slowed", [3.0, 10.0, 1000.0, 0.1])
def test_one_bad_run_is_outvoted(slowed):
    real = true_site(0.9, 1.2)
    seen = [*answer(LARGE, real, site(), 1.0, slowed)]
    for when_s in (2.0, 3.0):
        seen += answer(LARGE, real, site(), when_s)
    assert speed(LARGE, site(learn(seen))) == pytest.approx(speed(LARGE, real), rel=0.06)


@pytest.mark.parametrize("slowed", [1000.0, 11.0, 0.01])
def test_an_absurd_run_is_believed_only_when_it_happens_again(slowed):
    """And then no further than a part may be off."""
    bad = [one for when_s in range(4) for one in answer(LARGE, true_site(1.0, 1.0), site(), float(when_s), slowed)]
    once, often = (speed(LARGE, site(learn(seen))) / speed(LARGE, site()) for seen in (bad[:1], bad))
    assert once == pytest.approx(1.0)
    assert 1 / 6 < often < 6


@pytest.mark.parametrize("factor", [4.0, 2.0, 0.5, 0.25])
def test_a_part_that_is_far_off_is_reached_all_the_same(factor):
    """A GPU that nobody knows is a guess."""
    real = true_site(factor, 1 / factor)
    assert speed(LARGE, site(learn(answer(LARGE, real, site(), 1.0)))) == pytest.approx(speed(LARGE, real), rel=0.1)


def test_a_bad_run_of_one_model_hardly_moves_the_others():
    real = true_site(0.9, 1.2)
    seen = [*answer(SMALL, real, site(), 1.0), *answer(LARGE, real, site(), 2.0)]
    seen += answer(MIDDLE, real, site(), 3.0, slowed=5.0)
    assert speed(LARGE, site(learn(seen))) == pytest.approx(speed(LARGE, real), rel=0.10)


def test_a_machine_that_changed_is_learnt_anew():
    """A new driver: what counts are the last answers."""
    before, after = true_site(0.6, 1.0), true_site(1.0, 1.0)
    seen = [one for when_s in range(10) for one in answer(LARGE, before, site(), float(when_s))]
    seen += [one for when_s in range(10, 15) for one in answer(LARGE, after, site(), float(when_s))]
    assert speed(LARGE, site(learn(seen))) == pytest.approx(speed(LARGE, after), rel=0.04)


def test_the_order_of_the_observations_does_not_matter():
    real = true_site(0.8, 1.4)
    seen = [one for when_s in range(6) for one in answer((SMALL, LARGE)[when_s % 2], real, site(), float(when_s))]
    shuffled = random.Random(3).sample(seen, len(seen))
    assert learn(shuffled) == learn(seen)


def test_learning_from_what_was_learnt_does_not_run_away():
    """Each answer is compared with the priors, whatever had been learnt when it was given."""
    real, taught, seen = true_site(0.7, 1.5), site(), []
    for when_s in range(20):
        seen += answer((SMALL, LARGE)[when_s % 2], real, taught, float(when_s))
        taught = site(learn(seen))
    assert speed(LARGE, taught) == pytest.approx(speed(LARGE, real), rel=0.03)


def test_a_corrected_table_does_not_spoil_what_was_measured():
    """The measured speed stays, though the prior it was compared with has changed since."""
    real = true_site(0.8, 1.0)
    old = [
        replace(one, times=tuple(replace(time, work_per_s=time.work_per_s * 2) for time in one.times))
        for one in answer(LARGE, real, site(), 1.0)
    ]
    seen = [*old, *answer(SMALL, real, site(), 2.0)]
    assert speed(LARGE, site(learn(seen))) == pytest.approx(speed(LARGE, real), rel=0.06)


def test_a_split_model_teaches_what_it_spent_its_time_on():
    half = replace(WHOLE, n_gpu_layers=12)
    plain = site()
    slow_ram = replace(plain.speeds.ram, weights_bytes_per_s=plain.speeds.ram.weights_bytes_per_s * 0.6)
    real = replace(plain, speeds=replace(plain.speeds, ram=slow_ram))
    taught = site(learn(observed_speed(fit(LARGE, half), plain, speed(LARGE, real, half), None)))
    assert taught.speeds.ram.weights_bytes_per_s == pytest.approx(slow_ram.weights_bytes_per_s, rel=0.06)
    assert taught.speeds.ram.basis is Basis.MEASURED
    assert taught.speeds.gpus[0].weights_bytes_per_s == pytest.approx(
        plain.speeds.gpus[0].weights_bytes_per_s, rel=0.05
    )


def test_reading_a_prompt_is_learnt_apart_from_writing():
    real = true_site(1.0, 1.0, flops=0.5)
    pace = prefill_pace(model(*LARGE), WHOLE, ROOMS, real.speeds).middle
    taught = site(learn(observed_speed(fit(LARGE), site(), None, pace, n_read=2000)))
    assert prefill_pace(model(*LARGE), WHOLE, ROOMS, taught.speeds).middle == pytest.approx(pace, rel=0.05)
    assert speed(LARGE, taught) == speed(LARGE, site())


def memory(predicted=4 * GB, measured=4 * GB, said=None, when_s=0.0, **more) -> MemoryObservation:
    fields = {"architecture": "llama", "label": GPU.label, "backend": GPU.backend, "kv_type": KvType.F16} | more
    return MemoryObservation(
        **fields,
        predicted_bytes=predicted,
        said_bytes=predicted if said is None else said,
        measured_bytes=measured,
        when_s=when_s,
    )


NEED = Need(DeviceNeed(weights_bytes=GB // 2), (DeviceNeed(4 * GB, GB, 100 * MB),))


def test_a_load_that_took_more_is_expected_to_do_so_again():
    learnt = learn([memory(measured=4 * GB + 90 * MB)])
    assert corrected(NEED, "llama", KvType.F16, ROOMS, learnt).gpus[0].compute_bytes == 190 * MB


def test_a_load_that_took_less_never_makes_memory_negative():
    learnt = learn([memory(measured=4 * GB - 200 * MB)])
    assert corrected(NEED, "llama", KvType.F16, ROOMS, learnt).gpus[0].compute_bytes == 0


@pytest.mark.parametrize(
    "other", [{"architecture": "qwen3"}, {"kv_type": KvType.Q8_0}, {"backend": Backend.VULKAN}, {"label": "RTX 4090"}]
)
def test_only_the_same_kind_of_load_is_corrected(other):
    learnt = learn([memory(measured=5 * GB, **other)])
    assert corrected(NEED, "llama", KvType.F16, ROOMS, learnt) == NEED


def test_the_offset_is_the_median_of_the_last_loads():
    extras = (900, 80, 100, 90, 5000, 100)  # MB; the oldest has been forgotten, 5000 was another program's doing
    learnt = learn([memory(measured=4 * GB + extra * MB, when_s=float(i)) for i, extra in enumerate(extras)])
    assert learnt.memory["llama", GPU.label, GPU.backend, KvType.F16].offset_bytes == 100 * MB


def test_a_lesson_of_a_large_load_is_not_the_measure_of_a_small_one():
    learnt = learn([memory(measured=4 * GB + 400 * MB)])
    little = Need(DeviceNeed(), (DeviceNeed(weights_bytes=100 * MB),))
    assert corrected(little, "llama", KvType.F16, ROOMS, learnt).gpus[0].compute_bytes == 64 * MB


def test_an_offset_is_bounded():
    learnt = learn([memory(measured=40 * GB)])
    assert learnt.memory["llama", GPU.label, GPU.backend, KvType.F16].offset_bytes < GB


def test_within_tells_how_far_the_last_words_were_off():
    measured = 4 * GB
    said = (2 * GB, round(4.08 * GB), round(3.96 * GB), round(4.04 * GB))  # the first is too old to count
    learnt = learn([memory(said=one, measured=measured, when_s=float(i)) for i, one in enumerate(said)])
    assert learnt.within("llama", KvType.F16, (GPU,)) == pytest.approx(0.02, abs=0.001)
    assert learnt.within("llama", KvType.F16, (ROOMS.ram,)) is None
    assert learnt.within("gemma3", KvType.F16, (GPU,)) is None


def test_what_is_not_a_measurement_is_left_out():
    times = (DeviceTime("GPU", Backend.CUDA, 1e9, 1e11, 32, 1e-4),)
    nonsense = [
        memory(measured=0),
        memory(predicted=0),
        SpeedObservation(Task.DECODE, "m", times, 0.01, 0.0, 1.0),
        SpeedObservation(Task.DECODE, "m", (), 0.01, 0.02, 1.0),
    ]
    assert learn(nonsense) == Learnt()


def test_a_load_is_observed_on_every_device_that_held_something():
    placed = assess(Candidate("Q4_K_M", model(*LARGE)), WHOLE, site())
    more = replace(placed.need.gpus[0], compute_bytes=placed.need.gpus[0].compute_bytes + 50 * MB)
    seen = observed_load(placed, ROOMS, Need(placed.need.ram, (more,)))
    assert [(one.label, one.measured_bytes - one.predicted_bytes) for one in seen] == [
        (ROOMS.ram.label, 0), (GPU.label, 50 * MB)
    ]  # fmt: skip
    assert {(one.architecture, one.kv_type) for one in seen} == {("llama", KvType.F16)}


def test_rooms_without_a_gpu_learn_too():
    alone = machine_with([], 32 * GB)
    rooms = rooms_of(alone)
    where = Site(rooms, speeds_of(alone, rooms))
    there = replace(fit(LARGE, Placement(4096)), need=Need(DeviceNeed()))
    taught = learn(observed_speed(there, where, 7.0, None))
    learnt_speeds = speeds_of(alone, rooms, None, taught)
    assert decode_pace(model(*LARGE), Placement(4096), rooms, learnt_speeds, 512).middle == pytest.approx(7.0, rel=0.05)
    assert isinstance(rooms, Rooms)
