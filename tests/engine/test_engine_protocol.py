"""What crosses the pipe comes back as it went in."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carryon.base.errors import EngineError
from carryon.engine.protocol import (
    DeviceKind,
    DeviceMemory,
    KvType,
    Loading,
    LoadRequest,
    Planned,
    Ready,
    Reason,
    Refused,
    decode_answer,
    decode_event,
    decode_request,
    encode_answer,
    encode_event,
    encode_request,
)
from carryon.engine.reasons import Doing, crash, refusal

READY = Ready(
    port=8080,
    token="t",
    model_name="m",
    architecture="llama",
    n_layers=22,
    n_gpu_layers=23,
    n_ctx=4096,
    n_ctx_train=8192,
    has_chat_template=True,
    memory=(
        DeviceMemory("RPC0", "far away", DeviceKind.RPC, 1, 2, 3, 4),
        DeviceMemory("CPU", "here", DeviceKind.CPU, 9, 0, 0, 0, mapped_bytes=7),
    ),
    load_ms=12.5,
    notices=("said",),
)


@pytest.mark.parametrize("event", [Loading(0.5), READY, Refused(Reason.TRUNCATED, "why", {"expected_bytes": 3})])
def test_events(event):
    line = encode_event(event)
    assert line.count(b"\n") == 1
    assert decode_event(line) == event


def test_requests():
    request = LoadRequest(
        "/a b/ü.gguf", n_ctx=8192, n_gpu_layers=5, n_cpu_experts=3, gpus=("CUDA0", "CUDA1"), split=(0.25, 0.75),
        n_ubatch=256, n_parallel=4, n_threads=2, kv_type=KvType.Q8_0, use_mmap=False, rpc_endpoints=("a:1", "b:2"),
        host="::1", port=99, api_key="key", model_name="name",
    )  # fmt: skip
    assert decode_request(encode_request(request)) == request


@given(st.binary(max_size=80))
def test_noise_is_no_event(noise):
    with pytest.raises(EngineError):
        decode_event(noise)


def test_the_sum_of_a_device():
    assert READY.memory[0].total_bytes == 10


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_sentence_and_a_next_step(reason):
    words = refusal(Refused(reason, "detail"), LoadRequest("/models/name.gguf"))
    assert words.message.endswith(".")
    assert words.hint.endswith(".")
    assert "None" not in words.message


@pytest.mark.parametrize("exit_code", [1, -4, -6, -9, -11, 137, 3221225477, None])
def test_every_death_has_a_sentence_and_a_next_step(exit_code):
    for doing in Doing:
        words = crash(exit_code, (), doing)
        assert words.hint
        assert str(exit_code) not in words.message


PLANNED = Planned("llama.cpp 1", 4096, READY.memory)


@pytest.mark.parametrize("answer", [PLANNED, Refused(Reason.TRUNCATED, "x", {"actual_bytes": 1})])
def test_answers_of_a_planner_come_back_as_they_went(answer):
    line = encode_answer(answer)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_answer(line) == answer


@pytest.mark.parametrize("line", [b"", b"hello", b"[]", b"{}", b'{"event": "ready"}', b'{"event": "planned"}', b"\xff"])
def test_what_is_no_answer_of_a_planner_is_not_believed(line):
    with pytest.raises(EngineError):
        decode_answer(line)


@given(st.binary(max_size=200))
def test_no_line_breaks_the_reader_of_answers(line):
    with suppress(EngineError):
        decode_answer(line)
