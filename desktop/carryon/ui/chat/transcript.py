"""A conversation as a page that scrolls: only the messages near the window exist as widgets, the others as heights."""

import math
import time
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import pairwise

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QFont, QFontMetricsF, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QWidget

from carryon.chat.message import Message, Role, State
from carryon.ui import theme
from carryon.ui.chat import texts
from carryon.ui.chat.message_view import MARGIN, MessageView
from carryon.ui.markdown.document import BODY_PX
from carryon.ui.widgets.controls import button

CHARACTERS_A_LINE = 74
FRAME_S = 1 / 30  # a stream is drawn at most this often ...
SHARE = 8  # ... and a stream that is slow to draw takes at most an eighth of the time
DRAW_S = 0.006  # what is left to draw of a long message takes at most this at a time
_GAP, _TOP, _BOTTOM, _SIDE = 20, 12, 28, 24
_SAMPLE = "The quick brown fox jumps over the lazy dog, and nobody minds at all. "


@dataclass
class _Item:
    """A message, its place, and its widget while it is near."""

    message: Message
    height: int
    view: MessageView | None = None


class Transcript(QAbstractScrollArea):
    """Sticks to its end while an answer streams, unless the person has scrolled up."""

    link_wanted = Signal(str)
    regenerate_wanted = Signal()
    edit_wanted = Signal()
    scrolled = Signal(bool)  # whether something is hidden above

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("transcript")
        self.setAccessibleName(texts.TRANSCRIPT)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._items: list[_Item] = []
        self._tops: list[int] = [0]
        self._places: dict[int, int] = {}
        self._alive: dict[int, _Item] = {}  # those with a widget, by the message's id
        self._stops: list[QWidget] = []
        self._column = 0
        self._is_sticky = True
        self._is_settling = False
        self._drawn_s = self._cost_s = 0.0
        self._frame = QTimer(self, singleShot=True, timerType=Qt.TimerType.PreciseTimer)
        self._frame.timeout.connect(self._draw)
        self.jump = button(texts.JUMP, "jump", "ph.arrow-down", self.jump_to_latest)
        self.jump.setParent(self)
        self.jump.hide()
        self.verticalScrollBar().valueChanged.connect(self._scrolled)
        theme.theme_changed.connect(self.restyle)

    # what is shown

    def set_messages(self, messages: tuple[Message, ...]) -> None:
        """Another conversation, or this one with messages added or taken away; what stays the same is kept."""
        old = {item.message.id: item for item in self._items}
        self._items = [self._item(message, old.pop(message.id, None)) for message in messages]
        for item in old.values():
            self._drop(item)
        self._places = {message.id: index for index, message in enumerate(messages)}
        self._is_sticky = True
        self._measure_from(0)
        self._tell_last()
        self._settle()

    def add_words(self, message_id: int, words: str) -> None:
        """The answer goes on; it is drawn with the next frame."""
        index = self._places.get(message_id)
        if index is None:
            return
        item = self._items[index]
        item.message = replace(item.message, text=item.message.text + words)
        if item.view:
            item.view.add_words(words)
            self._ask_for_frame()

    def change_message(self, message: Message) -> None:
        """Another state of a message, most often its end."""
        index = self._places.get(message.id)
        if index is None:
            return
        self._items[index].message = message
        if view := self._items[index].view:
            view.change(message)
            self._draw()

    def show_reading(self, done: int, total: int) -> None:
        """How far the prompt of the answer that is awaited is decoded."""
        if self._items and (view := self._items[-1].view) and self._items[-1].message.state is State.STREAMING:
            view.show_reading(texts.reading(done, total))

    def jump_to_latest(self) -> None:
        """Goes to the end and stays there."""
        self._is_sticky = True
        self._settle()

    def restyle(self) -> None:
        """Draws everything anew: another theme, another text size."""
        for item in self._items:
            self._drop(item)
            item.height = 0
        self._column = 0
        self._fit_column()
        self._settle()

    def views(self) -> list[MessageView]:
        """The messages that exist as widgets, in their order."""
        alive = sorted(self._alive.values(), key=lambda item: self._places[item.message.id])
        return [item.view for item in alive if item.view]

    # events

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._fit_column()
        self._settle()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        bar = self.verticalScrollBar()
        match event.key():
            case Qt.Key.Key_Home:
                bar.setValue(0)
            case Qt.Key.Key_End:
                self.jump_to_latest()
            case _:
                super().keyPressEvent(event)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        pass  # `_scrolled` moves what is seen

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            return True
        return super().viewportEvent(event)

    def _scrolled(self) -> None:
        if self._is_settling:
            return
        bar = self.verticalScrollBar()
        self._is_sticky = bar.value() >= bar.maximum() - theme.px(8)
        self._settle()

    # frames

    def _ask_for_frame(self) -> None:
        if self._frame.isActive():
            return
        pause_s = max(FRAME_S, self._cost_s * SHARE)
        self._frame.start(max(0, math.ceil((self._drawn_s + pause_s - time.monotonic()) * 1000)))

    def _draw(self) -> None:
        """Draws what has come since the last frame, and goes on with long messages."""
        began_s = time.monotonic()
        for view in self._behind():
            view.draw(began_s + DRAW_S)
        self._settle()
        self._drawn_s = time.monotonic()
        self._cost_s = self._drawn_s - began_s
        if self._behind():
            self._ask_for_frame()

    def _behind(self) -> list[MessageView]:
        return [item.view for item in self._alive.values() if item.view and item.view.is_behind]

    # places

    def _item(self, message: Message, old: _Item | None) -> _Item:
        if old is None:
            return _Item(message, self._guess(message))
        if old.message != message:
            old.message = message
            if old.view:
                old.view.change(message)
        return old

    def _guess(self, message: Message) -> int:
        """How high a message that was never drawn is, about."""
        text = message.text[:200_000]
        lines = text.count("\n") + len(text) / (CHARACTERS_A_LINE * 1.05) + 1
        around = 2.2 if message.role is Role.USER else 3.0
        return round((lines + around) * theme.px(BODY_PX) * 1.6)

    def widest_column(self) -> int:
        """The width of so many characters and the margins beside them."""
        font = QFont(self.font())
        font.setPixelSize(theme.px(BODY_PX))
        a_character = QFontMetricsF(font).horizontalAdvance(_SAMPLE) / len(_SAMPLE)
        return round(a_character * CHARACTERS_A_LINE) + 2 * theme.px(MARGIN)

    def _fit_column(self) -> None:
        room = self.viewport().width() - 2 * theme.px(_SIDE)
        column = max(theme.px(120), min(self.widest_column(), room))
        if column != self._column:
            self._column = column
            for item in self._items:
                item.height = item.height or self._guess(item.message)
        self._measure_from(0)

    def _measure_from(self, first: int) -> None:
        """Tops of the messages from `first` on, from their heights."""
        del self._tops[first + 1 :]
        if not first:
            self._tops = [theme.px(_TOP)]
        gap = theme.px(_GAP)
        top = self._tops[first]
        for item in self._items[first:]:
            top += item.height + gap
            self._tops.append(top)

    def _settle(self) -> None:
        """Makes, measures and places what is seen; what the person looks at does not move by it."""
        if self._is_settling or not self._column:
            return
        self._is_settling = True
        try:
            self._make_and_measure()
            self._place()
        finally:
            self._is_settling = False
        self.jump.setVisible(not self._is_sticky)
        self.scrolled.emit(self.verticalScrollBar().value() > 0)
        if self._behind():
            self._ask_for_frame()

    def _make_and_measure(self) -> None:
        """Gives what is seen its widgets and true heights; the anchor keeps its place in the window."""
        anchor = self._anchor()
        y = self._tops[anchor] - self.verticalScrollBar().value()
        for _ in range(len(self._items) + 2):
            self._set_range(None if self._is_sticky else self._tops[anchor] - y)
            first, last = self._seen()
            if not [index for index in range(first, last + 1) if self._fit(index)]:
                return

    def _anchor(self) -> int:
        """The first message in the window that stood there before; without one the first."""
        first, last = self._seen()
        return next((index for index in range(first, last + 1) if self._items[index].view), max(0, first))

    def _fit(self, index: int) -> bool:
        """Gives a message its widget and its true height; True if that differs from what was thought."""
        item = self._items[index]
        if item.view is None:
            item.view = self._make(item)
        height = item.view.fit(self._column)
        if height == item.height:
            return False
        item.height = height
        self._measure_from(index)
        return True

    def _make(self, item: _Item) -> MessageView:
        view = MessageView(item.message, self.viewport())
        view.reserve(item.height)
        view.link_wanted.connect(self.link_wanted)
        view.regenerate_wanted.connect(self.regenerate_wanted)
        view.edit_wanted.connect(self.edit_wanted)
        view.grown.connect(self._settle)
        item.view = view
        self._alive[item.message.id] = item
        self._tell_last()
        view.show()
        return view

    def _set_range(self, top: int | None) -> None:
        """The scroll bar for the heights as they are known now, at a place or, with None, at the end."""
        bar = self.verticalScrollBar()
        height = self.viewport().height()
        total = self._tops[-1] + theme.px(_BOTTOM) - theme.px(_GAP)
        bar.setPageStep(height)
        bar.setSingleStep(theme.px(24))
        bar.setMaximum(max(0, total - height))
        bar.setValue(bar.maximum() if top is None else top)

    def _seen(self) -> tuple[int, int]:
        """The indices of the first and the last message in the window; last < first if there is none."""
        if not self._items:
            return 0, -1
        top = self.verticalScrollBar().value()
        first = max(0, bisect_right(self._tops, top) - 1)
        last = bisect_right(self._tops, top + self.viewport().height()) - 1
        return min(first, len(self._items) - 1), min(last, len(self._items) - 1)

    def _place(self) -> None:
        """Moves the widgets to where they belong, and lets go of those that are far away."""
        first, last = self._seen()
        top, height = self.verticalScrollBar().value(), self.viewport().height()
        left = max(0, (self.viewport().width() - self._column) // 2)
        for item in [*self._alive.values()]:
            index, view = self._places[item.message.id], item.view
            assert view
            if not first - 3 <= index <= last + 3 and not view.is_in_use:
                self._drop(item)
                continue
            y = self._tops[index] - top
            view.setGeometry(left, y, self._column, item.height)
            view.expose(max(0, -y), height - y)
        self._place_jump()
        self._order_focus()

    def _order_focus(self) -> None:
        """Tab goes through the messages from top to bottom, whichever of them was made first."""
        stops = [stop for view in self.views() for stop in view.stops()]
        if stops == self._stops:
            return
        self._stops = stops
        for before, after in pairwise([self, *stops]):
            QWidget.setTabOrder(before, after)

    def _drop(self, item: _Item) -> None:
        if item.view:
            item.view.hide()
            item.view.deleteLater()
            item.view = None
            self._alive.pop(item.message.id, None)

    def _tell_last(self) -> None:
        """The last question and the last answer have more buttons than the others."""
        for item in self._alive.values():
            assert item.view
            item.view.set_last(self._places[item.message.id] >= len(self._items) - 2)

    def _place_jump(self) -> None:
        self.jump.adjustSize()
        size = self.jump.size()
        self.jump.move((self.width() - size.width()) // 2, self.height() - size.height() - theme.px(12))
        self.jump.raise_()
