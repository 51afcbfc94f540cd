"""Colours for code, a few milliseconds at a time, so that a long listing never holds the window up."""

import time
from collections.abc import Iterator
from functools import cache
from typing import Any

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QColor, QFont, QTextBlock, QTextCharFormat, QTextLayout

from carryon.ui import theme
from carryon.ui.chat.markdown import Code
from carryon.ui.chat.message_text import MessageText

SLICE_S = 0.004
LONGEST = 100_000  # characters; longer listings stay in one colour
PAUSE_MS = 250  # code that is being written is coloured at most this often
# pygments' token types, by their names, and the palette's role that they wear; the first that fits counts
_ROLES = (
    ("Comment", "soft", False),
    ("Keyword", "accent", True),
    ("Name.Builtin", "weights", False),
    ("Name.Function", "weights", False),
    ("Name.Class", "weights", True),
    ("Name.Decorator", "warn", False),
    ("Name.Tag", "accent", False),
    ("Name.Attribute", "weights", False),
    ("String", "good", False),
    ("Number", "warn", False),
    ("Operator.Word", "accent", True),
    ("Generic.Deleted", "bad", False),
    ("Generic.Inserted", "good", False),
    ("Generic.Heading", "text", True),
)


class Painter(QObject):
    """Colours the code of one message; the text itself is not touched, so selections and positions stay."""

    def __init__(self, text: MessageText) -> None:
        super().__init__(text)
        self._text = text
        self._done: dict[int, Code] = {}
        self._work: Iterator[None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._paint)

    def refresh(self, first: int) -> None:
        """The blocks from `first` on are new."""
        for part in [one for one in self._done if one >= first]:
            del self._done[part]
        if not self._timer.isActive() and self._next() is not None:
            self._timer.start(PAUSE_MS)

    def expose(self) -> None:
        """The message is seen: what is not coloured yet gets its turn."""
        if not self._timer.isActive() and self._next() is not None:
            self._timer.start(0)

    def _next(self) -> int | None:
        return next(
            (
                part
                for part, block in enumerate(self._text.blocks)
                if isinstance(block, Code) and self._done.get(part) is not block and len(block.text) <= LONGEST
            ),
            None,
        )

    def _paint(self) -> None:
        deadline_s = time.monotonic() + SLICE_S
        while time.monotonic() < deadline_s:
            if self._work is None:
                part = self._next()
                if part is None:
                    return
                self._work = self._painting(part)
            if next(self._work, self) is self:
                self._work = None
        self._timer.start(0)

    def _painting(self, part: int) -> Iterator[None]:
        """Colours one listing line by line; gives up when it is written anew meanwhile."""
        block = self._text.blocks[part]
        assert isinstance(block, Code)
        self._done[part] = block
        lines = self._text.code_lines(part)
        for ranges in _line_formats(block):
            if self._done.get(part) is not block:
                return
            line = next(lines, None)
            if line is None:
                return
            _wear(line, ranges)
            yield


def _wear(line: QTextBlock, ranges: list[QTextLayout.FormatRange]) -> None:
    if ranges or line.layout().formats():
        line.layout().setFormats(ranges)
        line.document().markContentsDirty(line.position(), line.length())


def _line_formats(code: Code) -> Iterator[list[QTextLayout.FormatRange]]:
    """Of each line the pieces that have a colour."""
    lexer = _lexer(code.language)
    if lexer is None:
        return
    ranges: list[QTextLayout.FormatRange] = []
    column = 0
    for kind, words in lexer.get_tokens(code.text):
        role = _role(str(kind).removeprefix("Token."))
        for number, piece in enumerate(words.split("\n")):
            if number:
                yield ranges
                ranges, column = [], 0
            if role and piece:
                ranges.append(_range(column, _utf16(piece), *role))
            column += _utf16(piece)
    yield ranges


def _utf16(piece: str) -> int:
    """Qt counts in UTF-16 units."""
    return len(piece) if piece.isascii() else len(piece.encode("utf-16-le")) // 2


def _range(start: int, length: int, role: str, is_bold: bool) -> QTextLayout.FormatRange:
    made = QTextLayout.FormatRange()
    made.start, made.length = start, length
    made.format = _format(getattr(theme.current(), role), is_bold)
    return made


@cache
def _format(colour: str, is_bold: bool) -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(QColor(colour))
    if is_bold:
        made.setFontWeight(QFont.Weight.DemiBold)
    return made


@cache
def _role(kind: str) -> tuple[str, bool] | None:
    return next(((role, is_bold) for name, role, is_bold in _ROLES if name in kind), None)


@cache
def _lexer(language: str) -> Any:
    """The lexer for what a fence says, or None; pygments is imported when the first code is seen."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False) if language else None
    except ClassNotFound:
        return None
