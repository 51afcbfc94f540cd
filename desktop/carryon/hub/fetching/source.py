"""Where the bytes of a file come from: the Hub is asked once, and again when the address it gave has expired."""

import re
import threading
import time
from dataclasses import dataclass

from carryon.base.errors import BadFile
from carryon.hub.connection import MOST_REDIRECTS, MOVED, Answer, Connection, checked, host_of, location
from carryon.hub.fetching.sidecar import Identity
from carryon.hub.fetching.summing import sum_name
from carryon.hub.repo import RepoFile
from carryon.hub.site import Site, origin_of
from carryon.hub.wire import BadAnswer, hub_errors, portal_error

_ETAG = re.compile(r'(?:W/)?"?([0-9a-f]{64}|[0-9a-f]{40})"?')


@dataclass(frozen=True)
class Located:
    """An address that gives the bytes for a while, and whose they are."""

    url: str
    identity: Identity


class Changed(Exception):
    """The Hub serves another file under this name than the one whose beginning is here."""


def locate(connection: Connection, site: Site, repo_id: str, commit: str, file: RepoFile) -> Located:
    """Asks the Hub where the file is. Raises AppError; BadFile where it is not the file that was chosen."""
    with hub_errors(site, repo_id):
        url, answer = _told(connection, site.file_url(repo_id, commit, file.path))
    etag, size_bytes = etag_of(answer), _size_bytes(answer)
    if size_bytes is None:
        raise BadAnswer(f"{site.host} does not say how large {file.path} is.", "Try again later.")
    if size_bytes != file.size_bytes or (file.sha256 and len(etag) == 64 and etag != file.sha256):
        raise BadFile(
            f"{site.host} now has another {file.path} than the one that was chosen.",
            "Look at the model's page again and choose anew.",
        )
    return Located(url, Identity(etag, sum_name(file.sha256, etag), size_bytes))


def etag_of(answer: Answer) -> str:
    """The Hub's name for the bytes, if it is one: a sha256, or a git hash for small files; else “”."""
    found = _ETAG.fullmatch(answer.header("X-Linked-ETag") or answer.header("ETag"))
    return found[1] if found else ""


class Source:
    """The address in use, renewed by whoever finds that it does not work any more."""

    def __init__(self, site: Site, repo_id: str, commit: str, file: RepoFile, located: Located) -> None:
        self.site, self.repo_id = site, repo_id
        self._commit, self._file = commit, file
        self._located = located
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self.quiet_until_s = 0.0  # on the monotonic clock: when the Hub lets itself be asked again

    @property
    def identity(self) -> Identity:
        return self._located.identity

    @property
    def located(self) -> Located:
        with self._lock:
            return self._located

    def is_own(self, located: Located) -> bool:
        """Whether the Hub itself serves the bytes."""
        return origin_of(located.url) == origin_of(self.site.endpoint)

    def renew(self, connection: Connection, old: Located) -> None:
        """Asks for a new address unless somebody else has. Raises AppError, and Changed."""
        with self._renewing:
            if self.located is not old:
                return
            found = locate(connection, self.site, self.repo_id, self._commit, self._file)
            if found.identity != old.identity:
                raise Changed
            with self._lock:
                self._located = found

    def hush(self, wait_s: float) -> None:
        """Nobody asks for so long."""
        self.quiet_until_s = max(self.quiet_until_s, time.monotonic() + wait_s)


def _told(connection: Connection, url: str) -> tuple[str, Answer]:
    """Where the bytes are, and the answer that names and measures them: the last before the Hub sends us elsewhere."""
    for _ in range(MOST_REDIRECTS + 1):
        answer = connection.ask("HEAD", url)
        connection.finish()
        if answer.status not in MOVED:
            if answer.header("Content-Type").startswith("text/html"):
                raise portal_error(host_of(url))
            return url, checked(answer)
        url = location(answer)
        if answer.header("X-Linked-Size"):
            return url, answer
    raise BadAnswer(f"{host_of(url)} sends us around in circles.", "Try again later.")


def _size_bytes(answer: Answer) -> int | None:
    told = answer.header("X-Linked-Size") or answer.header("Content-Length")
    return int(told) if re.fullmatch(r"\d{1,15}", told, re.ASCII) else None
