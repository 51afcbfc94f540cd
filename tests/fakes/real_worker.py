"""A real engine process as its parent sees it: pipes, events, and plain HTTP that a test may also misuse."""

import http.client
import json
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil

from carryon.engine.protocol import Loading, LoadRequest, Ready, decode_event, encode_request

MODULE = "carryon.worker.serve"


def start_child(module=MODULE, *arguments, **options):
    """A worker process with its pipes open."""
    command = [sys.executable, "-P", "-m", module, *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, **pipes)


class Answer:
    """A whole HTTP answer."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.raw = response.read()

    @property
    def json(self):
        return json.loads(self.raw)

    @property
    def error(self):
        return self.json["error"]


def limiting(most_own_bytes):
    """For a child of its own before it begins: the kernel refuses it more memory that is no file's (Linux)."""
    if most_own_bytes is None:
        return None
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_DATA, (most_own_bytes, most_own_bytes))


class RealWorker:
    """Loads a model in a child; `events` are all that it said until it was ready or refused.

    `most_own_bytes` is what the kernel lets it take of memory that is no file's.
    """

    def __init__(self, model, log_path, most_own_bytes=None, **asked):
        self.address = "127.0.0.1"
        asked.setdefault("n_ctx", 2048)
        asked.setdefault("n_threads", 1)
        self.log = log_path.open("wb")
        command = [sys.executable, "-P", "-m", MODULE]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, preexec_fn=limiting(most_own_bytes)
        )
        self.process.stdin.write(encode_request(LoadRequest(str(model), **asked)))
        self.process.stdin.flush()
        self.log_path = log_path
        self.events = list(self._events())

    def _events(self):
        for line in self.process.stdout:
            event = decode_event(line)
            yield event
            if not isinstance(event, Loading):
                return

    @property
    def ready(self):
        assert isinstance(self.events[-1], Ready), self.events[-1]
        return self.events[-1]

    @property
    def refused(self):
        assert not isinstance(self.events[-1], Ready)
        return self.events[-1]

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.log.close()

    def open(self, method, path, body=None, headers=None, timeout_s=60):
        """Sends a request; the connection and its response are the caller's to read and close."""
        connection = http.client.HTTPConnection(self.address, self.ready.port, timeout=timeout_s)
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, raw, {"Authorization": f"Bearer {self.ready.token}", **(headers or {})})
        return connection, connection.getresponse()

    def ask(self, method, path, body=None, headers=None):
        connection, response = self.open(method, path, body, headers)
        try:
            return Answer(response)
        finally:
            connection.close()

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def post(self, path, body, **options):
        return self.ask("POST", path, body, **options)

    def chat(self, text, **fields):
        """A whole answer to one message at temperature 0."""
        return self.post("/v1/chat/completions", question(text, **fields)).json

    def says(self, text, **fields):
        """Only the words of it."""
        return self.chat(text, **fields)["choices"][0]["message"]["content"]

    def complete(self, prompt, **fields):
        return self.post("/v1/completions", {"prompt": prompt, "temperature": 0, **fields}).json

    def tokens(self, text, **fields):
        return self.post("/tokenize", {"content": text, **fields}).json["tokens"]

    @contextmanager
    def streaming(self, path, body):
        """The events of a stream as they come; leaving early hangs up."""
        connection, response = self.open("POST", path, {**body, "stream": True})
        try:
            assert response.status == 200, response.read()
            yield stream_events(response)
        finally:
            connection.close()
            response.close()

    def stream(self, text, **fields):
        """All events of a streamed chat."""
        with self.streaming("/v1/chat/completions", question(text, **fields)) as events:
            return list(events)


def question(text, **fields):
    messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
    return {"messages": messages, "temperature": 0, **fields}


def stream_events(response):
    """Parsed JSON objects, comments as strings that begin with a colon, and '[DONE]'."""
    for line in response:
        text = line.decode().rstrip("\n")
        if text.startswith(":"):
            yield text
        elif text:
            assert text.startswith("data: "), text
            yield text[6:] if text == "data: [DONE]" else json.loads(text[6:])


def words_of(events):
    """The texts of a stream's chunks."""
    chunks = [event["choices"][0] for event in events if isinstance(event, dict)]
    return [text for chunk in chunks if (text := chunk.get("text") or chunk.get("delta", {}).get("content"))]


def is_gone(pid):
    """Ended; a zombie that nobody has collected yet counts as ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(is_so, within_s):
    """Seconds until it is so, or None if it never was."""
    started = time.monotonic()
    while (waited := time.monotonic() - started) < within_s:
        if is_so():
            return waited
        time.sleep(0.005)
    return None
