"""The list of models in the load dialog: a name, and under it how it was loaded or where it lies."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QIcon, QPainter
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from carryon.app.models import ModelFile
from carryon.ui import theme
from carryon.ui.loading import texts
from carryon.ui.loading.form import Entry, Place
from carryon.ui.widgets.controls import plain_tip
from carryon.ui.widgets.spacing import OnTheme

_FEWEST_ROWS, _MOST_ROWS = 2, 3.5  # half a row says that there are more
_UNDER = Qt.ItemDataRole.UserRole + 1
_ICONS = {
    Place.GUIDE: "ph.graduation-cap",
    Place.RECENT: "ph.clock-counter-clockwise",
    Place.LIBRARY: "ph.cube",
    Place.OPENED: "ph.file",
}


class ModelList(QListWidget):
    """Says which model was chosen, and which one was double-clicked."""

    chosen = Signal(object)
    activated_model = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("models")
        self.setAccessibleName("Models")
        self.setItemDelegate(_TwoLines(self))
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._entries: tuple[Entry, ...] = ()
        self.currentRowChanged.connect(self._row_chosen)
        self.itemDoubleClicked.connect(lambda _: self.activated_model.emit())
        OnTheme(self, self._renew)

    def show_entries(self, entries: tuple[Entry, ...], current: ModelFile | None) -> None:
        """Shows these models with `current` chosen."""
        if entries != self._entries:
            self._entries = entries
            self._renew()
        rows = (row for row, entry in enumerate(entries) if current and entry.file.reference == current.reference)
        row = next(rows, -1)
        if row != self.currentRow():
            self.setCurrentRow(row)
            self.scrollToItem(self.item(row))

    def _renew(self) -> None:
        row = self.currentRow()
        was_blocked = self.blockSignals(True)
        self.clear()
        for entry in self._entries:
            under = texts.entry_text(entry)
            item = QListWidgetItem(theme.icon(_ICONS[entry.place]), entry.file.name)
            item.setData(_UNDER, under)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{entry.file.name}, {under}")
            item.setToolTip(plain_tip(str(entry.file.path)))
            self.addItem(item)
        self.setCurrentRow(row)
        self.blockSignals(was_blocked)
        rows = min(max(len(self._entries), _FEWEST_ROWS), _MOST_ROWS)
        self.setFixedHeight(round(rows * (self.sizeHintForRow(0) + 2)) + theme.px(10))

    def _row_chosen(self, row: int) -> None:
        if 0 <= row < len(self._entries):
            self.chosen.emit(self._entries[row].file)


class _TwoLines(QStyledItemDelegate):
    """Icon, name, and a softer line under it; long names lose their middle, never the quant type at the end."""

    def __init__(self, models: ModelList) -> None:
        super().__init__(models)
        self._list = models

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        height = QFontMetrics(option.font).height() + QFontMetrics(_under_font(option.font)).height()
        return QSize(theme.px(200), height + theme.px(18))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        styled = QStyleOptionViewItem(option)
        self.initStyleOption(styled, index)
        name, icon = styled.text, QIcon(styled.icon)  # a copy: the option's own is emptied next
        styled.text, styled.icon = "", QIcon()
        widget = self._list
        widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, styled, painter, widget)
        inner = option.rect.adjusted(theme.px(12), theme.px(6), -theme.px(12), -theme.px(6))
        side = theme.px(20)
        icon.paint(painter, QRect(inner.x(), inner.center().y() - side // 2, side, side))
        text = inner.adjusted(side + theme.px(12), 0, 0, 0)
        painter.save()
        _line(painter, option.font, theme.current().text, text, Qt.AlignmentFlag.AlignTop, name)
        under = str(index.data(_UNDER))
        _line(painter, _under_font(option.font), theme.current().soft, text, Qt.AlignmentFlag.AlignBottom, under)
        painter.restore()


def _line(painter: QPainter, font: QFont, colour: str, rect: QRect, where: Qt.AlignmentFlag, words: str) -> None:
    painter.setFont(font)
    painter.setPen(QColor(colour))
    cut = QFontMetrics(font).elidedText(words, Qt.TextElideMode.ElideMiddle, rect.width())
    painter.drawText(rect, where | Qt.AlignmentFlag.AlignLeft, cut)


def _under_font(font: QFont) -> QFont:
    small = QFont(font)
    small.setPixelSize(theme.px(12))
    return small
