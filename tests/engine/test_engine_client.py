"""The client reads our engine's stream and any other server's, and its errors are ours."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fakes import fake_engine
from hypothesis import given, settings
from hypothesis import strategies as st

from carryon.base.errors import AppError, BadInput, ContextFull, EngineCrashed
from carryon.base.jobs import drained
from carryon.engine.client import Ending, EngineClient, Finished, PromptProgress, Sampling, TextDelta, Turn
from carryon.engine.process import start
from carryon.engine.protocol import LoadRequest

GREEDY = Sampling(temperature=0)


@pytest.fixture
def engine(request, tmp_path):
    options = getattr(request, "param", {})
    engine = drained(start(LoadRequest("x", n_ctx=1024), tmp_path, fake_engine.command(**options)))
    yield engine
    engine.end()


def talk(client, text="one two three"):
    return [event for event in client.chat((Turn("user", text),), GREEDY) if event is not None]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_an_answer_streams_and_ends_with_its_figures(engine):
    events = talk(engine.client)
    assert text_of(events) == "one two three"
    assert isinstance(events[-1], Finished)
    assert events[-1].usage.completion_tokens == 3
    assert events[-1].timings.predicted_n == 3


@pytest.mark.parametrize("engine", [{"ending": "context"}, {"ending": "length"}], indirect=True)
def test_an_answer_says_why_it_ended(engine, request):
    wanted = request.node.callspec.params["engine"]["ending"]
    assert talk(engine.client)[-1].ending is Ending(wanted)


@pytest.mark.parametrize("engine", [{"first_token_ms": 350}], indirect=True)
def test_a_long_prompt_gives_heartbeats_with_its_progress(engine):
    assert PromptProgress(2, 3) in talk(engine.client)


@pytest.mark.parametrize("engine", [{"delay_ms": 50}], indirect=True)
def test_closing_the_stream_hangs_up(engine):
    stream = engine.client.chat((Turn("user", "word " * 500),), GREEDY)
    assert next(event for event in stream if isinstance(event, TextDelta))
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < 0.1


def test_a_full_context_comes_with_its_numbers(engine):
    with pytest.raises(ContextFull, match="holds 1,024") as full:
        talk(engine.client, " word" * 1500)
    assert (full.value.n_prompt, full.value.n_ctx) == (1500, 1024)


@pytest.mark.parametrize("engine", [{"crash_after": 2}], indirect=True)
def test_a_crash_in_the_middle_is_an_error_and_no_hang(engine):
    with pytest.raises(EngineCrashed):
        talk(engine.client)
    assert "crashed" in engine.crash(wait_s=2).message


def test_a_wrong_token_is_refused(engine):
    stranger = EngineClient("127.0.0.1", engine.ready.port, "guessed")
    with pytest.raises(BadInput, match="wrong token"):
        talk(stranger)


def test_nobody_there_is_said():
    with pytest.raises(EngineCrashed, match="connection"):
        talk(EngineClient("127.0.0.1", 9, "t"))


class _Canned(BaseHTTPRequestHandler):
    """Another server: it sends the bytes a test gave it."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.server.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.content)


@pytest.fixture(scope="module")
def other():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Canned)
    server.status, server.content = 200, b""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def canned(server, content, status=200):
    server.status, server.content = status, content
    return talk(EngineClient("127.0.0.1", server.server_address[1], "t"))


@pytest.mark.parametrize(
    ("sampling", "sent"),
    [
        (Sampling(), {}),
        (Sampling(temperature=0), {"temperature": 0}),
        (Sampling(max_tokens=0, seed=0), {"max_tokens": 0, "seed": 0}),
        (Sampling(stop=("a", "b"), ignore_eos=True), {"stop": ["a", "b"], "ignore_eos": True}),
    ],
)
def test_every_setting_that_was_chosen_is_sent_zero_too(other, sampling, sent):
    other.status, other.content = 200, b"data: [DONE]\n\n"
    list(EngineClient("127.0.0.1", other.server_address[1], "t").chat((Turn("user", "x"),), sampling))
    asked = {name: value for name, value in other.asked.items() if name not in ("messages", "stream", "stream_options")}
    assert asked == sent


def test_a_server_without_timings_is_understood(other):
    content = (
        b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\ndata: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
        b'data: {"choices":[{"delta":{},"finish_reason":"length"}]}\n\n'
        b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\ndata: [DONE]\n\n'
    )
    events = canned(other, content)
    assert text_of(events) == "Hi"
    assert (events[-1].ending, events[-1].usage.prompt_tokens, events[-1].timings) == (Ending.LENGTH, 3, None)


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"data: {broken\n\n", 200, EngineCrashed),
        (b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n', 200, EngineCrashed),
        (b'data: {"error":{"message":"no more"}}\n\n', 200, EngineCrashed),
        (b"<html>Bad gateway</html>", 502, EngineCrashed),
        (b'{"error":"just text"}', 400, BadInput),
        (b'{"error":{"message":"temperature must not be negative"}}', 400, BadInput),
    ],
)
def test_a_server_that_goes_wrong_raises_one_of_our_errors(other, content, status, kind):
    with pytest.raises(kind):
        canned(other, content, status)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=30), st.sampled_from([b'data: {"choices":[null]}\n', b"data: 3\n", b"data: {}\n"]))
    )
)
def test_no_stream_raises_anything_but_ours(other, lines):
    try:
        canned(other, b"\n".join(lines))
    except AppError:
        return
