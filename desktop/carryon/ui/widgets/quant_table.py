"""The table of quants: one line each, the best marked, the one that is looked at chosen."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from carryon.ui import theme
from carryon.ui.quant_rows import BEST, COLUMNS, QUANTS, Row
from carryon.ui.widgets.painted import paint_words, small, strong
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.widgets.verdict import verdict_icon, verdict_role

QUANT, VERDICT = COLUMNS.index("Quant"), COLUMNS.index("Verdict")
_NUMBERS = {COLUMNS.index(name) for name in ("Size", "Bits/weight", "Memory", "Tokens/s")}
_STRETCHED = {QUANT: 2, VERDICT: 1, COLUMNS.index("Quality"): 2}  # who takes the room that is left
_PADDING, _TIGHT_PADDING, _ROW_PX = 12, 7, 36
Index = QModelIndex | QPersistentModelIndex


class QuantModel(QAbstractTableModel):
    """The rows as Qt reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[Row, ...] = ()
        self.has_gpu = True
        self._memory_header = COLUMNS[3]

    def show_rows(self, rows: Sequence[Row], memory_header: str, *, has_gpu: bool) -> None:
        """Replaces the rows; where the quants are the same, only their figures change and the choice stays."""
        old, had_gpu = self.rows, self.has_gpu
        if [row.quant for row in rows] != [row.quant for row in old]:
            self.beginResetModel()
            self.rows, self.has_gpu = tuple(rows), has_gpu
            self.endResetModel()
        elif rows:
            self.rows, self.has_gpu = tuple(rows), has_gpu
            for column in range(len(COLUMNS)):
                if has_gpu != had_gpu or _differ(old, self.rows, column):
                    self.dataChanged.emit(self.index(0, column), self.index(len(rows) - 1, column))
        if memory_header != self._memory_header:
            self._memory_header = memory_header
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, 3, 3)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  (Qt's own signature)
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.cells[index.column()]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return row.spoken if index.column() == QUANT else row.cells[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return alignment(index.column())
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._memory_header if section == 3 else COLUMNS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return alignment(section)
        return None


def _differ(old: Sequence[Row], new: Sequence[Row], column: int) -> bool:
    """Whether a column has to be painted anew; the tags stand beside the quant."""
    if column == QUANT:
        return any(one.tags != other.tags for one, other in zip(old, new, strict=True))
    return any(one.cells[column] != other.cells[column] for one, other in zip(old, new, strict=True))


def alignment(column: int) -> Qt.AlignmentFlag:
    """Numbers stand under each other at the right."""
    side = Qt.AlignmentFlag.AlignRight if column in _NUMBERS else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


class QuantTable(QTableView):
    """As high as its rows: the page scrolls, not the table. Arrow keys choose."""

    chosen = Signal(str)
    row_seen = Signal(QRect)  # where the chosen row is, in the table's coordinates

    def __init__(self, model: QuantModel | None = None) -> None:
        super().__init__()
        self.setObjectName("quants")
        self.setAccessibleName(QUANTS)
        self._quants = model or QuantModel()
        self._is_drawing = False
        self.setModel(self._quants)
        self.setItemDelegate(QuantCells(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setCornerButtonEnabled(False)
        self.verticalHeader().hide()
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.selectionModel().currentRowChanged.connect(self._row_chosen)
        self._widths: tuple[int, ...] = ()
        self.padding = theme.px(_PADDING)
        self.setHorizontalHeader(_Header(self))
        self._measured: dict[tuple[str, bool, bool], int] = {}
        OnTheme(self, self._measure)

    def show_rows(self, rows: Sequence[Row], memory_header: str, current: str, *, has_gpu: bool) -> None:
        """Replaces the rows; `current` is the quant that is looked at."""
        self._is_drawing = True
        if len(rows) != len(self._quants.rows):
            self._widths = ()
        self._quants.show_rows(rows, memory_header, has_gpu=has_gpu)
        place = next((index for index, row in enumerate(rows) if row.quant == current), -1)
        if place != self.currentIndex().row():
            self.setCurrentIndex(self._quants.index(place, QUANT))
        self._fit_sizes()
        self._is_drawing = False

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._fit_columns()

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        """Left and right have nothing to choose between: a whole row is chosen."""
        moves = QAbstractItemView.CursorAction
        if action in (moves.MoveLeft, moves.MoveRight):
            return self.currentIndex()
        if action == moves.MoveHome:
            return self._quants.index(0, QUANT)
        if action == moves.MoveEnd:
            return self._quants.index(len(self._quants.rows) - 1, QUANT)
        return super().moveCursor(action, modifiers)

    def scrollTo(self, index: Index, hint: Any = None) -> None:
        """The table itself never scrolls downwards; the page is told where the row is."""

    def _row_chosen(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid() and not self._is_drawing:
            self.chosen.emit(self._quants.rows[current.row()].quant)
            self.row_seen.emit(self.visualRect(current))

    def _measure(self) -> None:
        """With another text size everything has another width."""
        self._measured.clear()
        self._widths = ()
        self.verticalHeader().setMinimumSectionSize(1)
        self.verticalHeader().setDefaultSectionSize(theme.px(_ROW_PX))
        self._fit_sizes()

    def _fit_sizes(self) -> None:
        """Widths follow the words. They only grow while the rows stay, so that nothing jumps under a moving slider."""
        wanted = tuple(self._wanted(column) for column in range(len(COLUMNS)))
        widths = tuple(map(max, wanted, self._widths)) if self._widths else wanted
        if widths != self._widths:
            self._widths = widths
            self._fit_columns()
        self._fit_height()

    def _fit_height(self) -> None:
        bar = theme.px(12) if self._width(_TIGHT_PADDING) > self.viewport().width() else 0
        header = self.horizontalHeader().sizeHint().height()
        height = header + len(self._quants.rows) * theme.px(_ROW_PX) + bar + 2
        if height != self.height() or height != self.minimumHeight():
            self.setFixedHeight(height)

    def _fit_columns(self) -> None:
        """Every column gets what its words need; what is left goes to the columns of words."""
        columns = len(self._widths)
        self.padding = theme.px(_PADDING if self._width(_PADDING) <= self.viewport().width() else _TIGHT_PADDING)
        left = max(0, self.viewport().width() - sum(self._widths) - 2 * columns * self.padding)
        shares = sum(_STRETCHED.values())
        for column, width in enumerate(self._widths):
            share = left * _STRETCHED.get(column, 0) // shares
            self.setColumnWidth(column, width + 2 * self.padding + share)
        self._fit_height()

    def _width(self, padding: int) -> int:
        return sum(self._widths) + 2 * len(self._widths) * theme.px(padding)

    def _wanted(self, column: int) -> int:
        rows = self._quants.rows
        title = self._wide(
            str(self._quants.headerData(column, Qt.Orientation.Horizontal)), is_small=True, is_strong=True
        )
        if column == QUANT:
            return max((self._wide_quant(row) for row in rows), default=0) + title * (not rows) + 2
        sign = theme.px(24) if column == VERDICT else 0
        return max(title, max((self._wide(row.cells[column]) for row in rows), default=0) + sign) + 2

    def _wide_quant(self, row: Row) -> int:
        tags = sum(self._wide(tag, is_small=True) + theme.px(8) for tag in row.tags)
        return self._wide(row.quant, is_strong=True) + tags

    def _wide(self, words: str, *, is_small: bool = False, is_strong: bool = False) -> int:
        """How wide a text is drawn; the same texts come again at every tick of a slider."""
        key = (words, is_small, is_strong)
        if key not in self._measured:
            font = small(QApplication.font()) if is_small else QApplication.font()
            self._measured[key] = QFontMetrics(strong(font) if is_strong else font).horizontalAdvance(words)
        return self._measured[key]


def card_of(table: QuantTable, words: QWidget, more: QWidget) -> QFrame:
    """The table in its card; what is said of it and what shows more of it stand below."""
    card = QFrame()
    card.setObjectName("card")
    column = QVBoxLayout(card)
    spaced(column, (1, 6, 1, 8), 0)
    column.addWidget(table)
    foot = QHBoxLayout()
    foot.addWidget(words, 1)
    foot.addWidget(more)
    column.addLayout(spaced(foot, (12, 6, 12, 0), 12))
    return card


class _Header(QHeaderView):
    """The titles with the padding of the cells under them, which a style sheet could not change by the width."""

    def __init__(self, table: QuantTable) -> None:
        super().__init__(Qt.Orientation.Horizontal, table)
        self._table = table
        self.setAccessibleName("What the columns are")
        self.setHighlightSections(False)
        self.setSectionsClickable(False)
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), theme.px(38))

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        title = str(self.model().headerData(section, Qt.Orientation.Horizontal))
        inner = rect.adjusted(self._table.padding, 0, -self._table.padding, 0)
        painter.setPen(QColor(theme.current().border))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        paint_words(painter, strong(small(QApplication.font())), inner, title, "soft", alignment(section))


class QuantCells(QStyledItemDelegate):
    """Paints a cell: the quant with its tags, the verdict with its icon, numbers at the right."""

    def __init__(self, table: QuantTable) -> None:
        super().__init__(table)
        self._table = table

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return QSize(theme.px(60), theme.px(_ROW_PX))

    def is_tinted(self, row: Row, *, is_chosen: bool) -> bool:
        """Whether a row stands out: here the one that is looked at."""
        return is_chosen

    def words_role(self, row: Row) -> str:
        """The colour of a row's words."""
        return "text"

    def paint_quant(self, painter: QPainter, font: QFont, rect: QRect, row: Row, *, is_strong: bool) -> None:
        """The quant and what stands beside it."""
        name = strong(font) if is_strong else font
        used = paint_words(painter, name, rect, row.quant, self.words_role(row))
        tag_font = small(font)
        for tag in row.tags:
            role = "accent" if tag == BEST else "soft"
            rect = rect.adjusted(used + theme.px(8), 0, 0, 0)
            used = paint_words(painter, tag_font, rect, tag, role)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        model, font = self._table._quants, QApplication.font()
        row = model.rows[index.row()]
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        self._paint_ground(painter, option, index, row, is_chosen=is_chosen)
        inner = option.rect.adjusted(self._table.padding, 0, -self._table.padding, 0)
        if index.column() == QUANT:
            self.paint_quant(painter, font, inner, row, is_strong=row.is_best or is_chosen)
        elif index.column() == VERDICT:
            _paint_verdict(painter, font, inner, row, has_gpu=model.has_gpu)
        else:
            words, side = row.cells[index.column()], alignment(index.column())
            paint_words(painter, font, inner, words, self.words_role(row), side)
        painter.restore()

    def _paint_ground(
        self, painter: QPainter, option: QStyleOptionViewItem, index: Index, row: Row, *, is_chosen: bool
    ) -> None:
        colours, rect = theme.current(), option.rect
        if self.is_tinted(row, is_chosen=is_chosen):
            painter.fillRect(rect, QColor(colours.tint))
        painter.setPen(QColor(colours.border))
        if index.row() < len(self._table._quants.rows) - 1:
            painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        if is_chosen and self._table.hasFocus():
            self._paint_focus(painter, index, rect)

    def _paint_focus(self, painter: QPainter, index: Index, rect: QRect) -> None:
        """A ring around the whole row, drawn cell by cell."""
        painter.setPen(QPen(QColor(theme.current().focus), 2))
        painter.drawLine(rect.left(), rect.top() + 1, rect.right() + 1, rect.top() + 1)
        painter.drawLine(rect.left(), rect.bottom(), rect.right() + 1, rect.bottom())
        if index.column() == 0:
            painter.drawLine(rect.left() + 1, rect.top(), rect.left() + 1, rect.bottom())
        if index.column() == len(COLUMNS) - 1:
            painter.drawLine(rect.right(), rect.top(), rect.right(), rect.bottom())


def _paint_verdict(painter: QPainter, font: QFont, rect: QRect, row: Row, *, has_gpu: bool) -> None:
    if row.verdict is None:
        paint_words(painter, font, rect, row.cells[VERDICT], "soft")
        return
    side = theme.px(16)
    place = QRect(rect.x(), rect.center().y() - side // 2 + 1, side, side)
    verdict_icon(row.verdict, has_gpu=has_gpu).paint(painter, place)
    words = rect.adjusted(theme.px(24), 0, 0, 0)
    paint_words(painter, font, words, row.cells[VERDICT], verdict_role(row.verdict, has_gpu=has_gpu))
