"""One message: its text, page by page, and the row under it with figures, state and buttons."""

import time

from PySide6.QtCore import QRect, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QApplication, QHBoxLayout, QWidget

from carryon.chat.message import Message, Role, State
from carryon.ui import theme
from carryon.ui.chat import texts
from carryon.ui.markdown.growing import Growing
from carryon.ui.markdown.highlight import Painter
from carryon.ui.markdown.parsing import plain_blocks
from carryon.ui.markdown.text_view import MarkdownText
from carryon.ui.widgets.controls import button, icon_button, label

PAGE = 200_000  # characters shown before "Show more"
PIECE = 4_000  # characters drawn in one go: a few milliseconds
AT_ONCE_S = 0.012  # how long a message may take to appear; the rest follows piece by piece
MARGIN = 8  # around the text, where the focus ring is
_BUBBLE_X, _BUBBLE_Y = 14, 10
_UNDER_LINE = 5  # the line height leaves room under the last line that a bubble has already
_COPIED_MS = 1_500


class MessageView(QWidget):
    """Draws itself for a given width and says how high it is."""

    link_wanted = Signal(str)
    regenerate_wanted = Signal()
    edit_wanted = Signal()
    grown = Signal()  # more of the text is drawn, or another row is shown

    def __init__(self, message: Message, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.message = message
        self._is_user = message.role is Role.USER
        self._is_last = False
        self._full = message.text
        self._drawn = 0
        self._limit = PAGE
        self._growing = Growing()
        self._ended_at: tuple[int, bool] | None = None  # how much was drawn, and whether more was to come
        self._reserved = 0
        self._bubble = QRect()
        self.text = MarkdownText(self)
        self.text.link_wanted.connect(self.link_wanted)
        self.text.focus_changed.connect(self.update)
        self._painter = Painter(self.text)
        self._more = button("", "link", on_click=self._show_more)
        self._row = QWidget(self)
        self._more.setParent(self)
        self._more.hide()
        self._words = label("", "soft", wraps=True)
        self._copy = icon_button(texts.COPY, "ph.copy", self.copy)
        self._again = icon_button(texts.REGENERATE, "ph.arrow-clockwise", self.regenerate_wanted.emit)
        self._edit = icon_button(texts.EDIT, "ph.pencil-simple", self.edit_wanted.emit)
        self._arrange()
        self.change(message)
        self.draw(time.monotonic() + AT_ONCE_S)

    # what it shows

    def change(self, message: Message) -> None:
        """Another state, or a text that differs from what was streamed."""
        if not message.text.startswith(self._full):
            self._growing, self._drawn = Growing(), 0
        self.message, self._full = message, message.text
        self.text.setAccessibleName(texts.author(message))
        self._show_row()

    def add_words(self, words: str) -> None:
        """The answer goes on; it is drawn with the next `draw`."""
        if not self._full:
            self._row.hide()
        self._full += words

    def show_reading(self, words: str) -> None:
        """Before the first word: how far the prompt is."""
        if not self._full:
            self._words.setText(words)
            self._row.show()

    def set_last(self, is_last: bool) -> None:
        """Only the last question can be changed and only the last answer asked for again."""
        if is_last != self._is_last:
            self._is_last = is_last
            self._show_row()

    @property
    def is_behind(self) -> bool:
        """There is text that should be seen and is not drawn yet."""
        return self._drawn < min(len(self._full), self._limit) or not self._is_ended

    @property
    def is_in_use(self) -> bool:
        """Somebody reads or selects here."""
        focused = QApplication.focusWidget()
        return self.text.textCursor().hasSelection() or (focused is not None and self.isAncestorOf(focused))

    def draw(self, deadline_s: float) -> None:
        """Draws what is not drawn yet, one piece at least, until a time of `time.monotonic`."""
        end = min(len(self._full), self._limit)
        if self._is_user:
            self._draw_whole(end)
        else:
            self._draw_pieces(end, deadline_s)
        self._show_more_button()

    def stops(self) -> list[QWidget]:
        """Where the keyboard halts, in order."""
        return [self.text, *self.text.copies(), self._more, self._edit, self._copy, self._again]

    def copy(self) -> None:
        """Puts the message on the clipboard as it was written, markdown and all."""
        QApplication.clipboard().setText(self._full)
        self._copy.setToolTip(texts.COPIED)
        theme.dress(self._copy, "ph.check", "good")
        QTimer.singleShot(_COPIED_MS, self._copy, self._offer_copy)

    # how large it is

    def reserve(self, height: int) -> None:
        """The height it had before: until all of it is drawn it is no smaller, so nothing jumps."""
        self._reserved = height

    def fit(self, width: int) -> int:
        """Lays itself out for this width and returns the height."""
        margin = theme.px(MARGIN)
        inner = width - 2 * margin
        bottom = self._fit_bubble(inner, margin) if self._is_user else self._fit_text(inner, margin)
        if not self._more.isHidden():
            self._more.setGeometry(margin, bottom, inner, self._more.sizeHint().height())
            bottom += self._more.height()
        if not self._row.isHidden():
            height = max(self._row.heightForWidth(inner), self._row.minimumSizeHint().height())
            self._row.setGeometry(margin, bottom + theme.px(4), inner, height)
            bottom += height + theme.px(4)
        height = bottom + margin // 2
        if self.is_behind:
            return max(height, self._reserved)
        self._reserved = 0
        return height

    def expose(self, top: int, bottom: int) -> None:
        """Says which of its own heights are seen."""
        above = self.text.y()
        self.text.expose(top - above, bottom - above)
        self._painter.expose()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = theme.current()
        if self._is_user:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(palette.user))
            painter.drawRoundedRect(self._bubble, theme.px(12), theme.px(12))
        if self.text.has_ring:
            painter.setPen(QPen(QColor(palette.focus), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            ring = self._bubble if self._is_user else self.rect()
            painter.drawRoundedRect(ring.adjusted(1, 1, -1, -1), theme.px(10), theme.px(10))

    # drawing

    @property
    def _is_ended(self) -> bool:
        return self._is_user or self._ended_at == (self._drawn, self._is_streaming)

    @property
    def _is_streaming(self) -> bool:
        return self.message.state is State.STREAMING

    def _draw_whole(self, end: int) -> None:
        if end != self._drawn:
            self.text.replace_from(0, plain_blocks(self._full[:end]))
            self._drawn = end

    def _draw_pieces(self, end: int, deadline_s: float) -> None:
        while self._drawn < end:
            piece = self._full[self._drawn : min(end, self._drawn + PIECE)]
            change = self._growing.add(piece)
            self._painter.refresh(self.text.replace_from(change.keep, change.blocks))
            self._drawn += len(piece)
            if time.monotonic() > deadline_s:
                break
        if self._drawn == end:
            self._end()

    def _end(self) -> None:
        """What is still open is drawn as it stands."""
        if not self._is_streaming and not self._is_ended:
            change = self._growing.end()
            self._painter.refresh(self.text.replace_from(change.keep, change.blocks))
        self._ended_at = (self._drawn, self._is_streaming)

    def _show_more(self) -> None:
        self._limit += PAGE
        self._more.hide()
        self.draw(time.monotonic() + AT_ONCE_S)
        self.grown.emit()

    def _show_more_button(self) -> None:
        left = len(self._full) - self._limit
        self._more.setVisible(left > 0)
        if left > 0:
            self._more.setText(texts.show_more(left))
            self._more.setAccessibleName(texts.show_more(left))

    # layout

    def _arrange(self) -> None:
        row = QHBoxLayout(self._row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(4))
        row.addWidget(self._words, 1)
        for one in (self._edit, self._copy, self._again):
            row.addWidget(one, 0, Qt.AlignmentFlag.AlignTop)

    def _show_row(self) -> None:
        if self._is_user:
            self._row.setVisible(self._is_last)
            self._edit.setVisible(self._is_last)
            self._again.hide()
            return
        is_done = not self._is_streaming
        self._words.setText(texts.footer(self.message) if is_done else texts.READING)
        self._row.setVisible(is_done or not self._full)
        self._copy.setVisible(is_done and bool(self._full))
        self._again.setVisible(is_done and self._is_last)
        self._edit.hide()

    def _fit_text(self, inner: int, margin: int) -> int:
        self.text.set_width(inner)
        height = self.text.needed_height() if self._full else 0
        self.text.setGeometry(margin, margin // 2, inner, height)
        self.text.setVisible(bool(self._full))
        return margin // 2 + height

    def _fit_bubble(self, inner: int, margin: int) -> int:
        pad_x, pad_y = theme.px(_BUBBLE_X), theme.px(_BUBBLE_Y)
        widest = max(theme.px(80), round(inner * 0.88) - 2 * pad_x)
        self.text.set_width(widest)
        width = min(widest, self.text.ideal_width())
        self.text.set_width(width)
        height = self.text.needed_height() - theme.px(_UNDER_LINE)
        left = margin + inner - width - 2 * pad_x
        self._bubble = QRect(left, 0, width + 2 * pad_x, height + 2 * pad_y)
        self.text.setGeometry(left + pad_x, pad_y, width, height + pad_y)
        return self._bubble.bottom() + 1

    def _offer_copy(self) -> None:
        self._copy.setToolTip(texts.COPY)
        theme.dress(self._copy, "ph.copy")
