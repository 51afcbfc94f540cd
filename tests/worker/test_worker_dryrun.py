"""What the planning process says a load would take is what the load then takes, to the byte, wherever layers lie."""

import ctypes
import json
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

import gguf
import pytest
from fakes import real_loader, tiny_gguf, tiny_moe
from fakes.real_worker import is_gone, start_child, wait_until

from carryon.base.jobs import drained
from carryon.engine.dryrun import DryRun, dry_runs
from carryon.engine.protocol import DeviceKind, KvType, LoadRequest, Planned, Reason, decode_answer, encode_request
from carryon.worker.capi import L

FTYPE_Q4_K_M = 15
WORDS_BYTES = 2 * 256 * (256 + len(tiny_gguf.COUNTING) + len(tiny_gguf.CONTROL))  # of the models here


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("plans")


@pytest.fixture(scope="module")
def four_layers(folder):
    return tiny_gguf.random_model(folder / "four.gguf", shape=tiny_gguf.Shape(layers=4))


@pytest.fixture(scope="module")
def tied(folder):
    """Without an output layer of its own: beside a GPU its word list lies in both memories."""
    shape, vocabulary = tiny_gguf.Shape(layers=4), tiny_gguf.Vocabulary(tiny_gguf.COUNTING)
    random = tiny_gguf.np.random.default_rng(2)
    said = random.standard_normal((len(vocabulary), shape.hidden)).astype(tiny_gguf.np.float32)
    tensors = tiny_gguf.random_tensors(shape, said, said)
    del tensors["output.weight"]
    return tiny_gguf.write(folder / "tied.gguf", shape, vocabulary, tiny_gguf.CHATML, tensors)


@pytest.fixture(scope="module")
def repacked(folder, four_layers):
    """Of a type that the CPU keeps in an order of its own, in a buffer beside the mapped file."""
    options = L.llama_model_quantize_default_params()
    options.ftype, options.nthread = FTYPE_Q4_K_M, 1
    path = folder / "q4_k_m.gguf"
    assert L.llama_model_quantize(os.fsencode(four_layers), os.fsencode(path), ctypes.byref(options)) == 0
    return path


@pytest.fixture(scope="module")
def experts(folder):
    return tiny_moe.expert_model(folder / "experts.gguf")


@pytest.fixture(scope="module")
def windowed(folder):
    return tiny_gguf.windowed_model(folder / "windowed.gguf")


@pytest.fixture(scope="module")
def recurrent(folder):
    return tiny_gguf.recurrent_model(folder / "recurrent.gguf")


def planned(model, **asked):
    """A plan, or the error in its place."""
    asked.setdefault("n_ctx", 2048)
    (answer,) = drained(dry_runs([LoadRequest(str(model), **asked)]))
    return answer


@pytest.fixture
def same(start_worker, without_mapped):
    """Plans, loads and compares; gives the loaded worker, which then has to speak.

    It ends with the test: an RPC server serves one engine at a time.
    """
    workers = []

    def compare(model, **asked):
        plan, worker = planned(model, **asked), start_worker(model, **asked)
        workers.append(worker)
        assert isinstance(plan, DryRun), plan
        assert plan.devices == without_mapped(worker)
        assert plan.n_ctx == worker.ready.n_ctx
        assert len(worker.says("tell me", max_tokens=4))
        return worker

    yield compare
    for worker in workers:
        worker.end()


def on(worker, name):
    (device,) = [one for one in worker.ready.memory if one.name == name]
    return device


MODELS = ("four_layers", "tied", "repacked", "experts", "windowed", "recurrent")
BATCHES = [(256, 512), (1000, 32), (4096, 512), (4096, 2048), (4096, 4096)]
ON_THE_PROCESSOR = [
    *((model, {"use_mmap": use_mmap}) for model in MODELS for use_mmap in (True, False)),
    *(("four_layers", {"kv_type": kv_type}) for kv_type in KvType),
    *(("four_layers", {"n_ctx": n_ctx, "n_ubatch": n_ubatch}) for n_ctx, n_ubatch in BATCHES),
]
BESIDE = [
    *(("four_layers", {"n_gpu_layers": n}) for n in (0, 1, 2, 4, 5)),
    *((model, {"n_gpu_layers": n}) for model in ("tied", "repacked") for n in (1, 3, 5)),
    *((model, {"n_gpu_layers": 3, "use_mmap": False}) for model in ("four_layers", "tied", "repacked")),
    *(("experts", {"n_gpu_layers": 5, "n_cpu_experts": n}) for n in (0, 1, 3, 99)),
    ("experts", {"n_gpu_layers": 5, "n_cpu_experts": 2, "use_mmap": False}),
]
SPLITS = [  # 5 layers, the last of them is the output; and how many caches of a layer lie on each of two devices
    ({"gpus": ("RPC0", "RPC1"), "split": (1, 1)}, (3, 1)),
    ({"gpus": ("RPC1", "RPC0"), "split": (3, 2)}, (1, 3)),
    ({"gpus": ("RPC0", "RPC1"), "split": (0, 1)}, (0, 4)),
    ({"gpus": ("RPC1",)}, (0, 4)),
    ({"gpus": ("RPC0",), "split": (1,)}, (4, 0)),
]


@pytest.fixture(scope="module")
def compared(request):
    """All plans from one child, then all loads from another: an RPC server serves one engine at a time."""

    def compare(asked, endpoints=()):
        defaults = {"n_ctx": 2048, "n_threads": 1, "rpc_endpoints": endpoints}
        requests = [LoadRequest(str(request.getfixturevalue(model)), **{**defaults, **one}) for model, one in asked]
        return list(zip(drained(dry_runs(requests)), drained(dry_runs(requests, real_loader.COMMAND)), strict=True))

    return compare


def loaded_as_planned(pair):
    """What each device holds, once plan and load are the same."""
    plan, loaded = pair
    assert plan.devices == tuple(replace(one, mapped_bytes=0) for one in loaded.devices)
    assert plan.n_ctx == loaded.n_ctx
    assert sum(one.weights_bytes for one in loaded.devices) > 0
    return {one.name: one for one in loaded.devices}


@pytest.fixture(scope="module")
def on_the_processor(compared):
    return compared(ON_THE_PROCESSOR)


@pytest.mark.parametrize("number", range(len(ON_THE_PROCESSOR)))
def test_a_plan_is_the_load(on_the_processor, number):
    held = loaded_as_planned(on_the_processor[number])
    kv_type = ON_THE_PROCESSOR[number][1].get("kv_type")
    assert kv_type is None or held["CPU"].kv_bytes == kv_type.ggml.size_bytes(4 * 2048 * (256 + 256))


def test_a_plan_is_what_a_worker_says_it_holds(same, repacked):
    """A type that the processor repacks, in the process that then answers."""
    worker = same(repacked)
    assert "CPU_REPACK" in worker.log_path.read_text("utf-8", "replace")


@pytest.mark.slow
@pytest.mark.parametrize(("n_ctx", "n_ubatch"), BATCHES)
def test_every_batch_takes_a_long_prompt(same, four_layers, n_ctx, n_ubatch):
    worker = same(four_layers, n_ctx=n_ctx, n_ubatch=n_ubatch)
    assert worker.says("word " * (n_ctx // 10), max_tokens=2)


def test_a_smaller_batch_takes_less(four_layers):
    large, small = planned(four_layers), planned(four_layers, n_ubatch=64)
    assert small.devices[0].compute_bytes == pytest.approx(large.devices[0].compute_bytes / 8, rel=0.01)


@pytest.fixture(scope="module")
def beside(compared, rpc_servers):
    return compared(BESIDE, (rpc_servers.shared(0),))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(BESIDE)))
def test_a_plan_is_the_load_beside_another_device(beside, number):
    """Three matrices of 256 x 512 half floats for each of four experts stay where they are told to stay."""
    held = loaded_as_planned(beside[number])
    asked = BESIDE[number][1]
    assert (held["RPC0"].total_bytes > 0) is (asked["n_gpu_layers"] > 0)
    if "n_cpu_experts" in asked:
        layer = 3 * 4 * 256 * 512 * 2
        assert held["CPU"].weights_bytes == WORDS_BYTES + min(asked["n_cpu_experts"], 4) * layer
        assert held["CPU"].kv_bytes == 0


@pytest.mark.slow
def test_a_tied_word_list_lies_in_both_memories(same, tied, rpc_servers):
    worker = same(tied, n_gpu_layers=5, rpc_endpoints=(rpc_servers.shared(0),))
    assert on(worker, "CPU").weights_bytes == WORDS_BYTES
    assert on(worker, "RPC0").weights_bytes == pytest.approx(tied.stat().st_size, rel=0.01)


@pytest.mark.slow
def test_experts_in_ram_answer(same, experts, rpc_servers):
    worker = same(experts, n_gpu_layers=5, n_cpu_experts=3, rpc_endpoints=(rpc_servers.shared(0),))
    assert worker.ready.notices == ()


@pytest.mark.slow
def test_a_model_without_experts_says_so(same, four_layers, rpc_servers):
    worker = same(four_layers, n_gpu_layers=5, n_cpu_experts=2, rpc_endpoints=(rpc_servers.shared(0),))
    assert "no experts" in worker.ready.notices[0]


@pytest.fixture(scope="module")
def splits(compared, rpc_servers):
    asked = [("four_layers", {"n_gpu_layers": 5, **one}) for one, _ in SPLITS]
    return compared(asked, (rpc_servers.shared(0), rpc_servers.shared(1)))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SPLITS)))
def test_layers_are_split_as_asked(splits, number):
    held = loaded_as_planned(splits[number])
    layer = 2048 * (256 + 256) * 2
    assert tuple(held[name].kv_bytes / layer for name in ("RPC0", "RPC1")) == SPLITS[number][1]
    assert held["CPU"].kv_bytes == 0


@pytest.mark.slow
@pytest.mark.parametrize("model", ["windowed", "recurrent", "experts"])
def test_a_pipeline_of_devices_is_planned_as_it_is(same, request, rpc_servers, model):
    """Four copies of every input; llama.cpp's own plan counts some of them twice."""
    endpoints = (rpc_servers.shared(0), rpc_servers.shared(1))
    worker = same(request.getfixturevalue(model), n_gpu_layers=99, split=(1, 2), rpc_endpoints=endpoints)
    assert "sched copies = 4" in worker.log_path.read_text("utf-8", "replace")


def test_several_sequences_are_planned_and_not_served(four_layers, start_worker, without_mapped):
    plan, worker = planned(four_layers, n_parallel=3), start_worker(four_layers, n_parallel=3)
    assert plan.n_ctx == 3 * 768  # 2048 / 3, padded to 256 for each
    assert plan.devices[0].kv_bytes == 4 * plan.n_ctx * (256 + 256) * 2
    assert without_mapped(worker) == planned(four_layers).devices
    assert "one chat at a time" in worker.ready.notices[0]


def test_many_are_answered_in_their_order(four_layers, experts):
    contexts = [512, 1024, 2048] * 2
    models = [four_layers] * 3 + [experts] * 3
    asked = [LoadRequest(str(model), n_ctx=n_ctx) for model, n_ctx in zip(models, contexts, strict=True)]
    answers = drained(dry_runs(asked))
    assert [answer.n_ctx for answer in answers] == contexts
    assert [answer.devices[0].kv_bytes for answer in answers] == [4 * n * (256 + 256) * 2 for n in contexts]
    assert len({answer.devices[0].weights_bytes for answer in answers}) == 2


def header_only(model, path):
    """The header and a sparse tail: kilobytes on the disk, the true size in the folder."""
    start = gguf.GGUFReader(model).data_offset
    path.write_bytes(model.read_bytes()[:start])
    os.truncate(path, model.stat().st_size)
    return path


@pytest.fixture
def in_parts(folder, monkeypatch):
    """The files of a model that is split up."""
    monkeypatch.setattr(gguf, "GGUFWriter", partial(gguf.GGUFWriter, split_max_tensors=15))
    tiny_gguf.random_model(folder / "parts.gguf", shape=tiny_gguf.Shape(layers=4))
    return sorted(folder.glob("parts-*.gguf"))


@pytest.mark.parametrize("named", [0, 1])
def test_a_model_in_parts_is_one_model_whichever_is_named(same, four_layers, in_parts, named, without_mapped):
    assert len(in_parts) == 3
    worker = same(in_parts[named])
    assert without_mapped(worker) == planned(four_layers).devices


def test_a_missing_part_is_named(start_worker, in_parts):
    in_parts[2].unlink()
    error = planned(in_parts[0])
    assert error.message == "parts-00003-of-00003.gguf is missing, a part of the same model."
    assert start_worker(in_parts[0]).refused == error.refused


def test_a_part_that_lacks_its_end_is_named(in_parts):
    os.truncate(in_parts[1], in_parts[1].stat().st_size // 2)
    assert planned(in_parts[0]).refused.reason is Reason.TRUNCATED


def test_a_header_is_enough(four_layers, tmp_path):
    assert planned(header_only(four_layers, tmp_path / "header.gguf")) == planned(four_layers)


def test_a_model_without_a_tokenizer_is_planned(tmp_path):
    def no_tokenizer(writer):
        writer.kv_data[0]["tokenizer.ggml.model"] = gguf.GGUFValue("none", gguf.GGUFValueType.STRING)

    mute = tiny_gguf.random_model(tmp_path / "mute.gguf", extra=no_tokenizer)
    speaking = tiny_gguf.random_model(tmp_path / "speaking.gguf")
    assert planned(mute).devices[0].weights_bytes == planned(speaking).devices[0].weights_bytes


REFUSED = [
    ({"n_ctx": 0}, "the context in tokens must be a whole number from 1 to 2,147,483,647"),
    ({"n_ctx": 10**12}, "the context in tokens"),
    ({"n_ctx": 2**31 - 1}, "does not fit into the memory"),
    ({"n_ubatch": 0}, "the batch in tokens"),
    ({"n_ubatch": 10**9}, "the batch in tokens"),
    ({"n_parallel": 257}, "the number of parallel slots"),
    ({"n_gpu_layers": -2}, "the number of GPU layers"),
    ({"n_cpu_experts": -1}, "experts in RAM"),
    ({"gpus": ("CUDA7",)}, "no GPU called CUDA7"),
    ({"gpus": ("CUDA7", "CUDA7")}, "named twice"),
    ({"gpus": ("A",), "split": (1, 2)}, "not as many shares as GPUs"),
    ({"split": (0, 0)}, "all 0"),
    ({"split": (-1,)}, "numbers from 0 up"),
    ({"split": (float("nan"),)}, "numbers from 0 up"),
    ({"split": (1,) * 17}, "16 devices at most"),
    ({"rpc_endpoints": ("127.0.0.1:1",)}, "does not answer as an RPC server"),
]


@pytest.fixture(scope="module")
def refusals(four_layers):
    """What one child answers to all of them."""
    return drained(dry_runs([LoadRequest(str(four_layers), **asked) for asked, _ in REFUSED]))


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_makes_no_sense_is_refused_in_a_sentence(refusals, number):
    assert REFUSED[number][1] in refusals[number].message
    assert refusals[number].hint


def test_a_load_is_refused_as_its_plan_is(refusals, four_layers):
    requests = [LoadRequest(str(four_layers), **asked) for asked, _ in REFUSED]
    refused = drained(dry_runs(requests, real_loader.COMMAND))
    assert [one.refused.reason for one in refused] == [one.refused.reason for one in refusals]


def test_heads_that_a_cache_cannot_pack_are_named(tmp_path):
    model = tiny_gguf.random_model(tmp_path / "narrow.gguf", shape=tiny_gguf.Shape(heads=16))
    error = planned(model, kv_type=KvType.Q8_0)
    assert error.message.endswith("a KV cache of q8_0, which packs 32 numbers together: its heads have 16.")
    assert error.hint == "Choose f16 for the KV cache."


def test_a_model_that_kills_the_planner_kills_only_that(four_layers, folder):
    killer = tiny_gguf.asserting_model(folder / "killer.gguf")
    before, crash, after = drained(dry_runs([LoadRequest(str(path)) for path in (four_layers, killer, four_layers)]))
    assert "gave up on a check of its own while it worked out what the model needs" in crash.message
    assert before == after


# A build whose C++ library is another one: without libstdc++'s mark the name of the engine's list is not found.
_ELSEWHERE = """
from carryon.worker import dryrun, memory
memory._TENSOR_MAP = memory._TENSOR_MAP.replace("B5cxx11", "")
dryrun.main()
"""


def test_a_build_whose_account_cannot_be_read_says_so_instead_of_zeros(four_layers):
    """As on macOS and Windows: what a plan logs of weights is nothing."""
    (error,) = drained(dry_runs([LoadRequest(str(four_layers))], (sys.executable, "-c", _ELSEWHERE)))
    assert error.refused.reason is Reason.NO_ACCOUNT
    assert error.message == "This build of the engine cannot say what four.gguf takes before it is loaded."
    assert "instant estimate" in error.hint


@contextmanager
def planner():
    process = start_child("carryon.worker.dryrun")
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        with suppress(BrokenPipeError):
            pipe.close()


@pytest.fixture(scope="module")
def child():
    """One for all questions: none of them may harm it."""
    with planner() as process:
        yield process


def ask(child, line):
    child.stdin.write(line)
    child.stdin.flush()
    return decode_answer(child.stdout.readline())


@pytest.mark.parametrize("line", [b"hello\n", b"[]\n", b"{}\n", b'{"model_path": "x", "colour": "red"}\n', b"\xff\n"])
def test_a_line_that_is_no_request_is_refused_and_the_next_one_answered(child, four_layers, line):
    assert ask(child, line).reason is Reason.BAD_REQUEST
    assert isinstance(ask(child, encode_request(LoadRequest(str(four_layers)))), Planned)


@pytest.mark.parametrize("field", ["n_ctx", "n_ubatch", "n_parallel", "n_gpu_layers", "split", "gpus", "model_path"])
@pytest.mark.parametrize("value", ["many", None, {"a": 1}, 1.5])
def test_a_field_of_another_kind_is_refused(child, four_layers, field, value):
    fields = {**json.loads(encode_request(LoadRequest(str(four_layers)))), field: value}
    answer = ask(child, json.dumps(fields).encode() + b"\n")
    assert not isinstance(answer, Planned)
    assert isinstance(ask(child, encode_request(LoadRequest(str(four_layers)))), Planned)


def test_a_plan_names_every_device_and_the_engine(child, four_layers):
    answer = ask(child, encode_request(LoadRequest(str(four_layers))))
    assert answer.engine.startswith("llama.cpp ")
    assert answer.memory[0].kind is DeviceKind.CPU


def test_the_planner_ends_with_its_parent(four_layers):
    with planner() as child:
        ask(child, encode_request(LoadRequest(str(four_layers))))
        child.stdin.close()
        assert wait_until(lambda: is_gone(child.pid), 2) is not None
