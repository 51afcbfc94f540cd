"""A model that cannot be loaded gives a reason with its facts, and the process ends."""

import json
import socket

import gguf
import pytest
from fakes import tiny_gguf
from fakes.real_worker import start_child

from carryon.engine.protocol import Loading, LoadRequest, Reason, Refused, decode_event, encode_request
from carryon.worker import capi, devices
from carryon.worker.engine_log import EngineLog, Level, Line
from carryon.worker.loading import load
from carryon.worker.refusals import LoadRefused, refusal_of_load, says_no_flash_attention


@pytest.fixture
def refused(start_worker, tmp_path):
    """What a worker answers about a model that cannot be loaded."""

    def ask(path, **asked):
        worker = start_worker(path, **asked)
        assert worker.process.wait(5) == 1
        return worker.refused

    return ask


@pytest.fixture
def broken(models, tmp_path):
    """Writes a changed copy of the speaking model."""

    def write(change):
        path = tmp_path / "broken.gguf"
        path.write_bytes(change((models / "speaker.gguf").read_bytes()))
        return path

    return write


def test_a_missing_file(refused, tmp_path):
    assert refused(tmp_path / "none.gguf").reason is Reason.MISSING_FILE


def test_a_folder_is_no_file(refused, tmp_path):
    assert refused(tmp_path).reason is Reason.MISSING_FILE


@pytest.mark.parametrize("content", [b"hello, I am no model", b"PK\x03\x04" + bytes(100), b"GGML" + bytes(40)])
def test_another_kind_of_file(refused, tmp_path, content):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert refused(path).reason is Reason.NOT_GGUF


def test_a_file_that_lacks_its_end(refused, broken, models):
    whole = (models / "speaker.gguf").stat().st_size
    answer = refused(broken(lambda content: content[: whole // 2]))
    assert answer.reason is Reason.TRUNCATED
    assert answer.facts == {"expected_bytes": whole, "actual_bytes": whole // 2}


@pytest.mark.parametrize("size", [0, 2, 20, 3000])
def test_a_file_that_ends_within_its_header(refused, broken, size):
    answer = refused(broken(lambda content: content[:size]))
    assert answer.reason is Reason.TRUNCATED
    assert answer.facts["actual_bytes"] == size
    assert answer.facts["expected_bytes"] is None


def test_an_architecture_that_the_engine_does_not_know(refused, tmp_path):
    model = tiny_gguf.random_model(tmp_path / "new.gguf", architecture="carryonlm")
    answer = refused(model)
    assert answer.reason is Reason.UNSUPPORTED_ARCHITECTURE
    assert answer.facts == {"architecture": "carryonlm"}


def test_a_header_without_words(refused, broken):
    answer = refused(broken(lambda content: content.replace(b"tokenizer.ggml.tokens", b"tokenizer.ggml.tokenz")))
    assert answer.reason is Reason.BAD_MODEL
    assert "vocabulary" in answer.detail


def test_a_model_without_a_tensor(refused, broken):
    answer = refused(broken(lambda content: content.replace(b"blk.1.ffn_up", b"blk.1.ffn_xx")))
    assert answer.reason is Reason.BAD_MODEL
    assert "ffn_up" in answer.detail


def test_a_model_without_a_tokenizer(refused, tmp_path, models):
    def no_tokenizer(writer):
        writer.kv_data[0]["tokenizer.ggml.model"] = gguf.GGUFValue("none", gguf.GGUFValueType.STRING)

    answer = refused(tiny_gguf.random_model(tmp_path / "mute.gguf", extra=no_tokenizer))
    assert answer.reason is Reason.UNSUPPORTED_ARCHITECTURE
    assert "tokenizer" in answer.detail
    assert answer.facts["cannot_chat"] == answer.detail


def test_a_context_that_no_memory_could_hold(refused, models):
    answer = refused(models / "speaker.gguf", n_ctx=2**30)
    assert answer.reason is Reason.OUT_OF_MEMORY
    assert answer.facts["device"] == "CPU"
    assert answer.facts["wanted_bytes"] >= 2**30 * 2 * 2 * 256


def test_weights_that_do_not_fit_without_mmap(refused, models, tmp_path):
    """The file claims a petabyte and is sparse: nothing is read before it is refused."""
    path = tmp_path / "huge.gguf"
    path.write_bytes((models / "speaker.gguf").read_bytes())
    with path.open("r+b") as file:
        file.truncate(2**43)
    answer = refused(path, use_mmap=False)
    assert answer.reason is Reason.OUT_OF_MEMORY
    assert answer.facts == {"device": "CPU", "wanted_bytes": 2**43}


@pytest.mark.parametrize("asked", [{"n_ctx": 0}, {"n_ctx": 2**40}, {"n_threads": 0}, {"port": 70000}])
def test_a_request_that_makes_no_sense(refused, models, asked):
    assert refused(models / "speaker.gguf", **asked).reason is Reason.BAD_REQUEST


@pytest.mark.parametrize("line", [b"hello\n", b"[]\n", b"{}\n", b'{"model_path": "x", "colour": "red"}\n'])
def test_a_line_that_is_no_request(line):
    child = start_child()
    child.stdin.write(line)
    child.stdin.flush()
    event = decode_event(child.stdout.readline())
    assert isinstance(event, Refused)
    assert event.reason is Reason.BAD_REQUEST
    child.communicate(timeout=5)


def test_a_port_that_is_taken(refused, models):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = refused(models / "speaker.gguf", port=port)
    assert answer.reason is Reason.PORT_TAKEN
    assert answer.facts == {"port": port}


def test_an_endpoint_where_nobody_listens(refused, models):
    with socket.create_server(("127.0.0.1", 0)) as unheard:
        endpoint = f"127.0.0.1:{unheard.getsockname()[1]}"
    answer = refused(models / "speaker.gguf", rpc_endpoints=(endpoint,), n_gpu_layers=1)
    assert answer.reason is Reason.RPC_UNREACHABLE
    assert answer.facts == {"endpoint": endpoint}


@pytest.mark.parametrize("endpoint", ["nonsense", "127.0.0.1:", "127.0.0.1:99999", ":"])
def test_an_endpoint_that_is_none(refused, models, endpoint):
    answer = refused(models / "speaker.gguf", rpc_endpoints=(endpoint,))
    assert answer.reason is Reason.RPC_UNREACHABLE
    assert answer.facts == {"endpoint": endpoint}


@pytest.mark.slow
def test_an_endpoint_that_speaks_something_else(refused, models, speaker):
    """llama.cpp aborts the process when a peer talks nonsense, and waits for ever when it is silent."""
    answer = refused(models / "random.gguf", rpc_endpoints=(f"127.0.0.1:{speaker.ready.port}",))
    assert answer.reason is Reason.RPC_UNREACHABLE


@pytest.mark.slow
def test_an_endpoint_that_is_silent(refused, models):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = refused(models / "speaker.gguf", rpc_endpoints=(f"127.0.0.1:{silent.getsockname()[1]}",))
    assert answer.reason is Reason.RPC_UNREACHABLE


def test_a_kind_of_cache_that_does_not_fit_the_model(refused, tmp_path):
    """q8_0 keeps numbers in groups of 32; these heads have 16."""
    model = tiny_gguf.random_model(tmp_path / "narrow.gguf", shape=tiny_gguf.Shape(heads=16))
    answer = refused(model, kv_type="q8_0")
    assert answer.reason is Reason.BAD_REQUEST
    assert "q8_0" in answer.detail


def test_a_file_that_says_nothing_of_its_training_context(start_worker, tmp_path):
    worker = start_worker(tiny_gguf.speaking_model(tmp_path / "odd.gguf", context=0), n_ctx=512)
    assert worker.ready.n_ctx_train == 0
    assert worker.ready.notices == ()
    assert worker.says("count", max_tokens=1) == " one"


def test_a_build_without_rpc_says_so(monkeypatch, models):
    monkeypatch.setattr(devices, "supports_rpc", lambda: False)
    asked = LoadRequest(str(models / "speaker.gguf"), rpc_endpoints=("10.0.0.5:1",))
    with pytest.raises(LoadRefused) as caught:
        load(asked, EngineLog(), lambda _: None)
    assert caught.value.refused == Refused(
        Reason.RPC_UNREACHABLE, "this build of the engine has no RPC", {"endpoint": "10.0.0.5:1"}
    )


def test_another_layout_of_the_library_is_refused(monkeypatch):
    assert capi.layout_complaint() is None
    monkeypatch.setitem(capi._SIZES, "llama_batch", 57)
    assert "llama_batch 56 bytes, not 57" in capi.layout_complaint()


OOM_LOGS = [
    ("alloc_tensor_range: failed to allocate CPU buffer of size 123456", {"device": "CPU", "wanted_bytes": 123456}),
    (
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9765.62 MiB on device 0: cudaMalloc failed: out of "
        "memory\nalloc_tensor_range: failed to allocate CUDA0 buffer of size 10240000000",
        {"device": "CUDA0", "wanted_bytes": 10240000000},
    ),
    ("ggml_vulkan: Device memory allocation failed: out of memory", {"device": None, "wanted_bytes": None}),
]


@pytest.mark.parametrize(("said", "facts"), OOM_LOGS)
def test_out_of_memory_has_a_device_and_a_size_where_the_log_tells(models, said, facts):
    log = EngineLog()
    log.lines.extend(Line(Level.ERROR, text) for text in said.split("\n"))
    refused = refusal_of_load([models / "speaker.gguf"], log)
    assert refused.reason is Reason.OUT_OF_MEMORY
    assert refused.facts == facts


def test_a_missing_part_of_a_model_in_several_files(models):
    log = EngineLog()
    missing = "/models/big-00002-of-00003.gguf"
    log.lines.append(Line(Level.ERROR, f"llama_model_loader: failed to load GGUF split from {missing}"))
    refused = refusal_of_load([models / "speaker.gguf"], log)
    assert refused.reason is Reason.MISSING_FILE
    assert refused.facts == {"path": missing}


def test_partial_lines_of_the_log_are_put_together():
    log = EngineLog()
    for level, text in ((2, b"loading "), (5, b"tensors\nnext"), (5, b" line\n"), (4, b"bad\n"), (1, b"debug\n")):
        log._hear(level, text, None)
    assert [(line.level, line.text) for line in log.lines] == [
        (Level.INFO, "loading tensors"),
        (Level.INFO, "next line"),
        (Level.ERROR, "bad"),
    ]


def test_loading_is_told_while_it_lasts(start_worker, models):
    *before, _ = start_worker(models / "random.gguf").events
    assert all(isinstance(event, Loading) for event in before)
    fractions = [event.fraction for event in before]
    assert fractions
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize(
    ("said", "is_so"),
    [
        ("resolve_fused_ops: Flash Attention not supported, set to disabled", True),
        ("llama_init_from_model: flash_attn is not compatible with Grok - forcing off", True),
        ("resolve_fused_ops: Flash Attention enabled", False),
        ("llama_context: flash_attn            = auto", False),
    ],
)
def test_a_model_that_goes_without_flash_attention_is_noticed(said, is_so):
    assert says_no_flash_attention(["load_tensors: done", said]) is is_so


def test_a_quantized_cache_without_flash_attention_is_refused_by_its_settings(models):
    log = EngineLog()
    said = "failed to initialize the context: quantized V cache was requested, but this requires Flash Attention"
    log.lines.append(Line(Level.ERROR, said))
    refused = refusal_of_load([models / "speaker.gguf"], log)
    assert refused.reason is Reason.BAD_REQUEST
    assert refused.facts == {"kv_type": None}


@pytest.mark.parametrize("field", ["model_path", "gpus", "rpc_endpoints", "n_ctx", "n_threads", "split"])
def test_a_field_of_another_kind_is_a_bad_request(models, field):
    fields = {**json.loads(encode_request(LoadRequest(str(models / "speaker.gguf")))), field: [{}]}
    child = start_child()
    child.stdin.write(json.dumps(fields).encode() + b"\n")
    child.stdin.flush()
    assert decode_event(child.stdout.readline()).reason is Reason.BAD_REQUEST
    child.communicate(timeout=5)
