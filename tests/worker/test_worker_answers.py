"""The shapes of answers, without an engine: what a stream says when things go wrong."""

import asyncio
import json

from carryon.worker.answers import Form, StreamedAnswer, whole_answer
from carryon.worker.news import Broken, Ended, Finish, Outbox, Text
from carryon.worker.sampling import Sampling
from carryon.worker.scheduler import Ask, Generation

ENDED = Ended(Finish.STOP, False, n_prompt=3, n_cached=4, n_predicted=2, prompt_ms=1.5, predicted_ms=2.5)


class Line:
    """A scheduler that is told who gave up."""

    def __init__(self):
        self.cancelled = []

    def cancel(self, generation):
        self.cancelled.append(generation)


class Client:
    """The other end of an ASGI connection; hangs up after this many bodies."""

    def __init__(self, bodies=1000):
        self.sent = []
        self._bodies = bodies
        self._gone = asyncio.Event()

    async def receive(self):
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)
        if len(self.sent) > self._bodies:
            self._gone.set()

    @property
    def text(self):
        return b"".join(message.get("body", b"") for message in self.sent).decode()


def streamed(*news, is_chat=True):
    """Everything that a client reads of these news, and the line that it stood in."""

    async def run():
        client, line = Client(), Line()
        generation = Generation(Ask([1], Sampling()), Outbox(asyncio.get_running_loop()))
        for one in news:
            generation.outbox.put(one)
        await StreamedAnswer(Form("tiny", is_chat), generation, line)({}, client.receive, client.send)
        return client, line

    return asyncio.run(run())


def data_of(client):
    return [json.loads(line[6:]) for line in client.text.splitlines() if line.startswith("data: {")]


def test_a_stream_that_breaks_says_so_in_the_shape_of_an_error():
    client, _ = streamed(Text("half"), Broken("The engine could not go on."))
    assert data_of(client)[-1]["error"]["message"] == "The engine could not go on."
    assert client.text.endswith("data: [DONE]\n\n")


def test_a_plain_answer_that_breaks_is_a_500():
    async def run():
        client, line = Client(), Line()
        generation = Generation(Ask([1], Sampling()), Outbox(asyncio.get_running_loop()))
        generation.outbox.put(Broken("The engine could not go on."))
        return await whole_answer(Form("tiny", True), generation, line, client.receive)

    response = asyncio.run(run())
    assert response.status_code == 500
    assert json.loads(response.body)["error"]["type"] == "server_error"


def test_text_that_json_must_escape_arrives_as_it_was():
    text = 'say "hi"\n\r\t\\ \u2028 🙂 \x00 \x7f'
    client, _ = streamed(Text(text), ENDED)
    assert data_of(client)[1]["choices"][0]["delta"]["content"] == text


def test_an_event_is_one_line():
    client, _ = streamed(Text("a\nb\r\nc\u2028d"), ENDED)
    for event in client.text.split("\n\n"):
        assert "\n" not in event
        assert "\r" not in event


def test_however_a_stream_ends_the_engine_is_told():
    _, line = streamed(Text("x"), ENDED)
    assert len(line.cancelled) == 1


def test_a_full_context_is_in_the_last_chunk():
    client, _ = streamed(Ended(Finish.LENGTH, True, 1, 0, 1, 1, 1))
    assert data_of(client)[-1]["choices"][0] == {
        "index": 0, "delta": {}, "finish_reason": "length", "context_full": True,
    }


def test_a_completion_stream_has_no_opening():
    client, _ = streamed(Text("x"), ENDED, is_chat=False)
    assert [event["choices"][0]["text"] for event in data_of(client)] == ["x", ""]


def test_the_figures():
    client, _ = streamed(ENDED)
    assert data_of(client)[-1]["usage"] == {
        "prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4},
    }
    assert data_of(client)[-1]["timings"] == {
        "prompt_n": 3, "prompt_ms": 1.5, "predicted_n": 2, "predicted_ms": 2.5, "cached_n": 4,
    }
