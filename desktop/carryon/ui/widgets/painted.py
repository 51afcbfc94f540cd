"""How the cells of a table are drawn: one line of words, the sizes and weights of a font."""

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter

from carryon.ui import theme

_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


def paint_words(
    painter: QPainter,
    font: QFont,
    rect: QRect,
    words: str,
    role: str,
    align: Qt.AlignmentFlag = _LEFT,
    cut: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
) -> int:
    """Draws one line in a colour by its role, shortened where it is too long, and returns how wide it is."""
    metrics = QFontMetrics(font)
    shown = metrics.elidedText(words, cut, max(0, rect.width()))
    painter.setFont(font)
    painter.setPen(QColor(getattr(theme.current(), role)))
    painter.drawText(rect, align, shown)
    return metrics.horizontalAdvance(shown)


def small(font: QFont) -> QFont:
    """The size of second-rank words."""
    made = QFont(font)
    made.setPixelSize(theme.px(12))
    return made


def strong(font: QFont) -> QFont:
    """The weight of what matters most."""
    made = QFont(font)
    made.setWeight(QFont.Weight.DemiBold)
    return made
