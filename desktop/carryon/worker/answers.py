"""Answers as OpenAI clients read them: one JSON object, or a stream of server-sent events."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from carryon.worker.news import Broken, Ended, News, PromptProgress, Text
from carryon.worker.scheduler import Generation, Scheduler
from carryon.worker.schema import error_body

# A client that waits for the first word is woken this often, so that it can always be stopped.
_HEARTBEAT_S = 0.1
_DONE = b"data: [DONE]\n\n"
_EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


@dataclass(frozen=True)
class Form:
    """The shape of one answer: chat or plain completion, with its id and the model's name."""

    model_name: str
    is_chat: bool
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def opening(self) -> bytes:
        """The first event of a chat says who speaks."""
        return self._event(self._choice({"role": "assistant", "content": ""})) if self.is_chat else b""

    def words(self, text: str) -> bytes:
        return self._event(self._choice({"content": text} if self.is_chat else text))

    def closing(self, ended: Ended) -> bytes:
        choice = self._choice({} if self.is_chat else "", str(ended.finish)) | _fullness(ended)
        return self._event(choice, **_figures(ended))

    def whole(self, text: str, ended: Ended) -> dict[str, Any]:
        said: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if self.is_chat else {"text": text}
        choice = {"index": 0, **said, "finish_reason": str(ended.finish), **_fullness(ended)}
        return self._envelope("chat.completion" if self.is_chat else "text_completion", choice) | _figures(ended)

    def _choice(self, said: Any, finish: str | None = None) -> dict[str, Any]:
        return {"index": 0, "delta" if self.is_chat else "text": said, "finish_reason": finish}

    def _event(self, choice: dict[str, Any], **more: Any) -> bytes:
        kind = "chat.completion.chunk" if self.is_chat else "text_completion"
        return _data(self._envelope(kind, choice) | more)

    def _envelope(self, kind: str, choice: dict[str, Any]) -> dict[str, Any]:
        prefix = "chatcmpl-" if self.is_chat else "cmpl-"
        return {"id": prefix + self.id, "object": kind, "created": self.created, "model": self.model_name,
                "choices": [choice]}


@dataclass(frozen=True)
class StreamedAnswer:
    """An ASGI response that sends words as they come, and comments while there are none."""

    form: Form
    generation: Generation
    scheduler: Scheduler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with _wanted(self.generation, self.scheduler, receive):
            await send({"type": "http.response.start", "status": 200, "headers": _EVENTS})
            async for events in self._events():
                await send({"type": "http.response.body", "body": events, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def _events(self) -> AsyncIterator[bytes]:
        yield self.form.opening()
        comment = b": waiting\n\n"
        while True:
            arrived = await self.generation.outbox.take(_HEARTBEAT_S)
            if not arrived:
                yield comment
            for news in arrived:
                match news:
                    case PromptProgress(done, total):
                        comment = b": prompt %d/%d\n\n" % (done, total)
                        yield comment
                    case Text(text):
                        comment = b": waiting\n\n"
                        yield self.form.words(text)
                    case Ended():
                        yield self.form.closing(news) + _DONE
                        return
                    case Broken(message):
                        yield _data(error_body(message, "server_error", "engine_failed")) + _DONE
                        return


async def whole_answer(form: Form, generation: Generation, scheduler: Scheduler, receive: Receive) -> JSONResponse:
    """Waits for the end of the answer and sends it in one piece."""
    words: list[str] = []
    async with _wanted(generation, scheduler, receive):
        while True:
            for news in await generation.outbox.take(_HEARTBEAT_S):
                if isinstance(news, Text):
                    words.append(news.text)
                elif isinstance(news, Ended | Broken):
                    return _last_word(form, "".join(words), news)


def _last_word(form: Form, text: str, news: News) -> JSONResponse:
    if isinstance(news, Ended):
        return JSONResponse(form.whole(text, news))
    assert isinstance(news, Broken)
    return JSONResponse(error_body(news.message, "server_error", "engine_failed"), 500)


@asynccontextmanager
async def _wanted(generation: Generation, scheduler: Scheduler, receive: Receive) -> AsyncIterator[None]:
    """While this lasts, a client that hangs up cancels the answer at once; so does any way out of it."""
    listener = asyncio.create_task(_hang_up(generation, scheduler, receive))
    try:
        yield
    finally:
        listener.cancel()
        scheduler.cancel(generation)


async def _hang_up(generation: Generation, scheduler: Scheduler, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scheduler.cancel(generation)


def _data(body: dict[str, Any]) -> bytes:
    """In ASCII, because clients cut lines at U+2028 and U+0085 too."""
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def _fullness(ended: Ended) -> dict[str, bool]:
    return {"context_full": True} if ended.is_context_full else {}


def _figures(ended: Ended) -> dict[str, Any]:
    n_prompt = ended.n_prompt + ended.n_cached
    return {
        "usage": {
            "prompt_tokens": n_prompt,
            "completion_tokens": ended.n_predicted,
            "total_tokens": n_prompt + ended.n_predicted,
            "prompt_tokens_details": {"cached_tokens": ended.n_cached},
        },
        "timings": {
            "prompt_n": ended.n_prompt,
            "prompt_ms": round(ended.prompt_ms, 3),
            "predicted_n": ended.n_predicted,
            "predicted_ms": round(ended.predicted_ms, 3),
            "cached_n": ended.n_cached,
        },
    }
