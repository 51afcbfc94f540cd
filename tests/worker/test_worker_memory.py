"""What the ready line says was allocated is what the engine's own account and log say."""

import re

import pytest

from carryon.engine.protocol import DeviceKind
from carryon.worker.devices import Device
from carryon.worker.memory import Use, assigned, is_host, uses_from_log, without_copied

MIB = 1024 * 1024


def logged(worker, purpose):
    """Bytes by the engine's log."""
    log = worker.log_path.read_text("utf-8", "replace")
    return sum(float(size) for size in re.findall(rf"{purpose} buffer size\s*=\s*([\d.]+) MiB", log)) * MIB


def test_every_byte_is_accounted_for(random_speaker):
    (cpu,) = random_speaker.ready.memory
    assert cpu.name == "CPU"
    assert cpu.weights_bytes == pytest.approx(logged(random_speaker, "model"), abs=0.01 * MIB)
    assert cpu.kv_bytes == pytest.approx(logged(random_speaker, "KV"), abs=0.01 * MIB)
    assert cpu.compute_bytes == pytest.approx(logged(random_speaker, "compute"), abs=0.01 * MIB)
    assert cpu.mapped_bytes == cpu.weights_bytes
    assert cpu.total_bytes == cpu.weights_bytes + cpu.kv_bytes + cpu.compute_bytes + cpu.output_bytes


def test_the_cache_is_as_large_as_the_formula(random_speaker):
    """2 layers, 256 numbers a key and a value, 2 bytes each."""
    assert random_speaker.ready.memory[0].kv_bytes == 2 * 2048 * (256 + 256) * 2


@pytest.mark.parametrize(("kv_type", "bytes_each"), [("q8_0", 34 / 32), ("q4_0", 18 / 32)])
def test_a_smaller_kind_of_cache_is_smaller(start_worker, models, kv_type, bytes_each):
    worker = start_worker(models / "random.gguf", kv_type=kv_type)
    assert worker.ready.memory[0].kv_bytes == 2 * 2048 * (256 + 256) * bytes_each
    assert worker.says("hi", max_tokens=4)


def test_the_context_is_padded_as_llama_cpp_does(start_worker, models):
    assert start_worker(models / "speaker.gguf", n_ctx=1000).ready.n_ctx == 1024


def test_weights_without_mmap_are_the_same_weights(start_worker, models, random_speaker):
    worker = start_worker(models / "random.gguf", use_mmap=False)
    assert worker.ready.memory[0].weights_bytes == pytest.approx(random_speaker.ready.memory[0].weights_bytes, rel=0.05)
    assert worker.ready.memory[0].mapped_bytes == 0
    assert worker.says("hi", max_tokens=8) == random_speaker.says("hi", max_tokens=8)


LOG = """
load_tensors:        CPU model buffer size =    82.50 MiB
load_tensors: CPU_REPACK model buffer size =   227.50 MiB
load_tensors:       RPC0[10.0.0.5:50052] model buffer size =   326.20 MiB
llama_kv_cache:        CPU KV buffer size =    22.00 MiB
llama_memory_recurrent:        CPU RS buffer size =     1.50 MiB
sched_reserve:      CUDA0 compute buffer size =    43.01 MiB
llama_context:  CUDA_Host  output buffer size =     0.58 MiB
""".splitlines()


def test_the_log_is_a_second_account():
    uses = uses_from_log(LOG)
    assert uses["CPU"] == Use(weights_bytes=round(82.5 * MIB), kv_bytes=round(23.5 * MIB))
    assert uses["CPU_REPACK"].weights_bytes == round(227.5 * MIB)
    assert uses["RPC0[10.0.0.5:50052]"].weights_bytes == round(326.2 * MIB)
    assert uses["CUDA0"].compute_bytes == round(43.01 * MIB)
    assert uses["CUDA_Host"].output_bytes == round(0.58 * MIB)


def test_by_the_log_alone_a_repacked_weight_is_counted_once():
    """As on macOS and Windows; what is mapped is rounded, and 5 bytes of the file are no weights."""
    logged = {"CPU_Mapped": Use(weights_bytes=105, kv_bytes=3), "CPU_REPACK": Use(weights_bytes=70)}
    assert without_copied(logged, 100) == {**logged, "CPU_Mapped": Use(weights_bytes=35, kv_bytes=3)}


@pytest.mark.parametrize(
    "logged",
    [
        {"CPU_Mapped": Use(weights_bytes=100)},
        {"CPU_Mapped": Use(weights_bytes=30), "CUDA0": Use(weights_bytes=80)},  # the words of a tied model lie in both
        {"CPU": Use(weights_bytes=30), "CPU_REPACK": Use(weights_bytes=70)},
    ],
)
def test_what_was_not_copied_stays_as_it_is(logged):
    assert without_copied(logged, 100) == logged


@pytest.mark.parametrize("name", ["CPU", "CPU_Mapped", "CPU_REPACK", "CUDA_Host", "Vulkan_Host", "ROCm_Host", "AMX"])
def test_ram_has_many_names(name):
    assert is_host(name)


@pytest.mark.parametrize("name", ["CUDA0", "CUDA0_Split", "Vulkan1", "Metal", "MTL0", "RPC0[host:1]", "SYCL0"])
def test_these_are_no_ram(name):
    assert not is_host(name)


def test_every_buffer_is_somewhere():
    cpu, gpu = Device(1, "CPU", "a processor", DeviceKind.CPU), Device(2, "CUDA0", "a card", DeviceKind.GPU)
    rpc = Device(3, "RPC1", "10.0.0.5:1", DeviceKind.RPC, "RPC0[10.0.0.5:1]")
    blas = Device(4, "BLAS", "a library", DeviceKind.OTHER)
    uses = {
        "CPU_Mapped": Use(weights_bytes=1), "CUDA_Host": Use(output_bytes=2), "CUDA0": Use(kv_bytes=3),
        "CUDA0_Split": Use(weights_bytes=4), "RPC0[10.0.0.5:1]": Use(compute_bytes=5), "Strange7": Use(kv_bytes=6),
        "CPU_REPACK": Use(weights_bytes=7), "CUDA0_Mapped": Use(weights_bytes=8), "Empty": Use(),
    }
    told = {one.name: one for one in assigned([gpu, rpc, cpu, blas], uses)}
    assert list(told) == ["CPU", "CUDA0", "RPC1", "Strange7"]
    assert (told["CPU"].weights_bytes, told["CPU"].output_bytes, told["CPU"].mapped_bytes) == (8, 2, 1)
    assert (told["CUDA0"].kv_bytes, told["CUDA0"].weights_bytes, told["CUDA0"].mapped_bytes) == (3, 12, 0)
    assert told["RPC1"].compute_bytes == 5
    assert told["Strange7"].kind is DeviceKind.OTHER
    assert sum(one.total_bytes for one in told.values()) == 36


def test_more_context_than_training_is_said(start_worker, models):
    (notice,) = start_worker(models / "speaker.gguf", n_ctx=8192).ready.notices
    assert "8,192" in notice
    assert "4,096" in notice


def test_layers_without_a_gpu_are_said(start_worker, models):
    ready = start_worker(models / "speaker.gguf", n_gpu_layers=3).ready
    assert ready.n_gpu_layers == 0
    assert ready.notices == ("No GPU was found, so all layers run on the CPU.",)


def test_nothing_odd_nothing_said(speaker):
    assert speaker.ready.notices == ()


def test_props_tell_what_was_loaded(speaker):
    props = speaker.get("/props").json
    assert props["n_ctx"] == 2048
    assert props["architecture"] == "llama"
    assert props["memory"][0]["kv_bytes"] == speaker.ready.memory[0].kv_bytes
    assert props["default_sampling"]["temperature"] == 0.8
    assert "token" not in props
    assert speaker.ready.token not in str(props)


def test_models_lists_the_one_model(speaker):
    assert [one["id"] for one in speaker.get("/v1/models").json["data"]] == ["speaker"]


def test_a_file_may_ask_for_its_own_sampling(start_worker, tmp_path):
    from fakes import tiny_gguf

    def cool(writer):
        writer.add_float32("general.sampling.temp", 0.25)
        writer.add_uint32("general.sampling.top_k", 5)
        writer.add_float32("general.sampling.top_p", 7.5)

    worker = start_worker(tiny_gguf.speaking_model(tmp_path / "cool.gguf", extra=cool))
    defaults = worker.get("/props").json["default_sampling"]
    assert (defaults["temperature"], defaults["top_k"], defaults["top_p"]) == (0.25, 5, 0.95)
