"""How the Hub is asked: one connection, and what comes back on it.

A request goes only where `site.is_allowed` lets it, carries the token only where `Site.token_for` says so, verifies TLS
with the certificates that the system trusts, and never follows a redirect by itself. The standard library is used: it
reads straight into a given buffer, which no client above it does (tests/benchmarks/bench_download.py).
"""

import base64
import http.client
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import cache
from time import time
from types import MappingProxyType
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from carryon import __version__
from carryon.base.errors import BadInput
from carryon.hub.site import Site, is_allowed, origin_of
from carryon.hub.wire import BadAnswer, ProxyFailed, Refused, hub_errors

CONNECT_S = 10.0
SILENCE_S = 15.0  # after so long without a byte a connection is taken for dead
MOST_REDIRECTS = 5
MOVED = (301, 302, 303, 307, 308)
_LONGEST_URL = 16_384
_LONGEST_WAIT_S = 3600.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_RESET_S = re.compile(r";\s*r=0\s*;\s*t=(\d{1,6})")
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Answer:
    """What came back: the head is here, the body is still on its way."""

    def __init__(self, url: str, response: http.client.HTTPResponse) -> None:
        self.url, self.status = url, response.status
        self._response = response
        self.left_bytes = response.length or 0

    def header(self, name: str) -> str:
        return self._response.getheader(name) or ""

    @property
    def has_length(self) -> bool:
        """Whether the body's length was told, so that its end can be known from a loss."""
        return self._response.length is not None and not self._response.chunked

    def readinto(self, view: memoryview) -> int:
        """What has come, at most as much as fits; 0 at the end. Raises ConnectionError where it ends too early."""
        if not self.left_bytes:
            return 0
        n_bytes = self._response.fp.readinto1(view[: self.left_bytes])
        if not n_bytes:
            raise ConnectionResetError("the body ended too early")
        self.left_bytes -= n_bytes
        return n_bytes

    def read(self, most_bytes: int) -> bytes:
        """The whole body. Raises BadAnswer where it is longer than that."""
        body = self._response.read(most_bytes + 1)
        if len(body) > most_bytes:
            raise BadAnswer(f"{host_of(self.url)} sent far more than was asked for.", "Try again later.")
        return body


class Connection:
    """One kept-alive connection at a time, opened when it is needed and to whom it is needed."""

    def __init__(self, site: Site, connect_s: float = CONNECT_S, silence_s: float = SILENCE_S) -> None:
        self._site, self._connect_s, self._silence_s = site, connect_s, silence_s
        self._open: http.client.HTTPConnection | None = None
        self._origin: tuple[str, str | None, int | None] | None = None
        self._answer: http.client.HTTPResponse | None = None
        self.is_connecting = False
        self._is_aborted = False

    def ask(self, method: str, url: str, headers: Mapping[str, str] = _NOTHING) -> Answer:
        """The answer to one request. Errors of the transport come as they are: use it within `hub_errors`."""
        if not is_allowed(url):
            raise BadAnswer(f"{self._site.host} sent us to an address that is not safe to use.", "Try again later.")
        is_reused = self._is_ready_for(url)
        try:
            return self._asked(method, url, headers)
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            if not is_reused or self._is_aborted:
                raise
        return self._asked(method, url, headers)  # a kept connection may have ended in the meantime

    def abort(self) -> None:
        """Ends it for good, from another thread: whoever reads from it wakes up."""
        self._is_aborted = True
        self.wake()

    def wake(self) -> None:
        """Breaks off what is being read, from another thread; the next request opens a new one."""
        connection = self._open
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()
        if self._open is not None:
            self._open.close()
        self._open = self._answer = None

    def _is_ready_for(self, url: str) -> bool:
        """Whether the open connection can carry this request; a body that nobody read makes it useless."""
        answer = self._answer
        if self._open is None or self._origin != origin_of(url) or (answer is not None and not answer.isclosed()):
            self.close()
            return False
        return self._open.sock is not None

    def finish(self) -> None:
        """Says that the last answer's body was read to its end, so that the connection can be used again."""
        if self._answer is not None:
            self._answer.close()

    def _asked(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        connection = self._connected(url)
        address = urlsplit(url)
        path = address.path + (f"?{address.query}" if address.query else "")
        connection.request(method, path or "/", headers={**_own_headers(self._site, url), **headers})
        self._answer = connection.getresponse()
        return Answer(url, self._answer)

    def _connected(self, url: str) -> http.client.HTTPConnection:
        if self._open is None:
            connection = _connection(self._site, url, self._connect_s)
            self.is_connecting = True
            try:
                _connect(connection)
            finally:
                self.is_connecting = False
            connection.sock.settimeout(self._silence_s)
            self._open, self._origin = connection, origin_of(url)
        if self._is_aborted:
            self.close()
            raise ConnectionAbortedError
        return self._open


@contextmanager
def connected(site: Site, connect_s: float = CONNECT_S, silence_s: float = SILENCE_S) -> Iterator[Connection]:
    """A connection that is closed in the end."""
    connection = Connection(site, connect_s, silence_s)
    try:
        yield connection
    finally:
        connection.close()


def followed(connection: Connection, method: str, url: str, headers: Mapping[str, str] = _NOTHING) -> Answer:
    """The answer at the end of the redirects. Raises Refused where it is no success."""
    for _ in range(MOST_REDIRECTS + 1):
        answer = connection.ask(method, url, headers)
        if answer.status not in MOVED:
            return checked(answer)
        url = location(answer)
    raise BadAnswer(f"{host_of(url)} sends us around in circles.", "Try again later.")


def location(answer: Answer) -> str:
    """Where a redirect leads."""
    told = answer.header("Location")
    with suppress(ValueError):
        url = urljoin(answer.url, told)
        if len(told) < _LONGEST_URL and is_allowed(url):
            return url
    raise BadAnswer(f"{host_of(answer.url)} sent us to an address that is not safe to use.", "Try again later.")


def checked(answer: Answer) -> Answer:
    """The answer if it is a success. Raises Refused."""
    if answer.status in (200, 204, 206):
        return answer
    raise Refused(answer.status, host_of(answer.url), answer.header("X-Error-Code")[:64], _wait_s(answer))


def ranged(site: Site, url: str, start_byte: int, n_bytes: int) -> bytes:
    """Bytes of a file, fewer at its end, fetched at once. Raises AppError; for a few MB, not for whole models."""
    headers = {"Range": f"bytes={start_byte}-{start_byte + n_bytes - 1}", "Accept-Encoding": "identity"}
    with hub_errors(site), connected(site) as connection:
        answer = followed(connection, "GET", url, headers)
        if answer.status != 206 and start_byte:
            raise BadAnswer(f"{host_of(answer.url)} does not serve parts of files.", "Download the whole file instead.")
        buffer = memoryview(bytearray(min(n_bytes, answer.left_bytes)))
        at = 0
        while at < len(buffer):
            at += answer.readinto(buffer[at:])
        return bytes(buffer)


def _own_headers(site: Site, url: str) -> dict[str, str]:
    token = site.token_for(url)
    named = {"User-Agent": f"carryon/{__version__}", "Accept-Encoding": "identity"}
    return named | ({"Authorization": f"Bearer {token}"} if token else {})


def _connection(site: Site, url: str, connect_s: float) -> http.client.HTTPConnection:
    """A connection to this address that is not open yet, through the proxy if there is one."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port
    if address.scheme == "http":  # only on this machine: nothing goes through a proxy
        return http.client.HTTPConnection(host, port, timeout=connect_s)
    proxy = _proxy(site, address)
    if proxy is None:
        return http.client.HTTPSConnection(host, port, timeout=connect_s, context=_trust())
    through = http.client.HTTPSConnection(proxy.hostname or "", proxy.port or 80, timeout=connect_s, context=_trust())
    through.set_tunnel(host, port or 443, _proxy_headers(proxy))
    return through


def _connect(connection: http.client.HTTPConnection) -> None:
    if getattr(connection, "_tunnel_host", None) is None:
        connection.connect()
        return
    try:
        connection.connect()
    except ssl.SSLError:
        raise  # of the host behind it
    except OSError as error:
        raise ProxyFailed(str(error)) from error


def _proxy(site: Site, address: SplitResult) -> SplitResult | None:
    host = address.hostname or ""
    if host in _LOOPBACK or (not site.proxy and proxy_bypass(host)):
        return None
    told = site.proxy or getproxies().get("https", "")
    if not told:
        return None
    found = urlsplit(told if "://" in told else f"http://{told}")
    if found.scheme != "http" or not found.hostname:
        raise BadInput("The proxy cannot be used.", "Type it like http://proxy.example.org:3128 in Settings.")
    return found


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    known = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(known).decode()}"}


@cache
def _trust() -> ssl.SSLContext:
    """Verifies with the certificates that the system trusts."""
    import truststore  # not at start-up

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def host_of(url: str) -> str:
    """For sentences: where this address leads."""
    return urlsplit(url).hostname or "the Hub"


def _wait_s(answer: Answer) -> float | None:
    """How long the answer asks us to wait: `Retry-After`, or the Hub's `RateLimit: "api";r=0;t=55`."""
    told = answer.header("Retry-After").strip()
    if told.isascii() and told.isdigit():
        return min(float(told[:6]), _LONGEST_WAIT_S)
    if told:
        with suppress(ValueError, TypeError, OverflowError):
            return min(max(parsedate_to_datetime(told).timestamp() - time(), 0.0), _LONGEST_WAIT_S)
    found = _RESET_S.search(answer.header("RateLimit"))
    return min(float(found[1]), _LONGEST_WAIT_S) if found else None
