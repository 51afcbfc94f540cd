"""An engine without a model: a process that speaks the real protocol (pipe, HTTP, SSE) and says what it is told.

    host = ModelHost(home, settings, runner, engine_command=fake_engine.command(delay_ms=10, text="One two three"))

A question that begins with "say: " is answered with its rest; every other with `text`, or by echoing the question.
Tokens are words with the space before them. Nothing of an engine is imported but the protocol's codec.
"""

import argparse
import json
import os
import re
import secrets
import signal
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from carryon.engine.protocol import (
    DeviceKind,
    DeviceMemory,
    Loading,
    Ready,
    Reason,
    Refused,
    decode_request,
    encode_event,
)

HEARTBEAT_S = 0.1


def command(**options):
    """The command line of a fake engine; options are those of `_arguments` with underscores, None is left out."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
    return (sys.executable, "-P", str(Path(__file__).resolve()), *words)


def main():
    options = _arguments().parse_args()
    request = decode_request(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_pipe, daemon=True).start()
    _load(options)
    server = ThreadingHTTPServer((request.host, request.port), _Handler)
    server.daemon_threads = True
    server.options, server.request = options, request
    server.token = request.api_key or secrets.token_urlsafe(16)
    server.said = []  # the token counts of earlier prompts: what a prefix cache would hold
    _tell(_ready(server))
    server.serve_forever()


def _arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", help="the answer; default: the question again")
    parser.add_argument("--delay-ms", type=float, default=0, help="between two tokens")
    parser.add_argument("--first-token-ms", type=float, default=0)
    parser.add_argument("--load-ms", type=float, default=0)
    parser.add_argument("--hang-loading", type=int, default=0, help="1: loading never ends")
    parser.add_argument("--refuse", help="a Reason; facts as JSON in --facts")
    parser.add_argument("--facts", default="{}")
    parser.add_argument("--crash-loading", help="a signal's name, e.g. SIGABRT")
    parser.add_argument("--crash-after", type=int, help="tokens, then --crash-signal")
    parser.add_argument("--crash-signal", default="SIGSEGV")
    parser.add_argument("--crash-once", help="a file: when it exists there is no crash; the crash makes it")
    parser.add_argument("--silent-after", type=int, help="tokens, then nothing at all")
    parser.add_argument("--ending", default="stop", choices=("stop", "length", "context"))
    parser.add_argument("--gpu-layers", type=int, help="what was really offloaded; default: as asked")
    parser.add_argument("--n-layers", type=int, default=32)
    parser.add_argument("--notice", help="what the load did differently, in a sentence")
    return parser


def _end_with_the_pipe():
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


def _load(options):
    if options.refuse:
        _tell(Refused(Reason(options.refuse), "as the test wished", json.loads(options.facts)))
        sys.exit(1)
    for step in range(5):
        _tell(Loading(step / 5))
        time.sleep(options.load_ms / 5000)
    if options.crash_loading:
        _die(options.crash_loading)
    while options.hang_loading:
        time.sleep(1)


def _die(name):
    print(f"fake engine: dying by {name} as the test wished", file=sys.stderr, flush=True)
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(60)


def _tell(event):
    sys.stdout.buffer.write(encode_event(event))
    sys.stdout.buffer.flush()


def _ready(server):
    request, options = server.request, server.options
    on_gpu = request.n_gpu_layers if options.gpu_layers is None else options.gpu_layers
    share = on_gpu / (options.n_layers + 1)
    weights = int(5e9 * (1 - share))
    mapped = weights if request.use_mmap else 0
    cpu = DeviceMemory("CPU", "Fake CPU", DeviceKind.CPU, weights, int(6e8 * (1 - share)), int(3e8), 0, mapped)
    gpu = DeviceMemory("FAKE0", "Fake GPU", DeviceKind.GPU, int(5e9 * share), int(6e8 * share), int(2e8), 0)
    return Ready(
        port=server.server_address[1],
        token=server.token,
        model_name=request.model_name or "Fake",
        architecture="llama",
        n_layers=options.n_layers,
        n_gpu_layers=on_gpu,
        n_ctx=-(-request.n_ctx // 256) * 256,
        n_ctx_train=32768,
        has_chat_template=True,
        memory=(cpu, gpu) if on_gpu else (cpu,),
        load_ms=options.load_ms,
        notices=(options.notice,) if options.notice else (),
    )


def tokens_of(text):
    """Words with the space before them."""
    return re.findall(r"\s*\S+|\s+$", text)


class _Handler(BaseHTTPRequestHandler):
    """The routes of the engine that the app uses."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._guarded(
            {
                "/health": lambda: self._answer({"status": "ok"}),
                "/v1/models": lambda: self._answer({"data": [{"id": self.server.request.model_name}]}),
                "/props": lambda: self._answer({"n_ctx": self.server.request.n_ctx}),
            }
        )

    def do_POST(self):
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._guarded(
            {
                "/v1/chat/completions": self._chat,
                "/tokenize": lambda: self._answer({"tokens": [*range(len(tokens_of(self.body["content"])))]}),
            }
        )

    def _guarded(self, routes):
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._answer({"error": {"message": "wrong token", "code": "unauthorized"}}, 401)
        elif self.path not in routes:
            self._answer({"error": {"message": "no such route", "code": "not_found"}}, 404)
        else:
            routes[self.path]()

    def _answer(self, fields, status=200):
        raw = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _chat(self):
        n_prompt = sum(len(tokens_of(turn["content"])) for turn in self.body["messages"])
        n_ctx = self.server.request.n_ctx
        if n_prompt >= n_ctx:
            numbers = {"n_prompt_tokens": n_prompt, "n_ctx": n_ctx}
            self._answer({"error": {"message": "too long", "code": "context_length_exceeded", **numbers}}, 400)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(OSError):  # the client hangs up: that is how an answer is stopped
            self._stream(n_prompt, tokens_of(self._words()))
        self.close_connection = True

    def _words(self):
        question = self.body["messages"][-1]["content"]
        if question.startswith("say: "):
            return question.removeprefix("say: ")
        return question if self.server.options.text is None else self.server.options.text

    def _stream(self, n_prompt, tokens):
        options = self.server.options
        cached = max((n for n in self.server.said if n < n_prompt), default=0)
        self._wait(options.first_token_ms / 1000, f"prompt {n_prompt - 1}/{n_prompt}")
        began_s = time.monotonic()
        for index, token in enumerate(tokens):
            if index == options.silent_after:
                time.sleep(3600)
            if index == options.crash_after and self._may_crash():
                _die(options.crash_signal)
            self._chunk({"choices": [{"delta": {"content": token}}]})
            due_s = began_s + (index + 1) * options.delay_ms / 1000  # a late token does not make the next one late
            self._wait(due_s - time.monotonic())
        self.server.said.append(n_prompt + len(tokens))
        self._finish(n_prompt, cached, len(tokens), (time.monotonic() - began_s) * 1000)

    def _may_crash(self):
        mark = self.server.options.crash_once
        if mark is None:
            return True
        if Path(mark).exists():
            return False
        Path(mark).touch()
        return True

    def _wait(self, wait_s, comment=""):
        """Sleeps, and says at least every 0.1 s that it lives."""
        until_s = time.monotonic() + wait_s
        while (left_s := until_s - time.monotonic()) > 0:
            if left_s > HEARTBEAT_S:
                self.wfile.write(f": {comment}\n\n".encode())
            time.sleep(min(HEARTBEAT_S, left_s))

    def _finish(self, n_prompt, cached, n_answer, took_ms):
        ending = {"stop": {}, "length": {}, "context": {"context_full": True}}[self.server.options.ending]
        reason = "stop" if self.server.options.ending == "stop" else "length"
        self._chunk(
            {
                "choices": [{"delta": {}, "finish_reason": reason, **ending}],
                "usage": {
                    "prompt_tokens": n_prompt,
                    "completion_tokens": n_answer,
                    "prompt_tokens_details": {"cached_tokens": cached},
                },
                "timings": {
                    "prompt_n": n_prompt - cached,
                    "prompt_ms": max(0.1, self.server.options.first_token_ms),
                    "predicted_n": n_answer,
                    "predicted_ms": max(0.1, took_ms),
                    "cached_n": cached,
                },
            }
        )
        self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, fields):
        self.wfile.write(b"data: " + json.dumps(fields).encode() + b"\n\n")


if __name__ == "__main__":
    main()
