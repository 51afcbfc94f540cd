"""A slider over layers with a tick at the largest value that fits, and words at its ends and at the tick."""

from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPolygon
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from carryon.ui import theme
from carryon.ui.widgets.controls import NumberField, buddy
from carryon.ui.widgets.folding_row import FoldingRow
from carryon.ui.widgets.scaled_slider import Scale, ScaledSlider
from carryon.ui.widgets.spacing import spaced


class LayersField(QWidget):
    """Label, value in words, spin box, slider and scale: one number of layers, by mouse or by keyboard."""

    moved = Signal(int)

    def __init__(self, text: str, low_words: str, high_words: str) -> None:
        super().__init__()
        name = text.replace("&", "")
        self._is_drawing = False
        self.slider = _Slider()
        self.slider.setAccessibleName(name)
        self.number = NumberField(f"{name}, as a number")
        self._words = _Value("heading")
        self._scale = _Scale(self.slider, low_words, high_words)
        for control in (self.slider, self.number):
            control.valueChanged.connect(self._changed)
        value = QWidget()
        row = QHBoxLayout(value)
        spaced(row, gap=12)
        row.addWidget(self._words, 1)
        row.addWidget(self.number)
        column = QVBoxLayout(self)
        spaced(column, gap=4)
        column.addLayout(FoldingRow(buddy(text, self.slider, "heading"), value, grows=True))
        column.addWidget(self.slider)
        column.addWidget(self._scale)

    def show_value(self, value: int, most: int, words: str, tick: int | None = None, tick_words: str = "") -> None:
        """Shows `value` of `most` with these words, and the tick with its own; nothing is emitted."""
        self._is_drawing = True
        for control in (self.slider, self.number):
            if control.maximum() != most:  # a spin box asks for a new layout with every range
                control.setRange(0, most)
            control.setValue(value)
        self._is_drawing = False
        self._words.show_words(words)
        self.slider.setAccessibleDescription(f"{words}. {tick_words}" if tick_words else words)
        self._scale.show_tick(tick, tick_words)

    def _changed(self, value: int) -> None:
        if not self._is_drawing:
            self.moved.emit(value)


class _Value(QLabel):
    """The value in words, at the right. They change at every movement, and the page need not be laid out for that."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._words = ""

    def text(self) -> str:
        return self._words

    def show_words(self, words: str) -> None:
        """Replaces them; where there is no room they lose their end."""
        if words != self._words:
            self._words = words
            self.setAccessibleName(words)
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(theme.px(60), self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(self.font())
        painter.setPen(self.palette().color(self.foregroundRole()))
        words = self.fontMetrics().elidedText(self._words, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, words)
        painter.end()


class _Slider(ScaledSlider):
    """Page keys move by a quarter."""

    def setRange(self, low: int, high: int) -> None:
        super().setRange(low, high)
        self.setPageStep(max(1, high // 4))


class _Scale(Scale):
    """The ends and a tick. Where the tick's own words would touch those of an end, only its mark is drawn."""

    def __init__(self, slider: ScaledSlider, low_words: str, high_words: str) -> None:
        super().__init__(slider)
        self._low_words, self._high_words = low_words, high_words
        self._tick: int | None = None
        self._tick_words = ""

    def show_tick(self, tick: int | None, words: str) -> None:
        """Moves the tick; None takes it away."""
        self._tick, self._tick_words = tick, words
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font())
        painter.setPen(QColor(theme.current().soft))
        ends = self._ends()
        for place, words in ends:
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, words)
        if self._tick is not None:
            self._paint_tick(painter, [place for place, _ in ends])
        painter.end()

    def _paint_tick(self, painter: QPainter, ends: list[QRect]) -> None:
        x, side = self._slider.centre_x(self._tick or 0), theme.px(4)
        place = self._place(self._tick_words, x - self._metrics().horizontalAdvance(self._tick_words) // 2)
        gap = theme.px(8)
        if not any(place.adjusted(-gap, 0, gap, 0).intersects(end) for end in ends):
            painter.setPen(QColor(theme.current().text))
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, self._tick_words)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.current().accent))
        painter.drawPolygon(QPolygon([QPoint(x, 0), QPoint(x - side, side + 1), QPoint(x + side, side + 1)]))

    def _ends(self) -> list[tuple[QRect, str]]:
        low, high = self._low_words, self._high_words
        right = self.width() - self._metrics().horizontalAdvance(high)
        return [(self._place(low, 0), low), (self._place(high, right), high)]
