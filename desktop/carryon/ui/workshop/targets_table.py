"""The table of types that can be made: the one of the other pages, with a box to tick before each."""

from collections.abc import Collection
from typing import Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPen

from carryon.ui import theme
from carryon.ui.quant_rows import Row
from carryon.ui.widgets.quant_table import QUANT, QuantCells, QuantModel, QuantTable
from carryon.ui.workshop import texts

_BOX_PX, _GAP_PX = 16, 10
Index = QModelIndex | QPersistentModelIndex


class TickModel(QuantModel):
    """The rows, and which of them are ticked."""

    def __init__(self) -> None:
        super().__init__()
        self.ticked: frozenset[str] = frozenset()
        self.locked: frozenset[str] = frozenset()

    def show_ticks(self, ticked: Collection[str], locked: Collection[str]) -> None:
        """Replaces them; `locked` cannot be ticked now."""
        if (frozenset(ticked), frozenset(locked)) == (self.ticked, self.locked):
            return
        self.ticked, self.locked = frozenset(ticked), frozenset(locked)
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, self.columnCount() - 1))

    def is_ticked(self, row: Row) -> bool:
        return row.quant in self.ticked and row.quant not in self.locked

    def flags(self, index: Index) -> Qt.ItemFlag:
        """The row itself is drawn and worked by the table; the flag tells a screen reader that it can be ticked."""
        can_tick = index.column() == QUANT and self.rows[index.row()].quant not in self.locked
        return super().flags(index) | (Qt.ItemFlag.ItemIsUserCheckable if can_tick else Qt.ItemFlag.NoItemFlags)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.rows[index.row()]
        if index.column() == QUANT and role == Qt.ItemDataRole.CheckStateRole:
            return Qt.CheckState.Checked if self.is_ticked(row) else Qt.CheckState.Unchecked
        if index.column() == QUANT and role == Qt.ItemDataRole.AccessibleTextRole:
            state = texts.TICKED if self.is_ticked(row) else texts.NOT_TICKED
            return f"{row.spoken}, {state}"
        return super().data(index, role)


class TargetsTable(QuantTable):
    """Arrow keys look at a row; the space bar, Enter or a click ticks it."""

    ticked = Signal(str, bool)

    def __init__(self) -> None:
        self._ticks = TickModel()
        super().__init__(self._ticks)
        self.setItemDelegate(TickCells(self, self._ticks))
        self.setAccessibleName(texts.TYPES)
        self.setAccessibleDescription(texts.TABLE_HELP)
        self.setObjectName("quants")

    def show_ticks(self, ticked: Collection[str], locked: Collection[str]) -> None:
        """Which rows are ticked, and which cannot be."""
        self._ticks.show_ticks(ticked, locked)

    def toggle(self, index: Index) -> None:
        """Ticks a row or takes the tick away; a locked one stays, and the foot of the table says why."""
        if not index.isValid():
            return
        row = self._ticks.rows[index.row()]
        if row.quant not in self._ticks.locked:
            self.ticked.emit(row.quant, not self._ticks.is_ticked(row))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self.toggle(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton:
            self.toggle(self.indexAt(event.position().toPoint()))

    def _wide_quant(self, row: Row) -> int:
        return super()._wide_quant(row) + theme.px(_BOX_PX + _GAP_PX)


class TickCells(QuantCells):
    """Ticked rows stand out; what cannot be made is pale."""

    def __init__(self, table: TargetsTable, ticks: TickModel) -> None:
        super().__init__(table)
        self._ticks = ticks

    def is_tinted(self, row: Row, *, is_chosen: bool) -> bool:
        return self._ticks.is_ticked(row)

    def words_role(self, row: Row) -> str:
        return "soft" if row.quant in self._ticks.locked else "text"

    def paint_quant(self, painter: QPainter, font: QFont, rect: QRect, row: Row, *, is_strong: bool) -> None:
        side = theme.px(_BOX_PX)
        box = QRect(rect.x(), rect.center().y() - side // 2 + 1, side, side)
        _paint_box(painter, box, is_ticked=self._ticks.is_ticked(row), is_locked=row.quant in self._ticks.locked)
        words = rect.adjusted(side + theme.px(_GAP_PX), 0, 0, 0)
        super().paint_quant(painter, font, words, row, is_strong=row.is_best or self._ticks.is_ticked(row))


def _paint_box(painter: QPainter, box: QRect, *, is_ticked: bool, is_locked: bool) -> None:
    """As the style sheet draws a check box."""
    colours = theme.current()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colours.accent if is_ticked else colours.border if is_locked else colours.edge), 1))
    painter.setBrush(QColor(colours.accent if is_ticked else colours.bg if is_locked else colours.surface))
    painter.drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), theme.px(4), theme.px(4))
    if is_ticked:
        inset = theme.px(2)
        theme.icon("ph.check", "on").paint(painter, box.adjusted(inset, inset, -inset, -inset))
    painter.restore()
