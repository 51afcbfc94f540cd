"""Where pip would look for a source distribution: its index, further indexes and folders, asked without running pip's
own resolver, which would run the package's build for nothing but its name.

The pages: packaging.python.org/en/latest/specifications/simple-repository-api (JSON, and HTML where an index has none).
"""

import ast
import html
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

from carryon.base.errors import Offline

JSON_PAGE = "application/vnd.pypi.simple.v1+json"
ACCEPTS = f"{JSON_PAGE}, text/html;q=0.5"
_PATIENCE_S = 30.0
_LINE = re.compile(r"^(?:global|download|:env:)\.(?P<key>[a-z-]+)=(?P<value>'.*'|\".*\")$", re.MULTILINE)
_DEFAULT = re.compile(r"--index-url.*?\(default\s+(?P<address>[^\s)]+)\s*\)", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """What an index answered."""

    address: str
    content_type: str
    text: str


@dataclass(frozen=True)
class Places:
    """Where pip looks: indexes with a page for each project, and places that hold files or links to them."""

    indexes: tuple[str, ...]
    find_links: tuple[str, ...] = ()


def places(run: Callable[[Sequence[str]], str] | None = None) -> Places:
    """What pip is configured with here. Raises Offline where pip cannot be asked or may use no index."""
    ask = run or _pip
    told = _settings(ask(("config", "list")))
    main = _DEFAULT.search(ask(("download", "--help")))  # pip's help shows the address that it would use
    links = tuple(told.get("find-links", "").split())
    if told.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        return Places((), links)
    indexes = ([main["address"]] if main else []) + told.get("extra-index-url", "").split()
    if not indexes and not links:
        raise Offline("pip does not say which package index it uses.", "Give the downloaded source archive instead.")
    return Places(tuple(indexes), links)


def links_to(name: str, project: str, where: Places, ask: Callable[[str], Page]) -> Iterator[str]:
    """The addresses of a file, the configured index's first. Places that do not answer are passed over."""
    for index in where.indexes:
        with suppress(Offline):
            yield from _linked(ask(f"{index.rstrip('/')}/{project}/"), name)
    for place in where.find_links:
        if (folder := local_path(place)) is not None and (folder / name).is_file():
            yield (folder / name).as_uri()
        elif folder is None:
            with suppress(Offline):
                yield from _linked(ask(place), name)


def local_path(place: str) -> Path | None:
    """The path of a file: address or of a plain path; None for an address on the network."""
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme in ("http", "https") else Path(place).expanduser()


def _linked(page: Page, name: str) -> Iterator[str]:
    for address in _json_links(page) if page.content_type.startswith(JSON_PAGE) else _html_links(page):
        whole = urljoin(page.address, address)
        if unquote(urlsplit(whole).path.rsplit("/", 1)[-1]) == name:
            yield whole.split("#")[0]


def _json_links(page: Page) -> Iterator[str]:
    with suppress(ValueError, AttributeError, TypeError):
        for entry in json.loads(page.text).get("files", []):
            match entry:
                case {"url": str() as address}:
                    yield address


def _html_links(page: Page) -> Iterator[str]:
    for link in re.findall(r"""href\s*=\s*["']([^"']+)["']""", page.text):
        yield html.unescape(link)


def _settings(listing: str) -> dict[str, str]:
    """pip's settings; what the environment says comes last in its listing's order of weight and wins."""
    found: dict[str, str] = {}
    for line in sorted(_LINE.finditer(listing), key=lambda line: line[0].startswith(":env:")):
        with suppress(ValueError, SyntaxError):
            found[line["key"]] = str(ast.literal_eval(line["value"]))
    return found


def _pip(words: Sequence[str]) -> str:
    command = [sys.executable, "-m", "pip", *words]
    try:
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            timeout=_PATIENCE_S, check=True, text=True, encoding="utf-8", errors="replace",
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise Offline(
            "pip, which knows the package index, is not installed beside Carryon.",
            "Install pip, or give the downloaded source archive instead.",
        ) from error
