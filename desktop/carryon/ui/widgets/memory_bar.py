"""The memory bar, the face of the product: weights | KV cache | compute | other programs | reserve | free.

Colour is never the only signal: the legend is text, and neighbours differ in lightness (see resources/theme).
"""

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QApplication, QSizePolicy, QToolTip, QWidget

from carryon.ui import texts, theme
from carryon.ui.memory_facts import DeviceBar, PartKind

_SMALLEST_PX = 2  # a part that exists is seen, however small


class MemoryBar(QWidget):
    """One device's memory; one widget on every page where memory is shown."""

    def __init__(self, bar: DeviceBar) -> None:
        super().__init__()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._legends: dict[int, list[tuple[QRectF, PartKind | None, str]]] = {}  # by width: it is asked for often
        self._bar = bar
        theme.theme_changed.connect(self._measure)
        self.show_bar(bar)

    def show_bar(self, bar: DeviceBar) -> None:
        """Replaces what is shown; a slider calls it on every tick, so the page is laid out anew only if it must be."""
        height = self.heightForWidth(self.width())
        self._bar = bar
        self._legends.clear()
        self.setAccessibleName(texts.bar_spoken(bar))
        if self.heightForWidth(self.width()) != height:
            self.updateGeometry()
        self.update()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        bottom = max((place.bottom() for place, _, _ in self._legend(width)), default=self._legend_top())
        return int(bottom) + theme.px(2)

    def sizeHint(self) -> QSize:
        width = theme.px(420)
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        width = max(theme.px(220), self.width())
        return QSize(theme.px(220), self.heightForWidth(width))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A layout remembers the heights of other widths, and those were of other words."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_headline(painter)
        self._paint_parts(painter)
        self._paint_legend(painter)
        painter.end()

    def event(self, event: QEvent) -> bool:
        """A part's words as its tooltip."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            words = self._words_at(event.pos().x()) if self._bar_rect().contains(event.pos()) else ""
            QToolTip.showText(event.globalPos(), words, self)
            return True
        return super().event(event)

    def _measure(self) -> None:
        self._legends.clear()
        self.updateGeometry()

    def _paint_headline(self, painter: QPainter) -> None:
        colours = theme.current()
        line = QRectF(0, 0, self.width(), QFontMetrics(_font(13)).height())
        headline = texts.bar_headline(self._bar)
        painter.setFont(_font(12))
        painter.setPen(QColor(colours.soft))
        painter.drawText(line, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, headline)
        room = int(line.width()) - QFontMetrics(_font(12)).horizontalAdvance(headline) - theme.px(12)
        strong = _font(13, QFont.Weight.DemiBold)
        painter.setFont(strong)
        painter.setPen(QColor(colours.text))
        name = QFontMetrics(strong).elidedText(self._bar.name, Qt.TextElideMode.ElideRight, room)
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)

    def _paint_parts(self, painter: QPainter) -> None:
        """The border is a filled shape under a smaller one: to stroke it takes forty times as long."""
        rect, hair = self._bar_rect(), 1
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.current().border))
        painter.drawRoundedRect(rect, theme.px(5), theme.px(5))
        inside = QPainterPath()
        inside.addRoundedRect(rect.adjusted(hair, hair, -hair, -hair), theme.px(5) - hair, theme.px(5) - hair)
        painter.save()
        painter.setClipPath(inside)
        painter.fillRect(rect, QColor(theme.current().sunken))
        for kind, stretch in self._stretches():
            painter.fillRect(stretch, _brush(kind))
        if self._bar.over_bytes:
            self._paint_end(painter, rect)
        painter.restore()

    def _paint_end(self, painter: QPainter, rect: QRectF) -> None:
        """A line where the device ends and the parts do not."""
        x = rect.x() + rect.width() * (self._bar.total_bytes or 0) / self._scale_bytes()
        painter.fillRect(QRectF(x - 2, rect.y(), 5, rect.height()), QColor(theme.current().surface))
        painter.fillRect(QRectF(x - 1, rect.y(), 3, rect.height()), QColor(theme.current().bad))

    def _paint_legend(self, painter: QPainter) -> None:
        colours = theme.current()
        painter.setFont(_font(11))
        for place, kind, words in self._legend(self.width()):
            side = theme.px(9)
            dot = QRectF(place.x(), place.center().y() - side / 2, side, side)
            painter.setPen(QColor(colours.edge if kind in (None, PartKind.RESERVE) else colours.border))
            is_over = kind is None and self._bar.over_bytes > 0
            painter.setBrush(QColor(colours.bad) if is_over else _brush(kind))
            painter.drawRoundedRect(dot, theme.px(2), theme.px(2))
            painter.setPen(QColor(colours.bad if is_over else colours.soft))
            text = place.adjusted(theme.px(14), 0, 0, 0)
            painter.drawText(text, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, words)

    def _stretches(self) -> list[tuple[PartKind, QRectF]]:
        """Where each part lies in the bar, with a hair of space after it."""
        rect = self._bar_rect()
        scale_bytes = self._scale_bytes()
        stretches, x = [], rect.x()
        for part in self._bar.parts:
            width = max(rect.width() * part.size_bytes / scale_bytes, _SMALLEST_PX)
            stretches.append((part.kind, QRectF(x, rect.y(), max(width - 1, 1), rect.height())))
            x += width
        return stretches

    def _scale_bytes(self) -> int:
        """What the whole width stands for: the device, or what is wanted of it where that is more."""
        return max(self._bar.total_bytes or 0, sum(part.size_bytes for part in self._bar.parts), 1)

    def _words_at(self, x: int) -> str:
        words = dict(texts.bar_legend(self._bar))
        kind = next((kind for kind, rect in self._stretches() if rect.left() <= x <= rect.right()), None)
        return words.get(kind, "")

    def _bar_rect(self) -> QRectF:
        top = QFontMetrics(_font(13)).height() + theme.px(6)
        return QRectF(0.5, top + 0.5, self.width() - 1, theme.px(16))

    def _legend_top(self) -> int:
        return int(self._bar_rect().bottom()) + theme.px(7)

    def _legend(self, width: int) -> list[tuple[QRectF, PartKind | None, str]]:
        """The entries with their places, broken into lines like text."""
        if width not in self._legends:
            self._legends[width] = self._placed(width)
        return self._legends[width]

    def _placed(self, width: int) -> list[tuple[QRectF, PartKind | None, str]]:
        metrics = QFontMetrics(_font(11))
        x, y, entries = 0, self._legend_top(), []
        for kind, words in texts.bar_legend(self._bar):
            entry_width = theme.px(14) + metrics.horizontalAdvance(words)
            if x and x + entry_width > width:
                x, y = 0, y + metrics.height() + theme.px(3)
            entries.append((QRectF(x, y, entry_width, metrics.height()), kind, words))
            x += entry_width + theme.px(16)
        return entries


def _font(size: int, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    font = QFont(QApplication.font())
    font.setPixelSize(theme.px(size))
    font.setWeight(weight)
    return font


def _brush(kind: PartKind | None) -> QBrush:
    colours = theme.current()
    if kind is None:
        return QBrush(QColor(colours.sunken))
    if kind is PartKind.RESERVE:
        return QBrush(QColor(colours.soft), Qt.BrushStyle.BDiagPattern)
    return QBrush(QColor(getattr(colours, kind.value)))
