"""Questions to the Hub that are answered in JSON or in a small file: given up at once, bounded, patient for a moment.

huggingface_hub's own client is not used: on a dead network it answers after 23 s, and it sleeps through a “wait a
minute” where nobody can cancel it; its import takes 0.35 s, and its answers are as loose as the JSON.
"""

import json
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from carryon.base.errors import Offline
from carryon.base.jobs import aside
from carryon.hub.connection import Answer, Connection, followed, host_of
from carryon.hub.repo import Repo, RepoFile
from carryon.hub.site import Site, origin_of
from carryon.hub.wire import BadAnswer, Refused, hub_errors, portal_error

CONNECT_S, SILENCE_S = 4.0, 10.0
REACHED_WITHIN_S = 4.5  # else the machine counts as offline: a look-up of a name may take far longer
LONGEST_WAIT_S = 10.0  # that the Hub may ask for before a person hears of it
_TRIES = 3
_HEARTBEAT_S = 0.1
_LARGEST_ANSWER_BYTES = 24 << 20
_PIECE_BYTES = 1 << 18
_NEXT = re.compile(r'<([^<>]{1,4000})>\s*;\s*rel="?next"?')
_TOTAL = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})")
T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A path of the Hub's API and what is asked there."""

    path: str
    query: tuple[tuple[str, str], ...] = ()

    def url(self, site: Site) -> str:
        return f"{site.endpoint}{self.path}" + (f"?{urlencode(self.query)}" if self.query else "")


@dataclass(frozen=True)
class JsonAnswer:
    """What was told, of any type, and the address of what follows."""

    told: Any
    next_url: str = ""


def asking(site: Site, question: Question, repo_id: str = "") -> Generator[None, None, JsonAnswer]:
    """Asks, waits where the Hub asks for a moment, and reads JSON. Raises Offline, NoAccess, BadFile and BadInput."""
    with hub_errors(site, repo_id):
        for tries_left in reversed(range(_TRIES)):
            try:
                return (yield from _asked(site, lambda connection: _told(connection, question.url(site))))
            except Refused as refused:
                if not tries_left or not _passes(refused):
                    raise
                wait_s = 1.0 if refused.wait_s is None else refused.wait_s
            yield from _waiting(wait_s)
    raise AssertionError("the last try returns or raises")


def next_question(site: Site, answer: JsonAnswer) -> Question | None:
    """What comes after this page; an address that is not the Hub's own is not followed."""
    address = urlsplit(answer.next_url)
    is_ours = answer.next_url.startswith(f"{site.endpoint}/") and origin_of(answer.next_url) == origin_of(site.endpoint)
    if not is_ours:
        return None
    path = address.path.removeprefix(urlsplit(site.endpoint).path)
    return Question(path, tuple(parse_qsl(address.query, keep_blank_values=True)))


def reading_file(site: Site, repo: Repo, file: RepoFile, most_bytes: int) -> Generator[None, None, bytes]:
    """A small file, or the first bytes of a larger one. Raises Offline, NoAccess and BadFile."""
    content = bytearray()
    stream = streaming_start(site, repo, file, min(most_bytes, file.size_bytes))
    try:
        for piece in stream:
            yield None
            content += piece or b""
    finally:
        stream.close()
    return bytes(content)


def streaming_start(site: Site, repo: Repo, file: RepoFile, n_bytes: int) -> Generator[bytes | None, None, None]:
    """The first bytes of a file as they come, in one request; whoever has enough closes it. None is a heartbeat."""
    if n_bytes <= 0:
        return
    url = site.file_url(repo.repo_id, repo.commit, file.path)
    headers = {"Range": f"bytes=0-{n_bytes - 1}"}
    with hub_errors(site, repo.repo_id), _connected(site) as connection:
        answer = yield from _reached(
            site, connection, lambda: _of_whole(followed(connection, "GET", url, headers), file)
        )
        buffer, left_bytes = memoryview(bytearray(_PIECE_BYTES)), n_bytes
        while left_bytes and answer.left_bytes:
            piece = yield from aside(lambda: _read(answer, buffer), _HEARTBEAT_S)
            yield piece[:left_bytes]
            left_bytes -= min(left_bytes, len(piece))


def _asked(site: Site, ask: Callable[[Connection], T]) -> Generator[None, None, T]:
    with _connected(site) as connection:
        return (yield from _reached(site, connection, lambda: ask(connection)))


@contextmanager
def _connected(site: Site) -> Iterator[Connection]:
    """A connection that a thread may still be reading from when the work is closed: it wakes up and ends."""
    connection = Connection(site, CONNECT_S, SILENCE_S)
    is_done = False
    try:
        yield connection
        is_done = True
    finally:
        if not is_done:
            connection.abort()
        connection.close()


def _reached(site: Site, connection: Connection, ask: Callable[[], T]) -> Generator[None, None, T]:
    """What `ask` returns. Raises Offline where nobody was reached in time."""
    reached_s = time.monotonic()
    call = aside(ask, _HEARTBEAT_S)
    try:
        while True:
            try:
                next(call)
            except StopIteration as end:
                result: T = end.value
                return result
            now_s = time.monotonic()
            if not connection.is_connecting:
                reached_s = now_s
            if now_s - reached_s > REACHED_WITHIN_S:
                raise Offline(f"{site.host} does not answer.", "Check that this computer is online.")
            yield None
    finally:
        call.close()


def _told(connection: Connection, url: str) -> JsonAnswer:
    answer = followed(connection, "GET", url, {"Accept": "application/json"})
    body = answer.read(_LARGEST_ANSWER_BYTES)
    connection.finish()
    if "html" in answer.header("Content-Type").lower() or body.lstrip()[:1] == b"<":
        raise portal_error(host_of(url))
    following = _NEXT.search(answer.header("Link")[:8000])
    try:
        return JsonAnswer(json.loads(body), following[1] if following else "")
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"{host_of(url)} sent an answer that cannot be read.", "Try again later.") from error


def _of_whole(answer: Answer, file: RepoFile) -> Answer:
    """The answer, if it is the start of the very file that is meant."""
    if "text/html" in answer.header("Content-Type").lower():
        raise portal_error(host_of(answer.url))
    told = _TOTAL.fullmatch(answer.header("Content-Range").strip())
    is_right = answer.status == 200 if told is None else (int(told[1]), int(told[2])) == (0, file.size_bytes)
    if not is_right:
        raise BadAnswer(f"{host_of(answer.url)} sent another part of the file than asked for.", "Try again later.")
    return answer


def _read(answer: Answer, buffer: memoryview) -> bytes:
    return bytes(buffer[: answer.readinto(buffer)])


def _passes(refused: Refused) -> bool:
    """Whether it is worth waiting for without a word."""
    return refused.status in (408, 425, 429, 500, 502, 503, 504) and (refused.wait_s or 0) <= LONGEST_WAIT_S


def _waiting(wait_s: float) -> Generator[None, None, None]:
    until_s = time.monotonic() + wait_s
    while (left_s := until_s - time.monotonic()) > 0:
        yield None
        time.sleep(min(left_s, _HEARTBEAT_S))
