"""What `fit.memory` says beside what the engine says: dry runs of header-only models, and loads of real small ones."""

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import tiny_gguf, tiny_moe
from fakes.fit_compared import Case, HeaderFiles, compared, in_ram, loaded, offloaded
from fakes.header_models import MODELS, MORE_MODELS
from fakes.rpc_servers import RpcServers

from carryon import resources
from carryon.fit.memory import Placement
from carryon.fit.room import Backend
from carryon.fit.working.compute import compute_error_bytes
from carryon.gguf.quants import USUAL_KV_TYPES, KvType
from carryon.gguf.shape import read_shape

TRAINED = {"llama31-8b": 131072, "llama33-70b": 131072, "mistral-7b-v03": 32768, "smollm2-1.7b": 8192,
           "qwen3-8b": 40960, "qwen25-7b": 32768, "qwen3-30b-a3b": 40960, "gemma3-12b": 131072, "phi4": 16384,
           "dsv2-lite": 163840, "dsv3": 163840, "gptoss-20b": 131072, "granite33-8b": 131072}  # fmt: skip
GUIDE = Path(resources.__path__[0]) / "guide" / "guide-Q8_0.gguf"
TOTAL_WITHIN = 0.01
# Phi-4 has so few tensors that four sequences overflow the engine's own graph and end it (ggml-impl.h:330).
TOO_MUCH_FOR_THE_ENGINE = {("phi4", KvType.Q8_0), ("phi4", KvType.Q4_0)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return HeaderFiles(tmp_path_factory.mktemp("headers"))


@pytest.fixture(scope="module")
def endpoints():
    servers = RpcServers()
    yield [servers.start(), servers.start()]
    servers.end()


def check(row, files):
    """Weights, cache and output row to the byte; the rest within what is said of it."""
    said, held, placement = row.said, row.held, row.case.placement
    about = f"{row.case} on {row.device}"
    assert (said.weights_bytes, said.kv_bytes) == (held.weights_bytes, held.kv_bytes), about
    assert said.output_bytes == held.output_bytes, about
    backend = Backend.CPU if row.device == "CPU" else Backend.RPC
    bound = compute_error_bytes(files.shape(row.case), placement, held.compute_bytes, backend)
    assert abs(row.compute_error_bytes) <= bound, about
    assert abs(row.error) <= TOTAL_WITHIN or said.total_bytes < 64 << 20, about


@pytest.mark.parametrize("name", MODELS)
def test_a_model_in_ram_is_as_the_engine_plans_it(name, files):
    cases = [in_ram(name, 4096, KvType.F16), in_ram(name, 20_000, KvType.Q8_0), in_ram(name, 8192, n_ubatch=128)]
    for row in compared(cases, files):
        check(row, files)
        assert abs(row.compute_error_bytes) < 1 << 16


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_context_cache_type_batch_and_number_of_sequences(name, files):
    """The whole match that is promised: 4096, 32768 and the trained context, in every usual type."""
    contexts = sorted({4096, 32768, TRAINED[name]})
    cases = [in_ram(name, n_ctx, kind, n_ubatch=n_ubatch) for n_ctx in contexts for kind in USUAL_KV_TYPES
             for n_ubatch in (128, 256, 512, 1024)]  # fmt: skip
    cases += [in_ram(name, n_ctx, kind, n_parallel=4) for n_ctx in contexts for kind in USUAL_KV_TYPES
              if (name, kind) not in TOO_MUCH_FOR_THE_ENGINE]  # fmt: skip
    for row in compared(cases, files):
        check(row, files)
        assert abs(row.compute_error_bytes) < 1 << 16


@pytest.mark.parametrize("name", MORE_MODELS)
def test_states_short_convolutions_unsaid_windows_and_unloaded_blocks(name, files):
    for row in compared([in_ram(name, 4096), in_ram(name, 8192, n_parallel=2)], files):
        check(row, files)


@pytest.mark.parametrize("quant", ["Q4_K_M", "Q3_K_M", "Q8_0"])
def test_quantized_weights_are_counted_wherever_the_engine_puts_them(quant, files):
    """Q4_K is repacked on many CPUs, into a buffer of its own: that is RAM too."""
    cases = [replace(in_ram(name, 4096), quant=quant) for name in ("llama31-8b", "smollm2-1.7b", "dsv2-lite")]
    for row in compared(cases, files):
        check(row, files)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_layers_on_another_device(name, files, endpoints):
    """A real RPC device on loopback; one, two, half, all but one and all of the layers, and shared among two."""
    n_layers = files.shape(Case(name, Placement(4096), "Q4_K_M")).n_layers
    cases = [offloaded(name, layers) for layers in (1, 3, n_layers // 2, n_layers, n_layers + 1)]
    cases += [offloaded(name, layers, n_devices=2) for layers in (n_layers // 2, n_layers + 1)]
    cases += [offloaded(name, n_layers + 1, kv_type=KvType.Q8_0, n_ctx=32768)]
    for row in compared(cases, files, endpoints):
        check(row, files)


def test_a_few_layers_of_a_small_model_on_another_device(files, endpoints):
    cases = [offloaded("smollm2-1.7b", layers) for layers in (1, 10, 25)]
    cases += [offloaded("smollm2-1.7b", 25, n_devices=2)]
    for row in compared(cases, files, endpoints):
        check(row, files)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen3-30b-a3b", "dsv2-lite", "dsv3"])
def test_experts_in_ram_and_the_rest_on_another_device(name, files, endpoints):
    n_layers = files.shape(Case(name, Placement(4096), "Q4_K_M")).n_layers
    placed = [(n_layers + 1, 1), (n_layers + 1, n_layers // 2), (n_layers + 1, n_layers), (n_layers // 2, n_layers)]
    cases = [offloaded(name, layers, n_cpu_experts=experts) for layers, experts in placed]
    for row in compared(cases, files, endpoints):
        check(row, files)


RECURRENT = "recurrent"


@pytest.fixture(scope="module")
def small_models(tmp_path_factory):
    """Real files with weights: the built-in guide, and tiny ones with a window, a state, experts."""
    folder = tmp_path_factory.mktemp("models")
    made = {"plain": tiny_gguf.speaking_model, "windowed": tiny_gguf.windowed_model,
            RECURRENT: tiny_gguf.recurrent_model, "experts": tiny_moe.expert_model}  # fmt: skip
    for name, make in made.items():
        make(folder / f"{name}.gguf")
    return {"guide": GUIDE, **{name: folder / f"{name}.gguf" for name in made}}


@pytest.mark.parametrize("name", ["guide", "plain", "windowed", "experts", RECURRENT])
def test_what_is_really_allocated_is_what_was_said(name, small_models, tmp_path):
    for placement in (Placement(2048, use_mmap=False), Placement(4096, KvType.Q8_0, n_ubatch=128)):
        for row in loaded(small_models[name], placement, tmp_path / "log"):
            check_load(row, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["guide", "plain", "windowed", "experts"])
def test_what_is_really_allocated_on_other_devices_is_what_was_said(name, small_models, endpoints, tmp_path):
    n_all = read_shape(small_models[name]).n_gpu_layers_max
    placed = [(Placement(2048, n_gpu_layers=layers), 1) for layers in (1, 2, n_all)]
    placed += [(Placement(2048, n_gpu_layers=n_all, split=(1, 1)), 2)]
    placed += [(Placement(2048, n_gpu_layers=n_all, n_cpu_experts=2), 1)]
    for placement, n_devices in placed:
        for row in loaded(small_models[name], placement, tmp_path / "log", endpoints[:n_devices]):
            check_load(row, name)


def check_load(row, name):
    """Of a load nothing may be off but by a few kilobytes; a recurrent graph is an estimate."""
    said, held = row.said, row.held
    about = f"{row.case} on {row.device}"
    assert (said.weights_bytes, said.kv_bytes) == (held.weights_bytes, held.kv_bytes), about
    assert said.output_bytes == held.output_bytes, about
    assert abs(row.compute_error_bytes) < (1 << 20 if name == RECURRENT else 1 << 14), about
