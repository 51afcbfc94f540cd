"""The table of the library: one line a model, sorted by a click, renamed in place, its verdict with a sign."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QColor, QFontMetrics, QIcon, QKeyEvent, QKeySequence, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QHeaderView,
    QLineEdit,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from carryon.ui import theme
from carryon.ui.library import texts
from carryon.ui.library.entry_model import EntryModel, Index, alignment
from carryon.ui.library.form import Column
from carryon.ui.library.texts import Row
from carryon.ui.widgets.controls import plain_tip
from carryon.ui.widgets.painted import paint_words, small, strong
from carryon.ui.widgets.spacing import OnTheme
from carryon.ui.widgets.verdict import verdict_icon, verdict_role

_PADDING, _ROW_PX, _HEADER_PX, _SIGN_PX = 8, 36, 38, 22
_WIDEST_PX = {Column.QUANT: 120, Column.WHERE: 140, Column.FIT: 220}
_NARROWEST_NAME_PX, _ENOUGH_FOR_NAME_PX = 120, 190
_DISPENSABLE = (
    Column.USED,
    Column.CONTEXT,
    Column.SIZE,
    Column.WHERE,
    Column.QUANT,
)  # what goes first where there is no room
_LONGEST_NAME = 110


class EntryTable(QTableView):
    """Arrow keys choose, Enter uses, F2 renames, Del deletes; a click on a title sorts."""

    chosen = Signal(object)  # a Path or None
    used = Signal()
    delete_wanted = Signal()
    sort_wanted = Signal(int, bool)  # a Column, whether descending
    rows_seen = Signal(object)  # the paths on the screen
    menu_wanted = Signal(QPoint)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("library")
        self.setAccessibleName(texts.MODELS)
        self.entries = EntryModel()
        self._is_drawing = False
        self._waiting: Callable[[], None] | None = None
        self.setModel(self.entries)
        self.setItemDelegate(_Cells(self))
        self.setHorizontalHeader(_Header(self))
        self._behave()
        self.selectionModel().currentRowChanged.connect(self._row_chosen)
        self.doubleClicked.connect(lambda _: self.used.emit())
        self.horizontalHeader().sectionClicked.connect(self._sort)
        self.itemDelegate().closeEditor.connect(lambda: QTimer.singleShot(0, self, self._show_waiting))
        self._seeing = QTimer(self, singleShot=True, interval=60)
        self._seeing.timeout.connect(self._tell_seen)
        self.verticalScrollBar().valueChanged.connect(lambda _: self._seeing.start())
        OnTheme(self, self._measure)

    def show_rows(self, rows: Sequence[Row], selected: Path | None, *, has_gpu: bool) -> None:
        """Replaces the rows. While a name is typed the table stands still."""
        if self.state() == QAbstractItemView.State.EditingState:
            self._waiting = lambda: self.show_rows(rows, selected, has_gpu=has_gpu)
            return
        self._is_drawing = True
        scrolled, before = self.verticalScrollBar().value(), self.entries.rows
        is_other = self.entries.show_rows(rows, has_gpu=has_gpu)
        if self.entries.rows != before:
            self._fit_columns()
        place = self.entries.place_of(selected)
        if place != self.currentIndex().row():
            self.setCurrentIndex(self.entries.index(place, Column.NAME))
        if is_other:
            self.verticalScrollBar().setValue(scrolled)
            self._seeing.start()
        self._is_drawing = False

    def show_order(self, column: Column, *, is_descending: bool) -> None:
        """The sign in the header."""
        order = Qt.SortOrder.DescendingOrder if is_descending else Qt.SortOrder.AscendingOrder
        self.horizontalHeader().setSortIndicator(column, order)

    def rename_current(self) -> None:
        """Opens the field for a new name."""
        if self.currentIndex().isValid():
            self.edit(self.entries.index(self.currentIndex().row(), Column.NAME))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.used.emit()
        elif event.key() == Qt.Key.Key_F2:
            self.rename_current()
        elif event.matches(QKeySequence.StandardKey.Delete):
            self.delete_wanted.emit()
        else:
            super().keyPressEvent(event)

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        """Left and right have nothing to choose between: a whole row is chosen."""
        moves = QAbstractItemView.CursorAction
        if action in (moves.MoveLeft, moves.MoveRight):
            return self.currentIndex()
        if action == moves.MoveHome:
            return self.entries.index(0, Column.NAME)
        if action == moves.MoveEnd:
            return self.entries.index(len(self.entries.rows) - 1, Column.NAME)
        return super().moveCursor(action, modifiers)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_columns()
        self._seeing.start()

    def _behave(self) -> None:
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)  # F2 alone: Enter uses
        self.setTabKeyNavigation(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setCornerButtonEnabled(False)
        self.verticalHeader().hide()
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu)

    def _menu(self, where: QPoint) -> None:
        if self.indexAt(where).isValid():
            self.menu_wanted.emit(self.viewport().mapToGlobal(where))

    def _row_chosen(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if not self._is_drawing:
            self.chosen.emit(self.entries.rows[current.row()].path if current.isValid() else None)

    def _sort(self, column: int) -> None:
        header = self.horizontalHeader()
        is_same = header.property("sorted") == column
        is_descending = bool(is_same and not header.property("descending"))
        self.show_order(Column(column), is_descending=is_descending)
        self.sort_wanted.emit(column, is_descending)

    def _show_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting:
            waiting()

    def _tell_seen(self) -> None:
        first, last = self.rowAt(0), self.rowAt(self.viewport().height() - 1)
        if first >= 0:
            last = last if last >= 0 else len(self.entries.rows) - 1
            self.rows_seen.emit([row.path for row in self.entries.rows[first : last + 1]])

    def _measure(self) -> None:
        """With another text size everything has another height."""
        self.verticalHeader().setMinimumSectionSize(1)
        self.verticalHeader().setDefaultSectionSize(theme.px(_ROW_PX))
        self._fit_columns()

    def _fit_columns(self) -> None:
        """Every column gets what its words need, the name what is left; where that is too little, some are not shown.

        The detail says what they would.
        """
        wanted = {column: self._wanted(column) + 2 * theme.px(_PADDING) for column in Column}
        wanted[Column.NAME] = min(max(wanted[Column.NAME], theme.px(_NARROWEST_NAME_PX)), theme.px(_ENOUGH_FOR_NAME_PX))
        room, hidden = self.viewport().width(), set[Column]()
        for column in _DISPENSABLE:
            if sum(width for one, width in wanted.items() if one not in hidden) > room:
                hidden.add(column)
        for column in Column:
            self.setColumnHidden(column, column in hidden)
            self.setColumnWidth(column, wanted[column])
        others = sum(width for one, width in wanted.items() if one not in hidden | {Column.NAME})
        self.setColumnWidth(Column.NAME, max(theme.px(_NARROWEST_NAME_PX), room - others))

    def _wanted(self, column: Column) -> int:
        title = QFontMetrics(strong(small(QApplication.font()))).horizontalAdvance(texts.COLUMNS[column])
        metrics, rows = QFontMetrics(QApplication.font()), self.entries.rows
        words = {row.cells[column] for row in rows}
        if column is Column.FIT:
            words |= set(texts.WIDEST_VERDICTS)  # before they come: so nothing jumps
        widest = max(map(metrics.horizontalAdvance, words), default=0)
        sign = theme.px(_SIGN_PX) if column is Column.FIT else 0
        most = theme.px(_WIDEST_PX.get(column, 1000))
        return max(title + theme.px(14), min(widest + sign, most)) + 2


class _Header(QHeaderView):
    """Titles to click, with a sign at the one that the rows are sorted by."""

    def __init__(self, table: EntryTable) -> None:
        super().__init__(Qt.Orientation.Horizontal, table)
        self.setAccessibleName(texts.HEADER)
        self.setHighlightSections(False)
        self.setSectionsClickable(True)
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setMinimumSectionSize(1)

    def setSortIndicator(self, column: int, order: Qt.SortOrder) -> None:
        self.setProperty("sorted", int(column))
        self.setProperty("descending", order == Qt.SortOrder.DescendingOrder)
        self.viewport().update()

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), theme.px(_HEADER_PX))

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        painter.fillRect(rect, QColor(theme.current().surface))
        painter.setPen(QColor(theme.current().border))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        inner = rect.adjusted(theme.px(_PADDING), 0, -theme.px(_PADDING), 0)
        font, title = strong(small(QApplication.font())), texts.COLUMNS[section]
        is_sorted = self.property("sorted") == section
        role = "text" if is_sorted else "soft"
        if is_sorted:
            inner = self._paint_sign(painter, inner, section, QFontMetrics(font).horizontalAdvance(title))
        paint_words(painter, font, inner, title, role, alignment(section))

    def _paint_sign(self, painter: QPainter, rect: QRect, section: int, title_width: int) -> QRect:
        """An arrow after the title; returns what is left for it."""
        side, gap = theme.px(10), theme.px(4)
        name = "ph.arrow-down" if self.property("descending") else "ph.arrow-up"
        at_right = bool(alignment(section) & Qt.AlignmentFlag.AlignRight)
        left = rect.right() - side if at_right else rect.x() + min(title_width, rect.width() - side - gap) + gap
        theme.icon(name, "text").paint(painter, QRect(left, rect.center().y() - side // 2 + 1, side, side))
        return rect.adjusted(0, 0, -side - gap, 0) if at_right else rect


class _Cells(QStyledItemDelegate):
    """Paints a cell: names that broke with a sign, the verdict with its own, numbers at the right."""

    def __init__(self, table: EntryTable) -> None:
        super().__init__(table)
        self._table = table

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(theme.px(60), theme.px(_ROW_PX))

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        field = QLineEdit(parent)
        field.setAccessibleName(texts.RENAME)
        field.setMaxLength(_LONGEST_NAME)
        return field

    def helpEvent(self, event: Any, view: Any, option: QStyleOptionViewItem, index: Index) -> bool:
        """The whole text where it is cut."""
        if event.type() == QEvent.Type.ToolTip and index.isValid():
            words = str(index.data())
            room = option.rect.width() - 2 * theme.px(_PADDING)
            is_cut = QFontMetrics(QApplication.font()).horizontalAdvance(words) > room
            view.setToolTip(plain_tip(words) if is_cut else "")
        return super().helpEvent(event, view, option, index)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        model = self._table.entries
        row, column = model.rows[index.row()], Column(index.column())
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        self._paint_ground(painter, option, index, is_chosen=is_chosen)
        inner = option.rect.adjusted(theme.px(_PADDING), 0, -theme.px(_PADDING), 0)
        font = strong(QApplication.font()) if is_chosen and column is Column.NAME else QApplication.font()
        icon, role = _sign(row, column, has_gpu=model.has_gpu)
        if icon:
            side = theme.px(16)
            icon.paint(painter, QRect(inner.x(), inner.center().y() - side // 2 + 1, side, side))
            inner = inner.adjusted(theme.px(_SIGN_PX), 0, 0, 0)
        cut = Qt.TextElideMode.ElideMiddle if column is Column.NAME else Qt.TextElideMode.ElideRight
        paint_words(painter, font, inner, row.cells[column], role, alignment(column), cut)
        painter.restore()

    def _paint_ground(self, painter: QPainter, option: QStyleOptionViewItem, index: Index, *, is_chosen: bool) -> None:
        colours, rect = theme.current(), option.rect
        if is_chosen:
            painter.fillRect(rect, QColor(colours.tint))
        painter.setPen(QColor(colours.border))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        if is_chosen and self._table.hasFocus():
            _paint_focus(painter, index, rect)


def _sign(row: Row, column: Column, *, has_gpu: bool) -> tuple[QIcon | None, str]:
    """A cell's icon and the role of its colour."""
    if row.is_broken and column is Column.FIT:
        return theme.icon("ph.warning-circle", "bad"), "bad"
    if row.verdict is not None and column is Column.FIT:
        return verdict_icon(row.verdict, has_gpu=has_gpu), verdict_role(row.verdict, has_gpu=has_gpu)
    return None, "text" if column in (Column.NAME, Column.QUANT, Column.SIZE) else "soft"


def _paint_focus(painter: QPainter, index: Index, rect: QRect) -> None:
    """A ring around the whole row, drawn cell by cell."""
    painter.setPen(QPen(QColor(theme.current().focus), 2))
    painter.drawLine(rect.left(), rect.top() + 1, rect.right() + 1, rect.top() + 1)
    painter.drawLine(rect.left(), rect.bottom(), rect.right() + 1, rect.bottom())
    if index.column() == 0:
        painter.drawLine(rect.left() + 1, rect.top(), rect.left() + 1, rect.bottom())
    if index.column() == len(texts.COLUMNS) - 1:
        painter.drawLine(rect.right(), rect.top(), rect.right(), rect.bottom())
