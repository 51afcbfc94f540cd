"""A client of the OpenAI protocol: one request, its events, and a hang-up that ends it at once.

The standard library's HTTP client is enough for a loopback socket and costs the window neither start time nor memory.
"""

import http.client
import json
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from carryon.base.errors import AppError, BadInput, ContextFull, EngineCrashed, EngineSilent

log = logging.getLogger(__name__)
SILENCE_S = 30.0  # our engine says something at least every 0.1 s; half a minute of nothing is a hang
_LONGEST_LINE = 1 << 22
_TextOf = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; None leaves the engine's default."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False


@dataclass(frozen=True)
class Turn:
    """One message on the wire."""

    role: str
    content: str


@dataclass(frozen=True)
class TextDelta:
    """A piece of the answer, whole characters only."""

    text: str


@dataclass(frozen=True)
class PromptProgress:
    """How much of the prompt is decoded, in tokens."""

    done: int
    total: int


class Ending(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    CONTEXT = "context"


@dataclass(frozen=True)
class Usage:
    """Tokens as OpenAI counts them; cached ones were not decoded again."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True)
class Timings:
    """Milliseconds and tokens as the engine measured them; prompt_n counts only newly decoded tokens."""

    prompt_n: int
    prompt_ms: float
    predicted_n: int
    predicted_ms: float
    cached_n: int


@dataclass(frozen=True)
class Finished:
    """The answer is complete. A foreign server may leave the timings out."""

    ending: Ending
    usage: Usage | None
    timings: Timings | None


Event = TextDelta | PromptProgress | Finished


class EngineClient:
    """Speaks to one server. Every call opens its own connection, so it may be shared between threads."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self.host, self.port, self._token = host, port, token
        self.was_ended = False  # the person ended the engine: an answer that breaks off then was stopped

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def chat(self, turns: tuple[Turn, ...], sampling: Sampling) -> Generator[Event | None, None, None]:
        """Streams an answer; None is a heartbeat. Closing the generator hangs up, which stops the engine.

        Raises ContextFull, BadInput, EngineCrashed or EngineSilent.
        """
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        yield from self._stream("/v1/chat/completions", {"messages": messages, **_body(sampling)}, _chat_text)

    def complete(self, prompt: str | list[int], sampling: Sampling) -> Generator[Event | None, None, None]:
        """Streams the continuation of a text or of token ids, without a template."""
        yield from self._stream("/v1/completions", {"prompt": prompt, **_body(sampling)}, _completion_text)

    def tokenize(self, text: str, *, add_special: bool = False) -> list[int]:
        """The model's token ids of a text."""
        return list(self._ask("POST", "/tokenize", {"content": text, "add_special": add_special})["tokens"])

    def props(self) -> dict[str, Any]:
        """What the server says about itself: JSON as it came."""
        return self._ask("GET", "/props")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        with self._connection() as connection:
            response = self._send(connection, method, path, body)
            answer: dict[str, Any] = json.loads(response.read())
            return answer

    def _stream(self, path: str, body: dict[str, Any], text_of: _TextOf) -> Generator[Event | None, None, None]:
        with self._connection() as connection:
            response = self._send(
                connection, "POST", path, {**body, "stream": True, "stream_options": {"include_usage": True}}
            )
            yield from _events(_sse(response), text_of)

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=SILENCE_S)
        try:
            yield connection
        except TimeoutError as error:
            raise EngineSilent("The engine does not answer.", "Stop it and load the model again.") from error
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise EngineCrashed("The server said something that is not understood.", "Load the model again.") from error
        except (OSError, http.client.HTTPException) as error:
            raise EngineCrashed("The connection to the engine broke.", "Load the model again.") from error
        finally:
            connection.close()

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, Any] | None
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
        response = connection.getresponse()
        if response.status != 200:
            raise _error(response.status, response.read(_LONGEST_LINE))
        return response


def _body(sampling: Sampling) -> dict[str, Any]:
    """The settings that were chosen; 0 is a choice. What only our engine knows is sent only where it is wanted."""
    chosen = {name: value for name, value in vars(sampling).items() if value is not None}
    del chosen["stop"], chosen["ignore_eos"]
    stop = {"stop": list(sampling.stop)} if sampling.stop else {}
    return {**chosen, **stop, **({"ignore_eos": True} if sampling.ignore_eos else {})}


def _sse(response: http.client.HTTPResponse) -> Iterator[str]:
    """The data of every server-sent event; a comment, which our engine sends as a heartbeat, keeps its colon."""
    while line := response.readline(_LONGEST_LINE):
        if line.startswith(b"data:"):
            yield line[5:].strip().decode("utf-8")
        elif line.startswith(b":"):
            yield line.decode("utf-8").strip()
    raise http.client.IncompleteRead(b"")


def _events(data: Iterator[str], text_of: _TextOf) -> Generator[Event | None, None, None]:
    finished = Finished(Ending.STOP, None, None)
    for item in data:
        if item.startswith(":"):
            yield _prompt_progress(item)
            continue
        if item == "[DONE]":
            yield finished
            return
        chunk = json.loads(item)
        if "error" in chunk:
            raise _error(500, item.encode())
        choices = chunk.get("choices") or [{}]
        if text := text_of(choices[0]):
            yield TextDelta(text)
        finished = _finished(chunk, choices[0], finished)


def _prompt_progress(comment: str) -> PromptProgress | None:
    """Reads ': prompt 512/2048'."""
    words = comment.split()
    if len(words) == 3 and words[1] == "prompt":
        done, _, total = words[2].partition("/")
        return PromptProgress(int(done), int(total))
    return None


def _finished(chunk: dict[str, Any], choice: dict[str, Any], before: Finished) -> Finished:
    """What this chunk adds to the ending: servers send reason, usage and timings together or apart."""
    ending, usage, timings = before.ending, before.usage, before.timings
    if reason := choice.get("finish_reason"):
        ending = Ending.LENGTH if reason == "length" else Ending.STOP
    if chunk.get("context_full") or choice.get("context_full"):
        ending = Ending.CONTEXT
    if counted := chunk.get("usage"):
        cached = (counted.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        usage = Usage(counted["prompt_tokens"], counted["completion_tokens"], cached)
    if timed := chunk.get("timings"):
        timings = Timings(
            *(timed[name] for name in ("prompt_n", "prompt_ms", "predicted_n", "predicted_ms", "cached_n"))
        )
    return Finished(ending, usage, timings)


def _chat_text(choice: dict[str, Any]) -> str:
    return (choice.get("delta") or {}).get("content") or ""


def _completion_text(choice: dict[str, Any]) -> str:
    return choice.get("text") or ""


def _error(status: int, raw: bytes) -> AppError:
    """The server's error as ours."""
    try:
        error = json.loads(raw)["error"]
        message, code = str(error["message"]), error.get("code")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, code, error = f"The server answered with status {status}.", None, {}
    if code == "context_length_exceeded":
        n_prompt, n_ctx = int(error.get("n_prompt_tokens", 0)), int(error.get("n_ctx", 0))
        return ContextFull(
            f"This conversation needs {n_prompt:,} tokens, and the context holds {n_ctx:,}.",
            "Load the model with a longer context, or start a new chat.",
            n_prompt=n_prompt,
            n_ctx=n_ctx,
        )
    log.warning("the engine answered %s: %s", status, message)
    if status >= 500:
        return EngineCrashed(message, "Load the model again.")
    return BadInput(message)
