"""The card of a repository: its README as markdown, without what only a web page can show."""

import re
from collections.abc import Generator, Iterator

from carryon.hub.asking import reading_file
from carryon.hub.repo import Repo
from carryon.hub.site import Site

LARGEST_BYTES = 1 << 20
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r"^[ \t]{0,3}(?:```|~~~)", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_UNSHOWN = re.compile(r"<(style|script|svg|video|audio|iframe)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_LINE_TAG = re.compile(r"<(?:br|hr|p|div|tr|li|h[1-6]|summary|details|table|ul|ol)\b[^<>]{0,2000}>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|br|center|code|dd|del|details|div|dl|dt|em|figcaption|figure|font|h[1-6]|hr|i|img|ins|kbd|li|"
    r"mark|ol|p|picture|pre|q|s|small|source|span|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul)"
    r"(?=[\s/>])[^<>]{0,2000}>",
    re.IGNORECASE,
)
_IMAGE = re.compile(r"!\[[^\[\]]{0,500}\](?:\([^()\s]{0,2000}(?:\s[^()]{0,200})?\)|\[[^\[\]]{0,200}\])")
_EMPTY_LINK = re.compile(r"\[\s*\]\([^()\s]{0,2000}\)")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")


def reading_card(site: Site, repo: Repo) -> Generator[None, None, str]:
    """The card as markdown; empty where there is none. Raises Offline and NoAccess."""
    named = {one.path.lower(): one for one in repo.files}
    file = named.get("readme.md")
    if file is None:
        return ""
    content = yield from reading_file(site, repo, file, LARGEST_BYTES)
    return card_text(content)


def card_text(content: bytes) -> str:
    """The markdown of a README: front matter, comments, tags and images are taken out; code stays as it is.

    What is left is still untrusted: it is drawn by ui/markdown, which interprets no HTML and loads nothing.
    """
    text = content[:LARGEST_BYTES].decode("utf-8", "replace").lstrip("\ufeff").replace("\r\n", "\n")
    return _BLANK_LINES.sub("\n\n", "".join(_pieces(_FRONT_MATTER.sub("", text)))).strip()


def _pieces(text: str) -> Iterator[str]:
    """Words without tags and code with them, in turn."""
    at, is_code = 0, False
    for fence in _FENCE.finditer(text):
        piece = text[at : fence.start()]
        yield piece if is_code else _words(piece)
        at, is_code = fence.start(), not is_code
    yield text[at:] if is_code else _words(text[at:])


def _words(text: str) -> str:
    text = _UNSHOWN.sub("", _COMMENT.sub("", text))
    text = _TAG.sub("", _LINE_TAG.sub("\n", text))
    return _EMPTY_LINK.sub("", _IMAGE.sub("", text))
