"""Draws blocks of markdown into a text document, block by block, so that only what changes is laid out again."""

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontDatabase,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFrameFormat,
    QTextLength,
    QTextOption,
    QTextTable,
    QTextTableCellFormat,
    QTextTableFormat,
)

from carryon.ui import theme
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

BODY_PX, CODE_PX = 15, 13
_LIST_INDENT, _QUOTE_INDENT = 24, 16
_DEEPEST = 8  # levels beyond are drawn at this one, else no room is left for words
CODE_PADDING, CODE_HEADER = 12, 30


@dataclass(frozen=True)
class Ink:
    """The palette and the sizes a document is drawn with."""

    text: str
    soft: str
    accent: str
    sunken: str
    border: str
    body_px: int
    code_px: int
    family: str

    @classmethod
    def now(cls) -> "Ink":
        """As the theme has it now."""
        palette = theme.current()
        family = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
        return cls(
            palette.text,
            palette.soft,
            palette.accent,
            palette.sunken,
            palette.border,
            theme.px(BODY_PX),
            theme.px(CODE_PX),
            family,
        )


class Writer:
    """Writes blocks at the end of one document and can take back from any block on."""

    def __init__(self, document: QTextDocument, ink: Ink) -> None:
        self._document, self._ink = document, ink
        document.setUndoRedoEnabled(False)
        document.setDocumentMargin(0)
        self._cursor = QTextCursor(document)
        self.blocks: list[Block] = []
        self.starts: list[int] = []  # of each block the position of its first character
        self.extended: int | None = None  # the block that the last change made longer
        self._last_table: QTextTable | None = None  # of the last block, while it can grow
        self._is_fresh = True  # nothing is written yet
        self._base = _Formats(ink)

    def replace_from(self, keep: int, blocks: tuple[Block, ...]) -> int:
        """Keeps the first blocks and writes the others after them, but leaves alone what is the same already.

        Returns the index of the first block that was changed.
        """
        self.extended = None
        same = keep
        while same < len(self.blocks) and same - keep < len(blocks) and self.blocks[same] == blocks[same - keep]:
            same += 1
        rest = blocks[same - keep :]
        if same == len(self.blocks) and not rest:
            return same
        self._cursor.beginEditBlock()
        if same == len(self.blocks) - 1 and rest and self._extend(rest[0]):
            self.extended = same
            same, rest = same + 1, rest[1:]
        self._cut(same)
        for block in rest:
            self._write(block)
        self._cursor.endEditBlock()
        return same if self.extended is None else self.extended

    def _extend(self, block: Block) -> bool:
        """Adds what was added to the last block; False if it must be written anew."""
        match self.blocks[-1], block:
            case Code(language, text, place), Code() if text and block.text.startswith(text):
                if (language, place) != (block.language, block.place):
                    return False
                self._cursor.movePosition(QTextCursor.MoveOperation.End)
                self._code_lines(block.text[len(text) :], place)
            case Table(sides, rows, place), Table() if block.rows[: len(rows)] == rows:
                if (sides, place) != (block.sides, block.place) or self._last_table is None:
                    return False
                self._last_table.appendRows(len(block.rows) - len(rows))
                self._fill(self._last_table, block, len(rows))
            case _:
                return False
        self.blocks[-1] = block
        return True

    def _cut(self, keep: int) -> None:
        """Takes the blocks from `keep` on out of the document, the separator before them included."""
        if keep >= len(self.blocks):
            return
        self._cursor.setPosition(max(0, self.starts[keep] - 1))
        format_, look = self._cursor.blockFormat(), self._cursor.blockCharFormat()
        self._cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        self._cursor.removeSelectedText()
        if self._cursor.blockFormat() != format_:  # an empty block takes on the format of what was cut off
            self._cursor.setBlockFormat(format_)
            self._cursor.setBlockCharFormat(look)
        self._is_fresh = keep == 0
        self._last_table = None
        del self.blocks[keep:], self.starts[keep:]

    def _write(self, block: Block) -> None:
        self._cursor.movePosition(QTextCursor.MoveOperation.End)
        gap = self._gap(block)
        self._last_table = None
        match block:
            case Paragraph():
                self._paragraph(block, gap)
            case Heading():
                self._heading(block, gap)
            case Code():
                self._code(block, gap)
            case Table():
                self._table(block, gap)
            case Rule():
                self._rule(block, gap)
        self.blocks.append(block)

    def _gap(self, block: Block) -> int:
        """The space above a block: lists are set close, headings stand off from what is before them."""
        if not self.blocks:
            return 0
        before = self.blocks[-1]
        under_code = theme.px(CODE_PADDING) if isinstance(before, Code) else 0
        return under_code + theme.px(_gap(before, block))

    def _open(self, format_: QTextBlockFormat, look: QTextCharFormat) -> None:
        """Begins a text block at the end of the document."""
        if self._is_fresh:
            self._cursor.setBlockFormat(format_)
            self._cursor.setBlockCharFormat(look)
            self._cursor.setCharFormat(look)
            self._is_fresh = False
        else:
            self._cursor.insertBlock(format_, look)

    def _begin(self, format_: QTextBlockFormat, look: QTextCharFormat) -> None:
        """Begins the first text block of a block of markdown."""
        self._open(format_, look)
        self.starts.append(self._cursor.position())

    def _paragraph(self, block: Paragraph, gap: int) -> None:
        format_ = self._placed(block.place, gap)
        self._begin(format_, self._base.plain(block.place))
        if block.place.marker:
            self._cursor.insertText(block.place.marker + "\t", self._base.marker(block.place))
        self._spans(block.spans, block.place)

    def _heading(self, block: Heading, gap: int) -> None:
        format_ = self._placed(block.place, gap)
        format_.setHeadingLevel(block.level)
        format_.setLineHeight(125, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        self._begin(format_, self._base.heading(block.level))
        if block.place.marker:
            self._cursor.insertText(block.place.marker + "\t", self._base.marker(block.place))
        self._spans(block.spans, block.place, self._base.heading(block.level))

    def _code(self, block: Code, gap: int) -> None:
        if self._is_fresh:  # Qt leaves out the margin above the first block, and the header needs it
            self._open(self._spacer(0), self._base.tiny)
        format_ = self._code_format(block.place)
        format_.setTopMargin(gap + theme.px(CODE_HEADER))
        self._begin(format_, self._base.code)
        self._code_lines(block.text, block.place)

    def _code_lines(self, text: str, place: Place) -> None:
        format_ = self._code_format(place)
        first, *others = text.split("\n")
        self._cursor.insertText(first, self._base.code)
        for line in others:
            self._cursor.insertBlock(format_, self._base.code)
            self._cursor.insertText(line, self._base.code)

    def _code_format(self, place: Place) -> QTextBlockFormat:
        format_ = self._placed(place, 0)
        format_.setTextIndent(0)
        format_.setLeftMargin(format_.leftMargin() + theme.px(CODE_PADDING))
        format_.setRightMargin(theme.px(CODE_PADDING))
        format_.setLineHeight(130, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        format_.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        return format_

    def _rule(self, block: Rule, gap: int) -> None:
        format_ = self._placed(block.place, gap)
        format_.setLineHeight(theme.px(8), QTextBlockFormat.LineHeightTypes.FixedHeight.value)
        self._begin(format_, self._base.tiny)

    def _table(self, block: Table, gap: int) -> None:
        self._begin(self._spacer(0), self._base.tiny)  # Qt gives an empty block before a table no height at all
        table = self._cursor.insertTable(len(block.rows), len(block.sides), self._table_format(block, gap))
        self._fill(table, block, 0)
        self._last_table = table
        self._cursor.movePosition(QTextCursor.MoveOperation.End)  # into the block that Qt wants after a table
        self._cursor.setBlockFormat(self._spacer(0))
        self._cursor.setBlockCharFormat(self._base.tiny)

    def _fill(self, table: QTextTable, block: Table, first: int) -> None:
        """Writes the rows from `first` on into their cells."""
        for number in range(first, len(block.rows)):
            look = self._base.plain(Place()) if number else self._base.bold
            for column, spans in enumerate(block.rows[number]):
                cell = table.cellAt(number, column)
                cell.setFormat(self._base.cell(is_header=number == 0, is_first=column == 0))
                cursor = cell.firstCursorPosition()
                cursor.setBlockFormat(self._cell_format(block.sides[column]))
                self._spans(spans, Place(), look, cursor)

    def _table_format(self, block: Table, gap: int) -> QTextTableFormat:
        format_ = QTextTableFormat()
        format_.setTopMargin(gap)
        format_.setBorder(0)
        format_.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_None)
        format_.setCellPadding(0)
        format_.setCellSpacing(0)
        format_.setBorderCollapse(True)
        format_.setHeaderRowCount(1)
        format_.setLeftMargin(left_of(block.place))
        format_.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
        return format_

    def _cell_format(self, side: Side) -> QTextBlockFormat:
        format_ = QTextBlockFormat()
        format_.setAlignment(_SIDES[side])
        format_.setLineHeight(130, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        return format_

    def _spacer(self, height: int) -> QTextBlockFormat:
        format_ = QTextBlockFormat()
        format_.setLineHeight(max(1, height), QTextBlockFormat.LineHeightTypes.FixedHeight.value)
        return format_

    def _placed(self, place: Place, gap: int) -> QTextBlockFormat:
        format_ = QTextBlockFormat()
        format_.setTopMargin(gap)
        format_.setLineHeight(145, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        format_.setLeftMargin(left_of(place))
        if place.marker:
            indent = theme.px(_LIST_INDENT)
            format_.setTextIndent(-indent)
            format_.setTabPositions([QTextOption.Tab(indent, QTextOption.TabType.LeftTab)])
        return format_

    def _spans(
        self, spans: Spans, place: Place, base: QTextCharFormat | None = None, cursor: QTextCursor | None = None
    ) -> None:
        base = base or self._base.plain(place)
        for span in spans:
            (cursor or self._cursor).insertText(span.text.replace("\n", "\u2028"), self._base.span(span, base))


_SIDES = {
    Side.LEFT: Qt.AlignmentFlag.AlignLeft,
    Side.RIGHT: Qt.AlignmentFlag.AlignRight,
    Side.CENTRE: Qt.AlignmentFlag.AlignHCenter,
}
_INDENTS = {Nest.LIST: _LIST_INDENT, Nest.QUOTE: _QUOTE_INDENT}


def left_of(place: Place) -> int:
    """How far from the left edge the words of a place begin, in pixels."""
    return sum(theme.px(_INDENTS[nest]) for nest in place.nest[:_DEEPEST])


def bars_of(place: Place) -> tuple[int, ...]:
    """Where the bars of the quotes around a place stand, in pixels from the left edge."""
    edges, left = [], 0
    for nest in place.nest[:_DEEPEST]:
        if nest is Nest.QUOTE:
            edges.append(left)
        left += theme.px(_INDENTS[nest])
    return tuple(edges)


def _gap(before: Block, block: Block) -> int:
    if isinstance(block, Heading):
        return 18
    if isinstance(before, Heading):
        return 6
    is_list = Nest.LIST in block.place.nest and Nest.LIST in before.place.nest
    return 4 if is_list and isinstance(before, Paragraph) and isinstance(block, Paragraph) else 10


class _Formats:
    """The character formats, made once for a document."""

    def __init__(self, ink: Ink) -> None:
        self._ink = ink
        self._plain = self._of(ink.body_px, ink.text)
        self._quoted = self._of(ink.body_px, ink.soft)
        self.bold = self._of(ink.body_px, ink.text)
        self.bold.setFontWeight(QFont.Weight.DemiBold)
        self.tiny = self._of(1, ink.text)
        self.code = self._of(ink.code_px, ink.text)
        self._fix(self.code)

    def plain(self, place: Place) -> QTextCharFormat:
        return self._quoted if Nest.QUOTE in place.nest else self._plain

    def marker(self, place: Place) -> QTextCharFormat:
        format_ = QTextCharFormat(self.plain(place))
        format_.setForeground(QColor(self._ink.soft))
        return format_

    def heading(self, level: int) -> QTextCharFormat:
        px = round(self._ink.body_px * (1.4, 1.25, 1.1, 1.0, 1.0, 1.0)[level - 1])
        format_ = self._of(px, self._ink.text)
        format_.setFontWeight(QFont.Weight.DemiBold)
        return format_

    def span(self, span: Span, base: QTextCharFormat) -> QTextCharFormat:
        if not span.look and not span.link:
            return base
        format_ = QTextCharFormat(base)
        if Look.BOLD in span.look:
            format_.setFontWeight(QFont.Weight.DemiBold)
        if Look.ITALIC in span.look:
            format_.setFontItalic(True)
        if Look.STRIKE in span.look:
            format_.setFontStrikeOut(True)
        if Look.CODE in span.look:
            self._fix(format_)
            format_.setProperty(QTextFormat.Property.FontPixelSize, self._ink.code_px)
            format_.setBackground(QBrush(QColor(self._ink.sunken)))
        if span.link:
            format_.setAnchor(True)
            format_.setAnchorHref(span.link)
            format_.setForeground(QColor(self._ink.accent))
            format_.setFontUnderline(True)
        return format_

    def _of(self, px: int, colour: str) -> QTextCharFormat:
        format_ = QTextCharFormat()
        format_.setProperty(QTextFormat.Property.FontPixelSize, px)
        format_.setForeground(QColor(colour))
        return format_

    def cell(self, *, is_header: bool, is_first: bool) -> QTextTableCellFormat:
        """A cell with a hairline under it; the first column stands flush with the text."""
        format_ = QTextTableCellFormat()
        format_.setTopPadding(theme.px(5))
        format_.setBottomPadding(theme.px(6))
        format_.setLeftPadding(0 if is_first else theme.px(10))
        format_.setRightPadding(theme.px(10))
        format_.setBottomBorder(1)
        format_.setBottomBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
        format_.setBottomBorderBrush(QBrush(QColor(self._ink.soft if is_header else self._ink.border)))
        return format_

    def _fix(self, format_: QTextCharFormat) -> None:
        format_.setFontFamilies([self._ink.family, "monospace"])
        format_.setFontFixedPitch(True)
