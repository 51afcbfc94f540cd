"""The paths of the OpenAI protocol, and the few of our own beside them."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from carryon.engine.protocol import Ready
from carryon.worker import schema
from carryon.worker.answers import Form, StreamedAnswer, whole_answer
from carryon.worker.capi import version
from carryon.worker.guard import Guard
from carryon.worker.llama import Model
from carryon.worker.news import Outbox
from carryon.worker.sampling import Sampling
from carryon.worker.scheduler import Ask, Generation, Scheduler
from carryon.worker.schema import Invalid, Wish, error_body
from carryon.worker.template import ChatTemplate, TemplateBroken, TemplateRefused

_MOST_BODY_BYTES = 64 << 20


class ContextLengthExceeded(Exception):
    """The prompt alone does not fit the context; both counts are in tokens."""

    def __init__(self, n_prompt: int, n_ctx: int) -> None:
        super().__init__()
        self.n_prompt = n_prompt
        self.n_ctx = n_ctx


@dataclass(frozen=True)
class Api:
    """What the paths need of a loaded model."""

    model: Model
    scheduler: Scheduler
    template: ChatTemplate
    template_stops: tuple[str, ...]
    defaults: Sampling
    ready: Ready
    created: int

    async def chat(self, request: Request) -> Response | StreamedAnswer:
        asked = schema.chat_request(await _body(request), self.defaults)
        prompt = await asyncio.to_thread(self.template.prompt, asked.messages)
        return await self._answer(request, prompt, asked.wish, self.template_stops, is_chat=True)

    async def complete(self, request: Request) -> Response | StreamedAnswer:
        """A prompt in text is the caller's own: control texts in it are meant."""
        asked = schema.completion_request(await _body(request), self.defaults, self.model.vocabulary.size)
        prompt: Sequence[int] | str = asked.prompt
        if isinstance(prompt, str):
            spell = self.model.vocabulary.tokens
            prompt = await asyncio.to_thread(spell, prompt, add_special=True, parse_special=True)
        if not prompt:
            raise Invalid("prompt must have at least one token.", "prompt")
        return await self._answer(request, prompt, asked.wish, (), is_chat=False)

    async def models(self, _request: Request) -> Response:
        one = {"id": self.ready.model_name, "object": "model", "created": self.created, "owned_by": "carryon"}
        return JSONResponse({"object": "list", "data": [one]})

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def props(self, _request: Request) -> Response:
        return JSONResponse({
            **{name: value for name, value in asdict(self.ready).items() if name not in ("token", "port")},
            "description": self.model.description,
            "size_bytes": self.model.size_bytes,
            "n_parameters": self.model.n_parameters,
            "n_vocab": self.model.vocabulary.size,
            "chat_template": self.template.source,
            "default_sampling": asdict(self.defaults),
            "engine": version(),
        })

    async def tokenize(self, request: Request) -> Response:
        asked = schema.tokenize_request(await _body(request))
        tokens = await asyncio.to_thread(
            self.model.vocabulary.tokens, asked.content,
            add_special=asked.add_special, parse_special=asked.parse_special,
        )
        return JSONResponse({"tokens": tokens})

    async def detokenize(self, request: Request) -> Response:
        tokens = schema.detokenize_request(await _body(request), self.model.vocabulary.size)
        return JSONResponse({"content": self.model.vocabulary.text(tokens, special=True)})

    async def _answer(
        self, request: Request, prompt: Sequence[int], wish: Wish, more_stops: tuple[str, ...], *, is_chat: bool
    ) -> Response | StreamedAnswer:
        if len(prompt) >= self.ready.n_ctx:
            raise ContextLengthExceeded(len(prompt), self.ready.n_ctx)
        ask = Ask(prompt, wish.sampling, wish.max_tokens, wish.stops + more_stops)
        generation = Generation(ask, Outbox(asyncio.get_running_loop()))
        form = Form(self.ready.model_name, is_chat)
        self.scheduler.submit(generation)
        if wish.is_streamed:
            return StreamedAnswer(form, generation, self.scheduler)
        return await whole_answer(form, generation, self.scheduler, request.receive)


def application(api: Api, token: str, host: str) -> ASGIApp:
    """The whole server, guarded."""
    routes = [
        Route("/v1/chat/completions", api.chat, methods=["POST"]),
        Route("/v1/completions", api.complete, methods=["POST"]),
        Route("/v1/models", api.models),
        Route("/health", api.health),
        Route("/props", api.props),
        Route("/tokenize", api.tokenize, methods=["POST"]),
        Route("/detokenize", api.detokenize, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes, exception_handlers=_HANDLERS), token, host)


async def _body(request: Request) -> bytes:
    """The whole body, unless it is absurdly large. Raises Invalid."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MOST_BODY_BYTES:
            raise Invalid("The request body is too large.", code="request_too_large")
        chunks.append(chunk)
    return b"".join(chunks)


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Invalid)
    more = {"param": error.field} if error.field else {}
    return JSONResponse(error_body(error.message, "invalid_request_error", error.code, **more), 400)


def _too_long(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ContextLengthExceeded)
    message = (
        f"The conversation has {error.n_prompt:,} tokens, and the context holds {error.n_ctx:,}. "
        "Shorten it, or load the model with a longer context."
    )
    return JSONResponse(error_body(message, "invalid_request_error", "context_length_exceeded",
                                   n_prompt_tokens=error.n_prompt, n_ctx=error.n_ctx), 400)


def _template_refused(_request: Request, error: Exception) -> Response:
    message = f"The model's chat template does not accept this conversation: {error}"
    return JSONResponse(error_body(message, "invalid_request_error", "template_refused"), 400)


def _template_broken(_request: Request, error: Exception) -> Response:
    message = f"The model's chat template cannot be used: {error}."
    return JSONResponse(error_body(message, "server_error", "template_failed"), 500)


def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        message = f"{request.url.path} does not take {request.method}."
        return JSONResponse(error_body(message, "invalid_request_error", "method_not_allowed"), 405)
    return JSONResponse(error_body(f"There is nothing at {request.url.path}.", "invalid_request_error", "not_found"),
                        error.status_code)


def _bug(_request: Request, _error: Exception) -> Response:
    return JSONResponse(error_body("Something went wrong inside the engine; its log has the details.",
                                   "server_error", "internal_error"), 500)


_HANDLERS: Any = {
    Invalid: _invalid,
    ContextLengthExceeded: _too_long,
    TemplateRefused: _template_refused,
    TemplateBroken: _template_broken,
    HTTPException: _not_here,
    Exception: _bug,
}
