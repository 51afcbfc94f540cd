"""Markdown of a model as values that are safe to draw: no HTML, no images, no link but to the web; knows nothing of Qt.

What a model writes is untrusted (OWASP LLM05): raw HTML is shown as the text it is, an image as
"[image: alt - address]", a link to anything but http, https or mailto as text with its address, and characters that
steer a terminal or turn the direction of a line are gone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from carryon.ui.markdown.blocks import (
    Block,
    Code,
    Heading,
    Look,
    Nest,
    Paragraph,
    Place,
    Rule,
    Side,
    Span,
    Spans,
    Table,
)
from carryon.ui.markdown.cleaning import clean, clean_lines, safe_link, without_breaks

if TYPE_CHECKING:  # imported when the first message is parsed: the first frame of the window does not wait for it
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_LONGEST_ADDRESS = 2_000
MOST_COLUMNS, MOST_CELLS = 24, 1_000  # Qt lays a table out anew, cell by cell, with every row that is added
_NESTING = 20  # markdown-it drops what is nested deeper, so from here on we show the source
_BARE_LINK = re.compile(r"https?://[^\s<>\"`]+")
_LINE_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TASK = re.compile(r"\[([ xX])\]\s+")
_MARKS = ("•", "◦", "▪")


@dataclass(frozen=True, slots=True)
class Section:
    """A block of the top level with all that is in it, and the source line where it begins.

    In a list, `last_item_line` and `last_number` say where its last item begins and which number that has.
    """

    first_line: int
    blocks: tuple[Block, ...]
    last_item_line: int | None = None
    last_number: int = 1


def blocks(text: str) -> tuple[Block, ...]:
    """The whole text as blocks."""
    return tuple(block for section in sections(text) for block in section.blocks)


def plain_blocks(text: str) -> tuple[Block, ...]:
    """The text as it was typed, nothing interpreted."""
    return (Paragraph((Span(clean(text).strip("\n")),)),)


def sections(text: str, first_number: int | None = None) -> tuple[Section, ...]:
    """The text by blocks of the top level; a list that goes on from before starts with `first_number`."""
    lines = clean_lines(text)
    tokens = _parser().parse("\n".join(lines))
    found = []
    for group in _groups(tokens):
        found.append(_section(group, lines, first_number))
        first_number = None
    return tuple(found)


@cache
def _parser() -> "MarkdownIt":
    """CommonMark with tables; without HTML, and without link definitions, so that every block stands for itself."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _NESTING})
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # `safe_link` decides, visibly
    return parser.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])


def _groups(tokens: "list[Token]") -> "Iterator[list[Token]]":
    """The tokens of one top-level block after the other."""
    starts = [index for index, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0]
    for start, end in pairwise([*starts, len(tokens)]):
        yield tokens[start:end]


def _section(tokens: "list[Token]", lines: list[str], first_number: int | None) -> Section:
    first, last = tokens[0].map or [0, len(lines)]
    if any(token.level >= _NESTING - 3 for token in tokens):
        source = "\n".join(lines[first:last]).strip()
        return Section(first, (Paragraph((Span(source),)),))
    if tokens[0].type == "table_open" and _is_huge(tokens):
        return Section(first, (Code("", clean("\n".join(lines[first:last]).strip("\n"))),))
    builder = _Builder(first_number)
    for token in tokens:
        builder.take(token)
    items = [token for token in tokens if token.type == "list_item_open" and token.level == 1]
    last_item_line = items[-1].map[0] if items and items[-1].map else None
    return Section(first, tuple(builder.blocks), last_item_line, builder.last_number)


def _is_huge(table: "list[Token]") -> bool:
    kinds = [token.type for token in table]
    return kinds.count("th_open") > MOST_COLUMNS or kinds.count("td_open") > MOST_CELLS


class _Builder:
    """Follows the tokens of one top-level block and gathers flat blocks."""

    def __init__(self, first_number: int | None) -> None:
        self.blocks: list[Block] = []
        self.last_number = 1
        self._first_number = first_number
        self._nest: list[Nest] = []
        self._numbers: list[int | None] = []  # of each open list the next number, None for bullets
        self._marker = ""
        self._heading = 0
        self._sides: list[Side] = []
        self._rows: list[list[Spans]] | None = None

    def take(self, token: "Token") -> None:
        action = getattr(self, f"_{token.type}", None)
        if action:
            action(token)

    def _blockquote_open(self, _: "Token") -> None:
        self._settle_marker()
        self._nest.append(Nest.QUOTE)

    def _blockquote_close(self, _: "Token") -> None:
        self._nest.pop()

    def _bullet_list_open(self, _: "Token") -> None:
        self._open_list(None)

    def _ordered_list_open(self, token: "Token") -> None:
        is_continued = self._first_number is not None and token.level == 0
        self._open_list(self._first_number if is_continued else int(token.attrs.get("start", 1)))

    def _open_list(self, number: int | None) -> None:
        self._settle_marker()
        self._nest.append(Nest.LIST)
        self._numbers.append(number)

    def _bullet_list_close(self, _: "Token") -> None:
        self._nest.pop()
        self._numbers.pop()

    _ordered_list_close = _bullet_list_close

    def _list_item_open(self, token: "Token") -> None:
        number = self._numbers[-1]
        if number is None:
            self._marker = _MARKS[(len(self._numbers) - 1) % len(_MARKS)]
            return
        self._marker = f"{number}."
        self._numbers[-1] = number + 1
        if token.level == 1:
            self.last_number = number

    def _list_item_close(self, _: "Token") -> None:
        self._settle_marker()

    def _heading_open(self, token: "Token") -> None:
        self._heading = int(token.tag[1])

    def _heading_close(self, _: "Token") -> None:
        self._heading = 0

    def _inline(self, token: "Token") -> None:
        spans = _spans(token.children or [])
        if self._rows is not None:
            self._rows[-1].append(spans)
        elif self._heading:
            self.blocks.append(Heading(self._heading, spans, self._place()))
        else:
            self.blocks.append(self._paragraph(spans))

    def _paragraph(self, spans: Spans) -> Paragraph:
        """A paragraph; at the start of an item "[ ]" and "[x]" become its mark."""
        if self._marker and spans and (task := _TASK.match(spans[0].text)):
            self._marker = "☐" if task[1] == " " else "☑"
            spans = (Span(spans[0].text[task.end() :], spans[0].look, spans[0].link), *spans[1:])
        return Paragraph(spans, self._place())

    def _fence(self, token: "Token") -> None:
        self._settle_marker()
        words = clean(token.info).split()
        self.blocks.append(Code(words[0][:40] if words else "", clean(token.content.rstrip("\n")), self._place()))

    _code_block = _fence

    def _hr(self, _: "Token") -> None:
        self.blocks.append(Rule(self._place()))

    def _table_open(self, _: "Token") -> None:
        self._settle_marker()
        self._rows, self._sides = [], []

    def _tr_open(self, _: "Token") -> None:
        assert self._rows is not None
        self._rows.append([])

    def _th_open(self, token: "Token") -> None:
        self._sides.append(_side(str(token.attrs.get("style", ""))))

    def _table_close(self, _: "Token") -> None:
        assert self._rows is not None
        width = len(self._sides)
        rows = tuple((*row[:width], *[()] * (width - len(row))) for row in self._rows)
        self._rows = None
        self.blocks.append(Table(tuple(self._sides), rows, self._place()))

    def _place(self) -> Place:
        marker, self._marker = self._marker, ""
        return Place(tuple(self._nest), marker)

    def _settle_marker(self) -> None:
        """An item that begins with something other than text gets its mark on a line of its own."""
        if self._marker:
            self.blocks.append(Paragraph((), self._place()))


def _side(style: str) -> Side:
    return next((side for side in Side if side.value in style), Side.LEFT)


_LOOKS = {"strong": Look.BOLD, "em": Look.ITALIC, "s": Look.STRIKE}


def _spans(tokens: "list[Token]") -> Spans:
    """The pieces of one line of text, neighbours with the same look joined."""
    spans: list[Span] = []
    look, link, told_address = Look.PLAIN, None, ""
    for token in tokens:
        name, _, edge = token.type.rpartition("_")
        if name in _LOOKS:
            look = look | _LOOKS[name] if edge == "open" else look & ~_LOOKS[name]
        elif token.type == "link_open":
            address = str(token.attrs.get("href", ""))
            link = safe_link(address)
            told_address = "" if link else f" ({address})"
        elif token.type == "link_close":
            spans.append(Span(clean(told_address), look))
            link, told_address = None, ""
        else:
            spans += _pieces(token, look, link)
    return _joined(spans)


def _pieces(token: "Token", look: Look, link: str | None) -> list[Span]:
    match token.type:
        case "text" | "text_special":
            text = clean(_LINE_TAG.sub("\n", token.content))
            return [Span(text, look, link)] if link else list(_with_links(text, look))
        case "code_inline":
            return [Span(clean(token.content), look | Look.CODE, link)]
        case "softbreak" | "hardbreak":
            return [Span("\n", look, link)]
        case "image":
            return [Span(clean(f"[image: {token.content} - {token.attrs.get('src', '')}]"), look, link)]
        case _:
            return [Span(clean(token.content), look, link)]


def _with_links(text: str, look: Look) -> Iterator[Span]:
    """The text with the web addresses in it made into links."""
    end = 0
    for found in _BARE_LINK.finditer(text):
        if len(found[0]) > _LONGEST_ADDRESS:
            continue
        shown = _without_stop(found[0])
        if address := safe_link(without_breaks(shown)):
            yield Span(text[end : found.start()], look)
            yield Span(shown, look, address)
            end = found.start() + len(shown)
    yield Span(text[end:], look)


def _without_stop(address: str) -> str:
    """The address without the full stop, or the bracket around it, that belongs to the sentence."""
    while address[-1] in ".,:;!?'*_" or _is_closing(address):
        address = address[:-1]
    return address


def _is_closing(address: str) -> bool:
    last = address[-1]
    return last in _PAIRS and address.count(last) > address.count(_PAIRS[last])


_PAIRS = {")": "(", "]": "[", "}": "{"}


def _joined(spans: list[Span]) -> Spans:
    joined: list[Span] = []
    for span in spans:
        if not span.text:
            continue
        if joined and (joined[-1].look, joined[-1].link) == (span.look, span.link):
            joined[-1] = Span(joined[-1].text + span.text, span.look, span.link)
        else:
            joined.append(span)
    return tuple(joined)
