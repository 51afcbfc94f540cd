"""A label for words that change at every movement of a slider: the page is laid out anew only when its height changes.

A QLabel asks for a new layout with every text; on a page of wrapped sentences that takes longer than drawing it.
"""

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy

from carryon.ui import theme

_WRAPPED = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop


class SteadyLabel(QLabel):
    """Plain wrapped text in the look that its object name has in the style sheet; a dot before every line if wished."""

    def __init__(self, name: str = "", *, dots: bool = False) -> None:
        super().__init__()
        self.setObjectName(name)
        self._dots = dots
        self._words = ""
        self._heights: dict[int, int] = {}
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        theme.theme_changed.connect(self._measure)

    def text(self) -> str:
        return self._words

    def show_words(self, words: str) -> None:
        """Replaces the text."""
        if words == self._words:
            return
        height = self.heightForWidth(self.width())
        self._words = words
        self._heights.clear()
        self.setAccessibleName(words)
        if self.heightForWidth(self.width()) != height:
            self.updateGeometry()
        self.update()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        if width not in self._heights:
            self._heights[width] = max((place.bottom() + 1 for place, _ in self._lines(width)), default=0)
        return self._heights[width]

    def _lines(self, width: int) -> list[tuple[QRect, str]]:
        """Every line of the text with its place, wrapped to the width."""
        metrics, indent, gap = self.fontMetrics(), self._indent(), theme.px(3) if self._dots else 0
        lines, y = [], 0
        for words in self._words.split("\n"):
            room = QRect(indent, y, max(1, width - indent), 1 << 20)
            place = QRect(indent, y, room.width(), metrics.boundingRect(room, _WRAPPED, words or " ").height())
            lines.append((place, words))
            y = place.bottom() + 1 + gap
        return lines

    def _indent(self) -> int:
        return theme.px(16) if self._dots else 0

    def sizeHint(self) -> QSize:
        width = max(self.width(), theme.px(240))
        return QSize(theme.px(240), self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        return QSize(theme.px(80), self.heightForWidth(max(self.width(), theme.px(80))))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A layout remembers the heights of other widths, and those were of other words."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(self.font())
        painter.setPen(self.palette().color(self.foregroundRole()))
        for place, words in self._lines(self.width()):
            if self._dots and words:
                painter.drawText(place.translated(theme.px(4) - place.x(), 0), _WRAPPED, "•")
            painter.drawText(place, _WRAPPED, words)
        painter.end()

    def _measure(self) -> None:
        self._heights.clear()
        self.updateGeometry()
