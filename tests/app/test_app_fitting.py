"""A model's quants, the machine's rooms and what really happened come together here."""

import os
from dataclasses import replace

import pytest
from fakes import machines
from fakes.header_models import write_header_model

from carryon.app.fitting import Fitting, confirmed, giving_back, need_of, planned_request, refreshed
from carryon.base.errors import BadFile
from carryon.base.jobs import drained
from carryon.chat.message import Figures
from carryon.engine.protocol import DeviceKind, DeviceMemory, Ready
from carryon.fit.answers import Basis, Wishes
from carryon.fit.plan import assess, plan
from carryon.gguf.sketch import Parameters
from carryon.hardware.machine import GpuUse, Memory, MemoryUse

CUDA0 = "NVIDIA GeForce RTX 4060"
TYPED = Parameters(n_layers=32, n_embd=4096, n_heads=32, n_ff=14336, n_vocab=128256, n_ctx_train=8192)


@pytest.fixture
def fitting(carryon_home):
    made = Fitting(carryon_home)
    yield made
    made.close()


@pytest.fixture
def smol(tmp_path):
    return write_header_model("smollm2-1.7b", tmp_path / "smol-Q4_K_M.gguf", "Q4_K_M")


def ready_with(*memory):
    return Ready(1, "t", "m", "llama", 24, 25, 4096, 8192, True, memory, 1.0)


def answer_at(tokens_per_s, n_written=200):
    """The figures of an answer to a short question."""
    return Figures(12, 40.0, n_written, 1000 * n_written / tokens_per_s, 0)


def held(name, kind, weights=0, kv=0, compute=0, output=0):
    return DeviceMemory(name, name, kind, weights, kv, compute, output)


def test_a_file_is_one_of_its_quants_and_the_others_are_inferred(fitting, smol):
    subject = drained(fitting.reading(smol))
    assert subject.chosen == subject.named.quant == "Q4_K_M"
    assert subject.named.path == str(smol)
    others = [one for one in subject.candidates if one.quant != "Q4_K_M"]
    assert {"F16", "Q8_0", "Q6_K", "Q5_K_M"} <= {one.quant for one in others}
    assert all(one.path is None for one in others)


def test_another_quant_beside_it_shares_what_does_not_depend_on_types(fitting, smol):
    write_header_model("smollm2-1.7b", smol.with_name("smol-Q8_0.gguf"), "Q8_0")
    here = [one.shape for one in drained(fitting.reading(smol)).candidates if one.path]
    assert [one.quant for one in here] == ["Q8_0", "Q4_K_M"]
    assert here[0].family is here[1].family


def test_a_model_is_planned_ahead_where_it_will_be_asked_for(fitting, smol):
    where = fitting.site(machines.WITH_GPU)
    subject = drained(fitting.reading(smol, where))
    assert plan(subject.candidates, where) == plan(drained(fitting.reading(smol)).candidates, where)


def test_candidates_come_best_first(fitting, smol):
    quants = [one.quant for one in drained(fitting.reading(smol)).candidates]
    assert quants.index("F16") < quants.index("Q8_0") < quants.index("Q4_K_M") < quants.index("Q2_K")


def test_files_beside_it_of_the_same_model_are_here_too(fitting, smol):
    beside = write_header_model("smollm2-1.7b", smol.with_name("smol-Q8_0.gguf"), "Q8_0")
    write_header_model("phi4", smol.with_name("phi-Q6_K.gguf"), "Q6_K")
    smol.with_name("broken.gguf").write_bytes(b"GGUF")
    here = {one.quant: one.path for one in drained(fitting.reading(smol)).candidates if one.path}
    assert here == {"Q4_K_M": str(smol), "Q8_0": str(beside)}


def test_a_model_trained_in_mxfp4_is_offered_in_nothing_else(fitting, tmp_path):
    born = write_header_model("gptoss-20b", tmp_path / "gpt-oss-20b.gguf")
    quants = [one.quant for one in drained(fitting.reading(born)).candidates]
    assert quants == ["F16", "MXFP4_MOE"]  # the file calls itself F16


def test_a_damaged_file_says_so(fitting, smol):
    os.truncate(smol, 5000)
    with pytest.raises(BadFile):
        drained(fitting.reading(smol))


def test_a_model_that_does_not_exist_yet(fitting):
    subject = fitting.typed(TYPED)
    assert subject.chosen is None
    assert all(one.path is None for one in subject.candidates)


def test_what_is_loaded_gives_its_room_back(fitting):
    ready = ready_with(held("CUDA0", DeviceKind.GPU, 3 * 10**9, 10**9), held("CPU", DeviceKind.CPU, 10**9, 5, 6, 7))
    before = fitting.site(machines.WITH_GPU).rooms.gpus[0].free_bytes
    full = machines.WITH_GPU
    devices = tuple(replace(one, free_bytes=10**9) for one in full.engine.devices)
    full = replace(full, engine=replace(full.engine, devices=devices))
    assert fitting.site(full, ready).rooms.gpus[0].free_bytes == 5 * 10**9 < before
    assert giving_back(ready)["CPU"] == 10**9 + 18


def test_weights_that_are_pages_of_the_file_were_available_all_along(fitting):
    cpu = replace(held("CPU", DeviceKind.CPU, 10**9, 5, 6, 7), mapped_bytes=4 * 10**8)
    assert giving_back(ready_with(cpu)) == {"CPU": 6 * 10**8 + 18}


def test_another_machine_has_nothing_of_ours_to_give_back(fitting):
    ready = ready_with(held("CUDA0", DeviceKind.GPU, 3 * 10**9))
    alone = fitting.site(machines.WITH_GPU, is_here=False)
    assert fitting.site(machines.WITH_GPU, ready, is_here=False).rooms == alone.rooms


def test_free_memory_is_what_the_meters_say_now():
    use = MemoryUse(Memory(33_600_000_000, 5_000_000_000), (GpuUse(CUDA0, 8_000_000_000, 8_188_000_000),))
    now = refreshed(machines.WITH_GPU, use)
    assert now.ram.available_bytes == 5_000_000_000
    assert [one.free_bytes for one in now.engine.devices] == [188_000_000, 5_000_000_000]
    assert now.gpus[0].free_bytes == 188_000_000


def test_the_engines_account_finds_its_rooms(fitting):
    rooms = fitting.site(machines.WITH_GPU).rooms
    subject = fitting.typed(TYPED)
    predicted = plan(subject.candidates, fitting.site(machines.WITH_GPU)).best.need
    memory = (held("CUDA0", DeviceKind.GPU, 1, 2, 3, 4), held("CPU", DeviceKind.CPU, 5, 6, 7, 8),
              held("BLAS", DeviceKind.OTHER, 10))  # fmt: skip
    need = need_of(memory, rooms, predicted)
    assert need.gpus[0].total_bytes == 10
    assert (need.ram.weights_bytes, need.ram.kv_bytes) == (15, 6)


def test_a_load_teaches_the_next_prediction(fitting, smol):
    """A device that takes 100 MB more than predicted, three times, is predicted with them."""
    subject = drained(fitting.reading(smol))
    wishes = Wishes(quant="Q4_K_M", n_ctx=4096, n_gpu_layers=25)
    more = 100_000_000
    for _ in range(3):
        site = fitting.site(machines.WITH_GPU)
        fit = plan(subject.candidates, site, wishes).best
        raw = assess(fit.candidate, fit.placement, replace(site, learnt=type(site.learnt)())).need
        gpu, ram = raw.gpus[0], raw.ram
        ready = ready_with(
            held("CUDA0", DeviceKind.GPU, gpu.weights_bytes, gpu.kv_bytes, gpu.compute_bytes + more, gpu.output_bytes),
            held("CPU", DeviceKind.CPU, ram.weights_bytes, ram.kv_bytes, ram.compute_bytes, ram.output_bytes),
        )
        fitting.loaded(fit, site, ready)
    taught = plan(subject.candidates, fitting.site(machines.WITH_GPU), wishes).best
    assert taught.need.gpus[0].total_bytes == gpu.total_bytes + more
    assert taught.within is not None


def test_answers_teach_the_next_speed(fitting, smol):
    subject = drained(fitting.reading(smol))
    wishes = Wishes(quant="Q4_K_M", n_ctx=4096, n_gpu_layers=25)
    first = plan(subject.candidates, fitting.site(machines.WITH_GPU), wishes).best
    really = first.decode.low / 2
    for _ in range(3):
        site = fitting.site(machines.WITH_GPU)
        fitting.answered(plan(subject.candidates, site, wishes).best, site, answer_at(really))
    taught = plan(subject.candidates, fitting.site(machines.WITH_GPU), wishes).best
    assert taught.decode.middle == pytest.approx(really, rel=0.25)
    assert taught.decode.high < first.decode.low


def test_a_few_words_teach_nothing(fitting, smol):
    subject = drained(fitting.reading(smol))
    site = fitting.site(machines.WITH_GPU)
    best = plan(subject.candidates, site, Wishes()).best
    fitting.answered(best, site, answer_at(best.decode.low / 2, n_written=5))
    assert fitting.site(machines.WITH_GPU).speeds == site.speeds


@pytest.mark.slow
def test_the_engines_own_plan_takes_the_place_of_the_instant_one(fitting, smol):
    site = fitting.site(machines.CPU_ONLY)
    subject = drained(fitting.reading(smol))
    made = plan(subject.candidates, site, Wishes(quant="Q4_K_M", n_ctx=4096, n_gpu_layers=0))
    exact = drained(fitting.confirming(made.best, site, machines.CPU_ONLY))
    assert exact.basis is Basis.DRY_RUN
    assert exact.need.ram.weights_bytes == made.best.need.ram.weights_bytes
    assert exact.need.ram.kv_bytes == made.best.need.ram.kv_bytes
    again = confirmed(made, exact, site)
    assert again.best is exact
    assert exact in again.fits
    assert len(again.fits) == len(made.fits)


def test_what_is_not_here_cannot_be_asked(fitting, smol):
    site = fitting.site(machines.CPU_ONLY)
    made = plan(drained(fitting.reading(smol)).candidates, site, Wishes(quant="Q8_0"))
    assert drained(fitting.confirming(made.best, site, machines.CPU_ONLY)) is made.best


def test_the_request_says_all_of_the_placement(fitting, smol):
    site = fitting.site(machines.WITH_GPU)
    wishes = Wishes(quant="Q4_K_M", n_ctx=2048, n_gpu_layers=10, n_ubatch=128, n_parallel=2)
    placement = plan(drained(fitting.reading(smol)).candidates, site, wishes).best.placement
    request = planned_request(str(smol), placement)
    assert (request.n_ctx, request.n_gpu_layers, request.n_ubatch, request.n_parallel) == (2048, 10, 128, 2)
    assert request.gpus == placement.gpus


def test_equal_gpus_keep_their_own_free_memory():
    device, gpu = machines.WITH_GPU.engine.devices[0], machines.WITH_GPU.gpus[0]
    twins = replace(
        machines.WITH_GPU,
        gpus=(gpu, gpu),
        engine=replace(machines.WITH_GPU.engine, devices=(device, replace(device, name="CUDA1"))),
    )
    busy, idle = GpuUse(CUDA0, 8_000_000_000, 8_188_000_000), GpuUse(CUDA0, 188_000_000, 8_188_000_000)
    now = refreshed(twins, MemoryUse(Memory(33_600_000_000, 5_000_000_000), (busy, idle)))
    assert [one.free_bytes for one in now.engine.devices] == [188_000_000, 8_000_000_000]
    assert [one.free_bytes for one in now.gpus] == [188_000_000, 8_000_000_000]
