"""The engine process: loads one model and serves it over HTTP until its parent's pipe ends.

    stdin   one LoadRequest line, then nothing; its end ends this process
    stdout  events as JSON lines (carryon.engine.protocol), nothing else
    stderr  the engine's log

The main thread owns every call of the engine; a second thread speaks HTTP.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import uvicorn

from carryon.engine.protocol import (
    Event,
    Loading,
    LoadRequest,
    Ready,
    Reason,
    Refused,
    decode_request,
    encode_event,
)
from carryon.worker import tie
from carryon.worker.capi import L
from carryon.worker.engine_log import EngineLog
from carryon.worker.loading import Loaded, load
from carryon.worker.memory import memory_per_device
from carryon.worker.refusals import LoadRefused
from carryon.worker.routes import Api, application
from carryon.worker.scheduler import Scheduler
from carryon.worker.schema import defaults_from_file
from carryon.worker.template import (
    PLAIN,
    PLAIN_STOPS,
    ChatTemplate,
    Message,
    Renderer,
    TemplateBroken,
    TemplateRefused,
)

_PROGRESS_S = 0.05
_LAST_PORT = 65535
_NO_TEMPLATE = "This model's file has no chat template, so a plain 'User: ... Assistant:' form is used."
_BAD_TEMPLATE = (
    "The chat template in this model's file cannot be used ({why}), so a plain 'User: ... Assistant:' form is used."
)
_SAMPLING_KEYS = ("temp", "top_k", "top_p", "min_p", "penalty_repeat")


def main() -> None:
    """Never returns while the parent lives, unless the model is refused."""
    out = tie.take_stdout()
    tie.die_quietly()
    line = tie.first_line()
    tie.end_with_parent()
    with contextlib.suppress(BrokenPipeError):
        try:
            _serve(_request(line), lambda event: _say(out, event))
        except LoadRefused as refusal:
            _say(out, refusal.refused)
    sys.stderr.flush()
    os._exit(1)  # not sys.exit: a GPU driver's clean-up at exit may abort, and nothing here needs saving


def _say(out: BinaryIO, event: Event) -> None:
    out.write(encode_event(event))


def _request(line: bytes) -> LoadRequest:
    try:
        return decode_request(line)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadRefused(Refused(Reason.BAD_REQUEST, f"the load request is not understood: {error}")) from error


def _serve(request: LoadRequest, say: Callable[[Event], None]) -> None:
    log = EngineLog()
    log.attach()
    L.llama_backend_init()
    listener = _listener(request.host, request.port)
    renderer = Renderer()
    loaded = load(request, log, _paced(lambda fraction: say(Loading(fraction))))
    template, template_notices = _template(loaded, renderer)
    ready = _ready(request, loaded, template, log, listener.getsockname()[1], template_notices)
    scheduler = Scheduler(loaded.model, loaded.context)
    defaults = defaults_from_file({key: loaded.model.metadata(key)
                                   for key in (f"general.sampling.{name}" for name in _SAMPLING_KEYS)})
    stops = () if ready.has_chat_template else PLAIN_STOPS
    api = Api(loaded.model, scheduler, template, stops, defaults, ready, int(time.time()))
    _start_http(api, ready.token, request.host, listener)
    say(ready)
    scheduler.run()


def _listener(host: str, port: int) -> socket.socket:
    """A socket that is bound before the long load, so that a taken port is known at once."""
    if not 0 <= port <= _LAST_PORT:
        raise LoadRefused(Refused(Reason.BAD_REQUEST, f"{port} is not a port number"))
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        # on Windows the same option would let two servers share a port
        option = socket.SO_REUSEADDR if os.name != "nt" else socket.SO_EXCLUSIVEADDRUSE  # type: ignore[attr-defined,unused-ignore]
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind(address)
        return listener
    except OSError as error:
        raise LoadRefused(Refused(Reason.PORT_TAKEN, f"{host}: {error}", {"port": port})) from error


def _paced(tell: Callable[[float], None]) -> Callable[[float], None]:
    """At most twenty a second, but always the first and the last."""
    last = 0.0

    def hear(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if fraction >= 1 or now - last >= _PROGRESS_S:
            last = now
            tell(fraction)

    return hear


def _template(loaded: Loaded, renderer: Renderer) -> tuple[ChatTemplate, tuple[str, ...]]:
    """The model's own template if it works for the shortest of conversations; else the plain one, and why."""
    vocabulary = loaded.model.vocabulary
    plain = ChatTemplate(PLAIN, vocabulary, renderer)
    source = loaded.model.chat_template
    if not source:
        return plain, (_NO_TEMPLATE,)
    own = ChatTemplate(source, vocabulary, renderer)
    try:
        own.prompt([Message("user", "hello")])
    except TemplateRefused:
        return own, ()  # it runs; what it accepts is its own affair
    except TemplateBroken as error:
        return plain, (_BAD_TEMPLATE.format(why=error),)
    return own, ()


def _ready(
    request: LoadRequest, loaded: Loaded, template: ChatTemplate, log: EngineLog, port: int, more: tuple[str, ...]
) -> Ready:
    model = loaded.model
    return Ready(
        port=port,
        token=request.api_key or secrets.token_urlsafe(32),
        model_name=request.model_name or Path(request.model_path).stem,
        architecture=model.architecture,
        n_layers=model.n_layers,
        n_gpu_layers=model.n_offloaded,
        n_ctx=loaded.context.n_ctx,
        n_ctx_train=model.n_ctx_train,
        has_chat_template=template.source == model.chat_template,
        memory=memory_per_device(loaded.model, loaded.context, loaded.devices, log.texts()),
        load_ms=loaded.load_ms,
        notices=loaded.notices + more,
    )


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the parent's pipe says when it is over."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _start_http(api: Api, token: str, host: str, listener: socket.socket) -> None:
    """Returns when the server answers."""
    config = uvicorn.Config(
        application(api, token, host), http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, date_header=False, timeout_keep_alive=75,
    )
    server = _Server(config)
    is_up = threading.Event()

    async def run() -> None:
        asyncio.get_running_loop().call_later(0, _watch_start, server, is_up)
        await server.serve(sockets=[listener])

    threading.Thread(target=lambda: asyncio.run(run()), name="http", daemon=True).start()
    is_up.wait()


def _watch_start(server: _Server, is_up: threading.Event) -> None:
    if server.started:
        is_up.set()
    else:
        asyncio.get_running_loop().call_later(0.001, _watch_start, server, is_up)


if __name__ == "__main__":
    main()
