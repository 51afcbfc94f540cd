"""Requests that are wrong are told what is wrong with them, and none of them is ever a 500."""

import json

import pytest
from fakes.real_worker import question
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CHAT, COMPLETE = "/v1/chat/completions", "/v1/completions"


def refused(speaker, path, body):
    answer = speaker.post(path, body)
    assert answer.status == 400, answer.raw
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["message"].endswith(".")
    return answer.error


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1), ("temperature", "hot"), ("temperature", True), ("temperature", [1]),
        ("temperature", 10**400), ("top_p", 1.5), ("top_p", -1), ("min_p", 2), ("top_k", 1.5), ("top_k", -2),
        ("top_k", 2**40), ("max_tokens", 0), ("max_tokens", -5), ("max_tokens", "many"), ("max_tokens", 2**40),
        ("max_completion_tokens", 0), ("seed", 1.5), ("seed", "x"), ("seed", 2**70), ("frequency_penalty", 3),
        ("presence_penalty", -3), ("repeat_penalty", 0), ("repeat_penalty", -1), ("stop", 5), ("stop", [""]),
        ("stop", ["x"] * 17), ("stop", [None]), ("stop", ["x" * 1001]), ("stop", {}), ("stream", "yes"),
        ("stream", 1), ("ignore_eos", "no"), ("model", 7), ("stream_options", []), ("messages", None),
        ("messages", []), ("messages", "hello"), ("messages", {}),
    ],
)
def test_a_bad_value_is_named(speaker, field, value):
    error = refused(speaker, CHAT, {**question("x"), field: value})
    assert error["param"] == field
    assert field in error["message"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"5", b"[" * 100_000, b'{"messages": NaN}'])
def test_a_body_that_is_no_json_object(speaker, raw):
    assert refused(speaker, CHAT, raw)["code"] in ("invalid_json", "invalid_value")


@pytest.mark.parametrize("raw", [b'{"prompt": "x", "temperature": NaN}', b'{"prompt": "x", "top_p": Infinity}'])
def test_numbers_that_are_none(speaker, raw):
    assert refused(speaker, COMPLETE, raw)["param"] in ("temperature", "top_p")


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ("hello", "messages[0]"), ({}, "messages[0].role"), ({"role": "user"}, "messages[0].content"),
        ({"role": "king", "content": "x"}, "messages[0].role"), ({"role": 5, "content": "x"}, "messages[0].role"),
        ({"role": ["user"], "content": "x"}, "messages[0].role"),
        ({"role": "user", "content": 5}, "messages[0].content"),
        ({"role": "user", "content": None}, "messages[0].content"),
        ({"role": "user", "content": ["x"]}, "messages[0].content"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "messages[0].content"),
        ({"role": "tool", "content": "x"}, "messages[0]"),
        ({"role": "assistant", "content": "", "tool_calls": [{}]}, "messages[0]"),
    ],
)
def test_a_bad_message_is_named(speaker, message, where):
    assert refused(speaker, CHAT, {"messages": [message]})["param"] == where


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "function"}]), ("tool_choice", "required"), ("functions", [{}]), ("logprobs", True),
        ("top_logprobs", 5), ("n", 2), ("n", 0), ("response_format", {"type": "json_object"}),
        ("response_format", "json"), ("logit_bias", {"5": 1}), ("grammar", "root ::= x"),
        ("chat_template_kwargs", {"enable_thinking": False}),
    ],
)
def test_what_would_change_the_meaning_is_refused_and_not_ignored(speaker, field, value):
    error = refused(speaker, CHAT, {**question("x"), field: value})
    assert error["code"] == "unsupported_parameter"
    assert error["param"] == field


@pytest.mark.parametrize(
    "harmless",
    [
        {"user": "me"}, {"metadata": {"a": 1}}, {"n": 1}, {"tools": []}, {"tool_choice": "auto"}, {"logprobs": False},
        {"response_format": {"type": "text"}}, {"stop": None}, {"seed": None}, {"temperature": None}, {"stop": []},
        {"stream_options": {"include_usage": True}}, {"store": False}, {"model": "whatever"}, {"seed": -1},
        {"top_k": -1}, {"max_tokens": None}, {"parallel_tool_calls": True},
    ],
)
def test_what_says_nothing_is_no_obstacle(speaker, harmless):
    asked = {**question("x", max_tokens=1), **harmless}
    assert speaker.post(CHAT, asked).status == 200


@pytest.mark.parametrize("content", [[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"])
def test_text_parts_are_one_text(speaker, content):
    asked = speaker.chat([{"role": "user", "content": content}], max_tokens=1)
    assert asked["usage"]["prompt_tokens"] == speaker.chat("a\nb", max_tokens=1)["usage"]["prompt_tokens"]


@pytest.mark.parametrize("prompt", [None, 5, "", [], [-1], [10**9], [1.5], [True], ["a", "b"], [[1], [2]], {}])
def test_a_bad_prompt_is_named(speaker, prompt):
    assert refused(speaker, COMPLETE, {"prompt": prompt})["param"] == "prompt"


@pytest.mark.parametrize("prompt", [" nine", [" nine"]])
def test_a_batch_of_one_is_no_batch(speaker, prompt):
    assert speaker.complete(prompt)["choices"][0]["text"] == " ten"


@pytest.mark.parametrize(("field", "value"), [("echo", True), ("best_of", 2), ("suffix", "x"), ("logprobs", 3)])
def test_completions_refuse_what_they_cannot_do(speaker, field, value):
    assert refused(speaker, COMPLETE, {"prompt": "x", field: value})["param"] == field


@pytest.mark.parametrize("text", ["", "hello", "naïve 🙂", " one two", "a\x00b", "\ud800 lone"])
def test_tokens_are_text_and_back(speaker, text):
    tokens = speaker.tokens(text)
    back = speaker.post("/detokenize", {"tokens": tokens}).json["content"]
    assert back == text.encode("utf-8", "replace").decode()


def test_special_tokens_are_added_and_parsed_only_on_demand(speaker):
    assert len(speaker.tokens("<|im_end|>")) == 10
    assert len(speaker.tokens("<|im_end|>", parse_special=True)) == 1


@pytest.mark.parametrize(("path", "body"), [("/tokenize", {"content": 5}), ("/detokenize", {"tokens": "x"}),
                                            ("/tokenize", {"content": "x", "add_special": "y"})])
def test_bad_token_requests(speaker, path, body):
    refused(speaker, path, body)


def test_nothing_is_there(speaker):
    answer = speaker.get("/v1/nothing")
    assert answer.status == 404
    assert answer.error["code"] == "not_found"


def test_the_wrong_method(speaker):
    answer = speaker.get(CHAT)
    assert answer.status == 405
    assert answer.error["code"] == "method_not_allowed"


def test_a_body_that_is_absurdly_large(start_worker, models):
    worker = start_worker(models / "speaker.gguf", n_ctx=256)
    answer = worker.post("/tokenize", b" " * (65 << 20))
    assert answer.status == 400
    assert answer.error["code"] == "request_too_large"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([
    "messages", "prompt", "temperature", "top_p", "top_k", "min_p", "max_tokens", "stop", "seed", "n", "stream_options",
    "model", "tools", "response_format", "frequency_penalty", "presence_penalty", "repeat_penalty", "ignore_eos",
    "logit_bias", "stream", "content", "tokens", "best_of",
])
MESSAGE = st.fixed_dictionaries({}, optional={"role": st.sampled_from(["user", "system", "assistant"]) | JSON,
                                              "content": st.text(max_size=20) | JSON, "name": JSON})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from([CHAT, COMPLETE, "/tokenize", "/detokenize"]),
    changes=st.dictionaries(FIELDS, JSON, max_size=3),
    messages=st.none() | st.lists(MESSAGE, max_size=3),
)
def test_no_body_is_ever_a_500(speaker, path, changes, messages):
    body = {**question("hi", max_tokens=2), "prompt": "hi", "content": "hi", "tokens": [1], **changes}
    if messages is not None:
        body["messages"] = messages
    raw = json.dumps(body).encode("utf-8", "replace")
    assert speaker.post(path, raw).status in (200, 400)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 90), noise=st.binary(max_size=4))
def test_no_damaged_bytes_are_ever_a_500(speaker, at, noise):
    raw = json.dumps({**question("hi"), "max_tokens": 2, "stop": ["a"], "seed": 3}).encode()
    assert speaker.post(CHAT, raw[:at] + noise + raw[at + len(noise) :]).status in (200, 400)
