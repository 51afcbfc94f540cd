"""A text as it was marked up: selectable, readable by keyboard, code boxes and quote bars painted under the words."""

from bisect import bisect_right
from collections.abc import Iterator

from PySide6.QtCore import QMimeData, QPoint, QRectF, Qt, QUrl, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QImage,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTextBlock,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QFrame, QTextBrowser, QTextEdit, QWidget

from carryon.ui import theme
from carryon.ui.markdown import texts
from carryon.ui.markdown.blocks import Block, Code, Place, Rule
from carryon.ui.markdown.cleaning import without_breaks
from carryon.ui.markdown.document import CODE_HEADER, CODE_PADDING, Ink, Writer, bars_of, left_of
from carryon.ui.widgets.controls import icon_button

_SCROLLS = (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)
_BY_KEYBOARD = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason, Qt.FocusReason.ShortcutFocusReason)
_FLAGS = Qt.TextInteractionFlag


class MarkdownText(QTextBrowser):
    """As high as its text; what is around it scrolls."""

    link_wanted = Signal(str)
    focus_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("message")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setLineWrapMode(QTextEdit.LineWrapMode.FixedPixelWidth)  # so that a new height lays out nothing again
        self.setTextInteractionFlags(_FLAGS.TextBrowserInteraction | _FLAGS.TextSelectableByKeyboard)
        self.setOpenLinks(False)
        self.setTabChangesFocus(False)
        self.viewport().setAutoFillBackground(False)
        self.anchorClicked.connect(
            lambda url: self.link_wanted.emit(url.toString(QUrl.ComponentFormattingOption.FullyEncoded))
        )
        self._ink = Ink.now()
        self._writer = Writer(self.document(), self._ink)
        self.has_ring = False  # the keyboard has led here
        self._copies: dict[int, QWidget] = {}
        self._exposed = (0.0, 0.0)

    def replace_from(self, keep: int, blocks: tuple[Block, ...]) -> int:
        """Writes blocks after the first `keep`; returns the index of the first that is new."""
        first = self._writer.replace_from(keep, blocks)
        self._place_copies()
        return first

    @property
    def blocks(self) -> list[Block]:
        return self._writer.blocks

    def was_extended(self, part: int) -> bool:
        """Whether a block was made longer by the last change, rather than written anew."""
        return part == self._writer.extended

    def set_width(self, width: int) -> None:
        """Breaks the lines for this width."""
        if width != self.lineWrapColumnOrWidth():
            self.setLineWrapColumnOrWidth(width)

    def needed_height(self) -> int:
        """The height of the text at its width."""
        below = theme.px(CODE_PADDING) if self.blocks and isinstance(self.blocks[-1], Code) else 0
        return round(self.document().size().height()) + below

    def ideal_width(self) -> int:
        """The width that the text would take if no line were broken."""
        return round(self.document().idealWidth()) + 1

    def code_line(self, part: int, number: int) -> QTextBlock:
        """A line of a code block, counted from 0."""
        return self.document().findBlockByNumber(self._ends(part)[0].blockNumber() + number)

    def copies(self) -> list[QWidget]:
        """The copy buttons on the code that is seen, from top to bottom."""
        return [self._copies[part] for part in sorted(self._copies)]

    def expose(self, top: float, bottom: float) -> None:
        """Says which part of the text is seen: only there are copy buttons."""
        self._exposed = (top, bottom)
        self._place_copies()

    def loadResource(self, kind: int, url: QUrl | str) -> QImage:
        """Loads nothing, ever. An empty answer would make Qt try its own loader, so it is an image of one pixel."""
        image = QImage(1, 1, QImage.Format.Format_ARGB32)
        image.fill(0)
        return image

    def createMimeDataFromSelection(self) -> QMimeData:
        """Plain text without the places to break, so that what is pasted is what was written."""
        made = QMimeData()
        text = self.textCursor().selectedText().replace("\u2029", "\n").replace("\u2028", "\n").replace("\xa0", " ")
        made.setText(without_breaks(text).replace("\t", " "))
        return made

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.has_ring = event.reason() in _BY_KEYBOARD
        self.focus_changed.emit()
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.has_ring = False
        self.focus_changed.emit()
        super().focusOutEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_copies()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the transcript scrolls

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in _SCROLLS:
            event.ignore()
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for part in self._parts(event.rect().top(), event.rect().bottom()):
            self._paint_under(painter, part)
        painter.end()
        super().paintEvent(event)

    def _parts(self, top: float, bottom: float) -> Iterator[int]:
        """The indices of the blocks that are seen between two heights."""
        if not self.blocks:
            return
        seen = self.cursorForPosition(QPoint(0, int(top))).position()
        part = max(0, bisect_right(self._writer.starts, seen) - 2)
        while part < len(self.blocks):
            yield part
            if self._extent(part)[0] > bottom:
                return
            part += 1

    def _ends(self, part: int) -> tuple[QTextBlock, QTextBlock]:
        """The first and the last text block of a block of markdown."""
        starts, document = self._writer.starts, self.document()
        is_last = part + 1 == len(starts)
        last = document.lastBlock() if is_last else document.findBlock(starts[part + 1] - 1)
        return document.findBlock(starts[part]), last

    def _extent(self, part: int) -> tuple[float, float]:
        """Top and bottom of a block's words."""
        first, last = self._ends(part)
        layout = self.document().documentLayout()
        return layout.blockBoundingRect(first).top(), layout.blockBoundingRect(last).bottom()

    def _paint_under(self, painter: QPainter, part: int) -> None:
        block = self.blocks[part]
        if bars := bars_of(block.place):
            self._paint_bars(painter, part, bars)
        if isinstance(block, Code):
            self._paint_code(painter, part, block)
        elif isinstance(block, Rule):
            top, bottom = self._extent(part)
            line = QRectF(left_of(block.place), (top + bottom) // 2, self.viewport().width(), 1)
            painter.fillRect(line, QColor(self._ink.border))

    def _paint_bars(self, painter: QPainter, part: int, bars: tuple[int, ...]) -> None:
        top, bottom = self._outer(part)
        before = bars_of(self.blocks[part - 1].place) if part else ()
        for left in bars:
            begin = self._outer(part - 1)[1] if left in before else top
            painter.fillRect(QRectF(left, begin, theme.px(3), bottom - begin), QColor(self._ink.border))

    def _paint_code(self, painter: QPainter, part: int, block: Code) -> None:
        box = self._code_box(part, block.place)
        painter.setPen(QPen(QColor(self._ink.border), 1))
        painter.setBrush(QColor(self._ink.sunken))
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), theme.px(8), theme.px(8))
        font = QFont(self.font())
        font.setPixelSize(theme.px(12))
        painter.setFont(font)
        painter.setPen(QColor(self._ink.soft))
        header = box.adjusted(theme.px(CODE_PADDING), 0, 0, 0)
        header.setHeight(theme.px(CODE_HEADER))
        painter.drawText(header, Qt.AlignmentFlag.AlignVCenter, block.language or texts.CODE)

    def _outer(self, part: int) -> tuple[float, float]:
        """Top and bottom of a block with the box around it."""
        if isinstance(self.blocks[part], Code):
            box = self._code_box(part, self.blocks[part].place)
            return box.top(), box.bottom()
        return self._extent(part)

    def _code_box(self, part: int, place: Place) -> QRectF:
        top, bottom = self._extent(part)
        left = left_of(place)
        top -= theme.px(CODE_HEADER)
        return QRectF(left, top, self.viewport().width() - left, bottom - top + theme.px(CODE_PADDING))

    def _place_copies(self) -> None:
        """Puts a copy button on every code block that is seen."""
        seen = {part for part in self._parts(*self._exposed) if isinstance(self.blocks[part], Code)}
        for part in [*self._copies]:
            if part not in seen:
                self._copies.pop(part).deleteLater()
        for part in seen:
            if part not in self._copies:
                self._copies[part] = self._copy_button(part)
            button, box = self._copies[part], self._code_box(part, self.blocks[part].place)
            button.move(round(box.right()) - button.width() - theme.px(4), round(box.top()) + theme.px(3))

    def _copy_button(self, part: int) -> QWidget:
        button = icon_button(texts.COPY_CODE, "ph.copy", lambda: self._copy_code(part))
        button.setParent(self.viewport())
        button.adjustSize()
        button.show()
        return button

    def _copy_code(self, part: int) -> None:
        block = self.blocks[part]
        assert isinstance(block, Code)
        QApplication.clipboard().setText(without_breaks(block.text))
