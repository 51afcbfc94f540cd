"""A Hub on this machine: the API, the redirects, the CDN, and every fault that a network knows. Standard library only.

    with FakeHub() as hub:
        hub.add_repo("acme/tiny-GGUF", {"m.gguf": Blob(size=64 << 20, name="m.gguf"), "README.md": b"# hi"})
        hub.fault("cut", path=r"/cdn/", after=100_000, times=1)
        ...  # Site(endpoint=hub.url), or a child with hub.env(tmp): the client reads HF_ENDPOINT when it is imported

It listens on two origins of loopback, as the real one does: the “hub” (API and /resolve/) and the “cdn” that large
files are redirected to, and that must never see a token. Every request is noted in `hub.log`, so a test can say
“went on at byte N”.
By hand: python tests/fakes/fakehub.py [--size-mb 64] [--file PATH]
"""

import argparse
import os
import re
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fakes.hub_answers import AnsweringCdn, AnsweringHub, answering
from fakes.hub_contents import Blob, Fault, Repo

__all__ = ["Blob", "FakeHub", "Fault", "Repo"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Cut connections are our own doing."""


class FakeHub:
    """kinds of fault, and their options:
    status     code=503, headers={}, body=b""   answer with this status
    cut        after=N                          send N body bytes, then reset the TCP connection (RST)
    fin        after=N                          send N body bytes, then close cleanly (FIN) before Content-Length
    stall      after=N, seconds=S               send N body bytes, then go silent
    slow       bps=N                            limit the body to N bytes a second
    corrupt    at=N                             flip the body byte at file offset N (sizes stay right)
    norange    -                                ignore Range, answer 200 with the whole file
    wrongrange shift=N                          answer 206 but with bytes starting N later (lying server)
    headers    values={name: text | None}       send these headers instead (a redirect's or a body's)
    etag       value="..."                      send this ETag / X-Linked-Etag instead
    commit     value="..."                      send this X-Repo-Commit instead ("" with None)
    size       value=N                          send this X-Linked-Size instead
    loop       -                                redirect to itself
    gzip       -                                send the body gzip-encoded and chunked, without Content-Length
    html       -                                200 with an HTML page (captive portal)
    crowd      most=N                           the CDN answers 403 while it is sending N bodies already
    """

    def __init__(
        self, host="127.0.0.1", page=1000, url_ttl=3600.0, stream_chunk=256 * 1024, ports=(0, 0), link_bytes_per_s=None
    ):
        self.repos: dict[str, Repo] = {}
        self.faults: list[Fault] = []
        self.log: list[dict] = []
        self.tokens: dict[str, set[str]] = {}  # token -> repositories it may read though they are gated or private
        self.page, self.url_ttl, self.stream_chunk = page, url_ttl, stream_chunk
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._n_sending = {"hub": 0, "cdn": 0}
        self.link_bytes_per_s, self._link_free_at_s = link_bytes_per_s, 0.0
        self.hub_srv = _Server((host, ports[0]), answering(self, AnsweringHub))
        self.cdn_srv = _Server((host, ports[1]), answering(self, AnsweringCdn))
        self.host = host
        self.url = f"http://{host}:{self.hub_srv.server_address[1]}"
        self.cdn_url = f"http://{host}:{self.cdn_srv.server_address[1]}"

    # ---- life

    def start(self):
        for server in (self.hub_srv, self.cdn_srv):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        self._stop.set()
        for server in (self.hub_srv, self.cdn_srv):
            server.shutdown()
            server.server_close()

    __enter__ = start

    @property
    def ports(self):
        """Of the two sides, for a hub that comes back where it was."""
        return self.hub_srv.server_address[1], self.cdn_srv.server_address[1]

    def __exit__(self, *_):
        self.stop()

    # ---- what it holds and what goes wrong

    def add_repo(self, repo_id, files, **meta):
        gated, private = meta.pop("gated", False), meta.pop("private", False)
        repo = Repo(repo_id, meta=meta, gated=gated, private=private)
        repo.commit(files)
        self.repos[repo_id] = repo
        return repo

    def fault(self, kind, path=".", method=None, times=-1, skip=0, **opts):
        found = Fault(kind, re.compile(path), method, times, skip, opts)
        self.faults.append(found)
        return found

    def clear(self):
        """Forgets the faults and the log."""
        self.faults.clear()
        with self._lock:
            self.log.clear()

    def env(self, home, **extra):
        """The environment for a child that uses the real client against this hub."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().endswith("_PROXY") and not name.startswith(("HF_", "HUGGING"))
        }
        off = ("DISABLE_XET", "DISABLE_TELEMETRY", "DISABLE_UPDATE_CHECK", "DISABLE_PROGRESS_BARS")
        own = {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1,localhost"}
        return kept | own | {f"HF_HUB_{name}": "1" for name in off} | extra

    # ---- what was asked

    def requests(self, path=".", side=None):
        """The rows of the log whose path matches."""
        wanted = re.compile(path)
        with self._lock:
            return [row for row in self.log if wanted.search(row["path"]) and side in (None, row["side"])]

    def sent_bytes(self, path="."):
        """How many body bytes of files left for requests that match."""
        return sum(row["sent"] for row in self.requests(path))

    # ---- for those who answer

    def pick(self, method, path):
        with self._lock:
            return [fault for fault in self.faults if fault.take(method, path)]

    def note(self, row):
        with self._lock:
            self.log.append(row)
        return row

    def wait(self, seconds):
        """Waits, and says whether the hub ended meanwhile."""
        return seconds > 0 and self._stop.wait(seconds)

    def pace(self, n_bytes):
        """Waits until so many bytes have gone over the one link that all connections share."""
        if not self.link_bytes_per_s:
            return
        with self._lock:
            now_s = time.monotonic()
            self._link_free_at_s = max(self._link_free_at_s, now_s - 0.005) + n_bytes / self.link_bytes_per_s
            left_s = self._link_free_at_s - now_s
        self.wait(left_s)

    @contextmanager
    def sending(self, side):
        """A body on its way."""
        with self._lock:
            self._n_sending[side] += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_sending[side] -= 1

    def n_sending(self, side):
        return self._n_sending[side]

    def sign(self, repo_id, commit, path):
        """The address on the CDN, good for `url_ttl` seconds."""
        expires_ms = int((time.time() + self.url_ttl) * 1000)
        etag = self.repos[repo_id].commits[commit][path].etag
        where = f"r={quote(repo_id, safe='')}&c={commit}&p={quote(path, safe='')}"
        return f"{self.cdn_url}/cdn/{etag}?{where}&Expires={expires_ms}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size-mb", type=int, default=64)
    parser.add_argument("--file", type=Path, help="serve this file instead of made-up bytes")
    parser.add_argument("--link-mb-per-s", type=float, help="as fast as this link, all connections together")
    options = parser.parse_args()
    size_bytes = 0 if options.file else options.size_mb << 20
    model = Blob(file=options.file, size=size_bytes, seed=1, name="m.gguf")
    link_bytes_per_s = options.link_mb_per_s and options.link_mb_per_s * 1e6
    with FakeHub(link_bytes_per_s=link_bytes_per_s) as hub, suppress(KeyboardInterrupt):
        repo = hub.add_repo("acme/tiny-GGUF", {"tiny-Q4_K_M.gguf": model, "README.md": b"# tiny\n"}, downloads=10)
        print(f"export HF_ENDPOINT={hub.url}  # acme/tiny-GGUF at {repo.refs['main']}", flush=True)
        sys.stdin.read()  # until the parent goes


if __name__ == "__main__":
    main()
