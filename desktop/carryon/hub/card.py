"""The card of a repository: its README, without the YAML before it, and never more than a page can bear."""

import re
from collections.abc import Generator

from carryon.hub.asking import reading_file
from carryon.hub.repo import Repo
from carryon.hub.site import Site

LARGEST_BYTES = 1 << 20
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


def reading_card(site: Site, repo: Repo) -> Generator[None, None, str]:
    """The card as markdown; empty where there is none. Raises Offline and NoAccess."""
    named = {one.path.lower(): one for one in repo.files}
    file = named.get("readme.md")
    if file is None:
        return ""
    content = yield from reading_file(site, repo, file, LARGEST_BYTES)
    return card_text(content)


def card_text(content: bytes) -> str:
    """The markdown of a README: bytes that are no UTF-8, front matter and comments are taken out."""
    text = content[:LARGEST_BYTES].decode("utf-8", "replace").lstrip("\ufeff").replace("\r\n", "\n")
    return _COMMENT.sub("", _FRONT_MATTER.sub("", text)).strip()
