"""Small meters of the status bar: how full a memory is, as a bar and in words."""

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.widgets.controls import label
from carryon.ui.widgets.spacing import spaced

NEARLY_FULL = 0.9


class Gauge(QWidget):
    """The bar alone; above nine tenths it is in the warning colour, and the words beside it say the number."""

    def __init__(self) -> None:
        super().__init__()
        self._fraction: float | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def show_fraction(self, fraction: float | None) -> None:
        """0 to 1; None is not measured."""
        if fraction != self._fraction:
            self._fraction = fraction
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(theme.px(44), theme.px(6))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        colours = theme.current()
        height = theme.px(6)
        rect = QRectF(0, (self.height() - height) / 2, self.width(), height)
        outline = QPainterPath()
        outline.addRoundedRect(rect, height / 2, height / 2)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipPath(outline)
        painter.fillRect(rect, QColor(colours.border))
        if self._fraction is not None:
            filled = QRectF(rect.x(), rect.y(), rect.width() * min(self._fraction, 1), rect.height())
            painter.fillRect(filled, QColor(colours.warn if self._fraction >= NEARLY_FULL else colours.edge))
        painter.end()


class Meter(QWidget):
    """A gauge with its words."""

    def __init__(self) -> None:
        super().__init__()
        self._gauge = Gauge()
        self._words = label("")
        row = QHBoxLayout(self)
        spaced(row, gap=6)
        row.addWidget(self._gauge)
        row.addWidget(self._words)

    def show_gauge(self, is_shown: bool) -> None:
        """Where the room is short, the words alone are enough."""
        self._gauge.setVisible(is_shown)

    def show_use(self, words: str, used_bytes: int | None, total_bytes: int | None, tooltip: str = "") -> None:
        """Both sizes in bytes; None is not measured."""
        self._gauge.show_fraction(None if used_bytes is None or not total_bytes else used_bytes / total_bytes)
        self._words.setText(words)
        self.setAccessibleName(words)
        self.setToolTip(tooltip)
