"""Colours for code, a few milliseconds at a time, so that a long listing never holds the window up."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QColor, QFont, QTextBlock, QTextCharFormat, QTextLayout

from carryon.ui import theme
from carryon.ui.markdown.blocks import Code
from carryon.ui.markdown.text_view import MarkdownText

SLICE_S = 0.004
LONGEST = 100_000  # characters; longer listings stay in one colour
PAUSE_S = 0.1  # code that is being written is coloured at most this often ...
SHARE = 10  # ... and takes at most a tenth of the time
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


@dataclass(frozen=True)
class Piece:
    """A part of a line in a colour; Qt counts in UTF-16 units."""

    start: int
    length: int
    role: str
    is_bold: bool


Pieces = tuple[Piece, ...]


class Painter(QObject):
    """Colours the code of one message; the text itself is not touched, so selections and positions stay."""

    def __init__(self, text: MarkdownText) -> None:
        super().__init__(text)
        self._text = text
        self._done: dict[int, Code] = {}
        self._worn: dict[int, list[Pieces]] = {}  # of each listing what its lines wear
        self._work: Iterator[None] | None = None
        self._spent_s = 0.0  # on the last listing
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._paint)

    def refresh(self, first: int) -> None:
        """The blocks from `first` on are new or longer."""
        for part in [one for one in self._done if one >= first]:
            del self._done[part]
        for part in [one for one in self._worn if one > first or not self._goes_on(one)]:
            del self._worn[part]
        if not self._timer.isActive() and self._next() is not None:
            self._timer.start(round(max(PAUSE_S, self._spent_s * SHARE) * 1000))

    def expose(self) -> None:
        """The message is seen: what is not coloured yet gets its turn."""
        if not self._timer.isActive() and self._next() is not None:
            self._timer.start(0)

    def _goes_on(self, part: int) -> bool:
        """Whether the listing's lines are those that were coloured, with more after them."""
        return part < len(self._text.blocks) and self._text.was_extended(part)

    def _next(self) -> int | None:
        """The first listing that is not coloured as it stands now."""
        for part, block in enumerate(self._text.blocks):
            if isinstance(block, Code) and self._done.get(part) is not block and len(block.text) <= LONGEST:
                return part
        return None

    def _paint(self) -> None:
        began_s = time.monotonic()
        while time.monotonic() < began_s + SLICE_S:
            if self._work is None:
                part = self._next()
                if part is None:
                    return
                self._work, self._spent_s = self._painting(part), 0.0
            if next(self._work, self) is self:
                self._work = None
        self._spent_s += time.monotonic() - began_s
        self._timer.start(0)

    def _painting(self, part: int) -> Iterator[None]:
        """Colours one listing line by line; gives up when it is written anew meanwhile."""
        block = self._text.blocks[part]
        assert isinstance(block, Code)
        self._done[part] = block
        worn = self._worn.setdefault(part, [])
        for number, pieces in enumerate(_lines(block)):
            if self._done.get(part) is not block:
                return
            if number >= len(worn):
                worn.append(())
            if pieces != worn[number]:
                worn[number] = pieces
                _wear(self._text.code_line(part, number), pieces)
            yield


def _wear(line: QTextBlock, pieces: Pieces) -> None:
    line.layout().setFormats([_range(piece) for piece in pieces])
    line.document().markContentsDirty(line.position(), line.length())


def _lines(code: Code) -> Iterator[Pieces]:
    """Of each line the pieces that have a colour."""
    lexer = _lexer(code.language)
    if lexer is None:
        return
    pieces: list[Piece] = []
    column = 0
    for kind, words in lexer.get_tokens(code.text):
        role = _role(str(kind).removeprefix("Token."))
        for number, piece in enumerate(words.split("\n")):
            if number:
                yield tuple(pieces)
                pieces, column = [], 0
            if role and piece:
                pieces.append(Piece(column, _utf16(piece), *role))
            column += _utf16(piece)
    yield tuple(pieces)


def _utf16(piece: str) -> int:
    return len(piece) if piece.isascii() else len(piece.encode("utf-16-le")) // 2


def _range(piece: Piece) -> QTextLayout.FormatRange:
    made = QTextLayout.FormatRange()
    made.start, made.length = piece.start, piece.length
    made.format = _format(getattr(theme.current(), piece.role), piece.is_bold)
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
