"""Fetches the converter: the engine's source distribution from the index that pip uses, summed, unpacked, deleted."""

import hashlib
import ssl
import tempfile
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Generator
from functools import cache as once
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from carryon.base.errors import BadFile, Offline
from carryon.base.files import disk_errors
from carryon.base.jobs import Progress, aside
from carryon.convert.upstream.component import (
    PINNED,
    PROJECT,
    Archive,
    Component,
    kept,
    place,
    unpacking,
)
from carryon.convert.upstream.index import ACCEPTS, Page, Places, links_to, local_path, places

_CHUNK_BYTES = 1 << 20
_MOST_PAGE_BYTES = 30_000_000
_DEADLINE_S = 30.0
_WRONG = "The package index gave another {} than the one this version of Carryon knows."


def fetching(
    cache: Path, where: Places | None = None, archive: Archive = PINNED
) -> Generator[Progress | None, None, Component]:
    """Work that returns the converter, fetched if it is not here; progress in bytes.

    Raises Offline where no index has it, BadFile where its sum is wrong, NoRoom.
    """
    if (here := kept(cache)) is not None:
        return here
    where = where or (yield from aside(places))
    addresses = yield from aside(lambda: list(links_to(archive.name, PROJECT, where, _page)))
    if not addresses:
        raise Offline(
            f"No package index that pip is configured with has {archive.name}.",
            "Check the network, or give the downloaded source archive instead.",
        )
    target = place(cache)
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=target.parent) as folder:
            file = Path(folder) / archive.name
            yield from _streamed(addresses, file, archive)
            return (yield from unpacking(file, cache, archive))


def taking(file: Path, cache: Path, archive: Archive = PINNED) -> Generator[Progress | None, None, Component]:
    """The same from a source archive that the person has: for machines without a network. Raises BadFile."""
    with disk_errors(file), file.open("rb") as source:
        total = hashlib.sha256()
        while chunk := source.read(_CHUNK_BYTES):
            total.update(chunk)
            yield None
    if total.hexdigest() != archive.sha256:
        raise BadFile(f"{file.name} is not the file that is needed.", f"It must be {archive.name}, unchanged.")
    return (yield from unpacking(file, cache, archive))


def _streamed(addresses: list[str], file: Path, archive: Archive) -> Generator[Progress | None, None, None]:
    """The first address that gives the right bytes."""
    wrong = False
    for address in addresses:
        try:
            if (yield from _one(address, file, archive)):
                return
            wrong = True
        except Offline:
            continue
    if wrong:
        raise BadFile(_WRONG.format(archive.name), "Ask whoever keeps the index, or use another one (PIP_INDEX_URL).")
    raise Offline(f"{archive.name} could not be fetched: the connection broke.", "Check the network and try again.")


def _one(address: str, file: Path, archive: Archive) -> Generator[Progress | None, None, bool]:
    """True where the sum is right."""
    total, done = hashlib.sha256(), 0
    answer = yield from aside(lambda: _opened(address))
    with answer, file.open("wb") as out:
        while chunk := (yield from aside(lambda: _read(answer))):
            out.write(chunk)
            total.update(chunk)
            done += len(chunk)
            if done > archive.size_bytes:
                return False
            yield Progress(done, archive.size_bytes, archive.name)
    return total.hexdigest() == archive.sha256


def _page(address: str) -> Page:
    if (folder := local_path(address)) is not None:
        return _local_page(address, folder)
    with _opened(address, ACCEPTS) as answer:
        text = _read(answer, _MOST_PAGE_BYTES).decode("utf-8", "replace")
        return Page(answer.url, answer.headers.get("Content-Type", ""), text)


def _local_page(address: str, folder: Path) -> Page:
    """An index in a folder: its index.html, else links to what lies there."""
    try:
        if (folder / "index.html").is_file():
            return Page(address, "text/html", (folder / "index.html").read_text("utf-8", "replace"))
        links = "".join(f'<a href="{one.as_uri()}"></a>' for one in sorted(folder.absolute().iterdir()))
    except OSError as error:
        raise Offline(f"{folder} cannot be read.", "Check pip's settings.") from error
    return Page(address, "text/html", links)


def _opened(address: str, accepts: str = "*/*") -> Any:
    """The answer, to be read. Raises Offline."""
    try:
        if local_path(address) is not None:
            return urllib.request.urlopen(address, timeout=_DEADLINE_S)
        bare, headers = _without_password(address)
        request = urllib.request.Request(bare, headers={"Accept": accepts, **headers})
        return urllib.request.urlopen(request, timeout=_DEADLINE_S, context=_trust())
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise Offline(f"The package index does not answer: {error}.", "Check the network and try again.") from error


def _read(answer: Any, most_bytes: int = _CHUNK_BYTES) -> bytes:
    try:
        return bytes(answer.read(most_bytes))
    except (OSError, ValueError) as error:
        raise Offline("The connection to the package index broke.", "Check the network and try again.") from error


def _without_password(address: str) -> tuple[str, dict[str, str]]:
    """pip takes a name and a password from the address of an index; urllib wants them in a header."""
    parts = urlsplit(address)
    if parts.username is None:
        return address, {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]))
    return bare, {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}


@once
def _trust() -> ssl.SSLContext:
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
