"""A text that grows at its end, as blocks: what is finished is parsed once, only the open end again; no Qt.

A block of the top level is finished as soon as the next one has begun with a whole line: in CommonMark nothing that
follows can change it then. In a list the same holds for its items.
"""

import re
from dataclasses import dataclass

from carryon.ui.markdown.blocks import Block
from carryon.ui.markdown.parsing import Section, sections

# the beginning of a list item, a rule or a fence would flash up as a heading or as text until its line is whole;
# a row of a table comes as a whole, and its header not before the line under it
_UNDECIDED = re.compile(
    r"(?:^|\n) {0,3}(?:[-=+*_#>]+|[`~]{1,2}|\d{1,9}[.)]?|\|?[-:| ]*)[ \t]*\Z"
    r"|(?:^|\n) {0,3}\|[^\n]*\Z"
    r"|(?:^|\n\n) {0,3}\|[^\n]*\n(?: {0,3}\|?[-:| ]*)?\Z"
)
_OPEN_LINK = re.compile(r"\[([^\]\n]*)\]\([^)\s]*\Z")  # its address is still on the way


@dataclass(frozen=True)
class Change:
    """The first `keep` blocks stay as they are, and these follow; the first `closed` of them will never change."""

    keep: int
    blocks: tuple[Block, ...]
    closed: int = 0


class Growing:
    """Takes words and tells what changes."""

    def __init__(self) -> None:
        self._open = ""  # the source of what may still change
        self._number: int | None = None  # of the first item in it, where a list goes on
        self._kept = 0

    def add(self, words: str) -> Change:
        """More text has come."""
        self._open += words
        closed = self._close() if "\n" in words else ()
        shown = sections(_shown(self._open), self._number)
        change = Change(self._kept, (*closed, *_blocks(shown)), len(closed))
        self._kept += len(closed)
        return change

    def end(self) -> Change:
        """The text is complete."""
        return Change(self._kept, _blocks(sections(self._open, self._number)))

    def _close(self) -> tuple[Block, ...]:
        """Moves on to the last block, or list item, that begins in a whole line, and returns what lies before it."""
        whole, _, rest = self._open.rpartition("\n")
        found = sections(whole, self._number)
        if not found:
            return ()
        last = found[-1]
        line = last.first_line if last.last_item_line is None else last.last_item_line
        if line == 0:
            return ()
        lines = whole.split("\n")
        before = _blocks(sections("\n".join(lines[:line]), self._number))
        self._open = "\n".join([*lines[line:], rest])
        self._number = last.last_number if last.last_item_line is not None else None
        return before


def _shown(text: str) -> str:
    """What of a text that goes on is shown: without lines that are undecided, with open marks closed."""
    text = _UNDECIDED.sub("\n", text)
    if "```" in text or "~~~" in text:
        return text
    before, blank, last = text.rpartition("\n\n")
    last = last.rstrip("*`~")  # the begin of a mark, or one that is closed again at once
    for mark in ("`", "**", "~~"):
        if last.count(mark) % 2:
            last = last.rstrip() + mark
    return before + blank + _OPEN_LINK.sub(r"\1", last)


def _blocks(found: tuple[Section, ...]) -> tuple[Block, ...]:
    return tuple(block for section in found for block in section.blocks)
