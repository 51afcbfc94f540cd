"""The list of models: a name, its facts, and how it would about fit here."""

from collections.abc import Sequence
from datetime import date

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QListView,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from carryon.hub.repo import Gate
from carryon.ui import theme
from carryon.ui.discover import texts
from carryon.ui.discover.form import Line
from carryon.ui.widgets.controls import plain_tip
from carryon.ui.widgets.painted import paint_words, small, strong
from carryon.ui.widgets.spacing import OnTheme
from carryon.ui.widgets.verdict import verdict_icon, verdict_role

_ROW_PX, _MARGIN_PX, _SIGN_PX, _BADGE_PX = 58, 14, 16, 150
_NARROW_PX = 480  # below it the badge is an icon without its words
_NEAR_END_PX = 400
_Index = QModelIndex | QPersistentModelIndex
_ROLE = Qt.ItemDataRole


class LinesModel(QAbstractListModel):
    """The lines as Qt reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[Line, ...] = ()
        self.has_gpu = False
        self.today = date.today()

    def show_lines(self, lines: Sequence[Line], *, has_gpu: bool) -> None:
        """Replaces them; where models only gain a figure or come at the end, the chosen one stays chosen."""
        old, new = self.lines, tuple(lines)
        kept = len(old) if [one.found for one in new[: len(old)]] == [one.found for one in old] else 0
        if old and not kept:
            self.beginResetModel()
            self.lines, self.has_gpu = new, has_gpu
            self.endResetModel()
            return
        if len(new) > kept:
            self.beginInsertRows(QModelIndex(), kept, len(new) - 1)
            self.lines = new
            self.endInsertRows()
        if kept and (new[:kept] != old or has_gpu != self.has_gpu):
            self.lines, self.has_gpu = new, has_gpu
            self.dataChanged.emit(self.index(0), self.index(kept - 1))
        self.has_gpu = has_gpu

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008  (Qt's own signature)
        return 0 if parent.isValid() else len(self.lines)

    def data(self, index: _Index, role: int = _ROLE.DisplayRole) -> object:
        line = self.lines[index.row()]
        match role:
            case _ROLE.DisplayRole:
                return line.found.repo_id
            case _ROLE.AccessibleTextRole:
                return texts.spoken(line, self.today)
            case _ROLE.ToolTipRole:
                return plain_tip(texts.tip(line))
        return None


class ResultsList(QListView):
    """Arrows move, Enter and a click open; near its end it asks for more."""

    opened = Signal(object)  # a FoundModel
    end_reached = Signal()
    top_left = Signal()  # up, out of the list

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("results")
        self.setAccessibleName(texts.RESULTS)
        self.lines = LinesModel()
        self.setModel(self.lines)
        self.setItemDelegate(LineDelegate(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMouseTracking(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setUniformItemSizes(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.clicked.connect(self._open)
        self.verticalScrollBar().valueChanged.connect(lambda _: self._look_for_end())
        OnTheme(self, self._fit_height)

    def show_lines(self, lines: Sequence[Line], *, has_gpu: bool) -> None:
        """Replaces the models. The list is never higher than they are."""
        self.lines.show_lines(lines, has_gpu=has_gpu)
        self._fit_height()

    def sizeHint(self) -> QSize:
        return QSize(theme.px(400), len(self.lines.lines) * theme.px(_ROW_PX) + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(theme.px(160), theme.px(_ROW_PX))

    def _fit_height(self) -> None:
        self.updateGeometry()
        self.scheduleDelayedItemsLayout()

    def enter(self) -> None:
        """The keyboard comes into the list."""
        self.setFocus(Qt.FocusReason.TabFocusReason)
        if not self.currentIndex().isValid():
            self.setCurrentIndex(self.lines.index(0))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._open(self.currentIndex())
        elif event.key() == Qt.Key.Key_Up and self.currentIndex().row() <= 0:
            self.top_left.emit()
        else:
            super().keyPressEvent(event)

    def _open(self, index: _Index) -> None:
        self.opened.emit(self.lines.lines[index.row()].found)

    def _look_for_end(self) -> None:
        bar = self.verticalScrollBar()
        if bar.maximum() > 0 and bar.value() >= bar.maximum() - theme.px(_NEAR_END_PX):
            self.end_reached.emit()


class LineDelegate(QStyledItemDelegate):
    """Paints a line: name and owner, facts under them, the badge at the right."""

    def __init__(self, view: ResultsList) -> None:
        super().__init__(view)
        self._view = view

    def sizeHint(self, _option: QStyleOptionViewItem, _index: _Index) -> QSize:
        return QSize(theme.px(200), theme.px(_ROW_PX))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        line, font = self._view.lines.lines[index.row()], QApplication.font()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ground(painter, option, is_last=index.row() == self._view.lines.rowCount() - 1)
        inner = option.rect.adjusted(theme.px(_MARGIN_PX), theme.px(8), -theme.px(_MARGIN_PX), -theme.px(8))
        inner.setRight(inner.right() - self._paint_badge(painter, font, inner, line))
        upper, lower = QRect(inner), QRect(inner)
        upper.setHeight(inner.height() // 2)
        lower.setTop(upper.bottom() + 1)
        self._paint_name(painter, font, upper, line)
        facts = texts.facts(line, self._view.lines.today)
        said = f"{line.good_for} · {facts}" if line.good_for else facts
        paint_words(painter, small(font), lower, said, "soft")
        painter.restore()

    def _paint_ground(self, painter: QPainter, option: QStyleOptionViewItem, *, is_last: bool) -> None:
        colours, rect = theme.current(), option.rect
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(colours.tint if is_chosen else colours.hover))
        if not is_last:
            painter.setPen(QColor(colours.border))
            painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        if is_chosen and self._view.hasFocus():
            painter.setPen(QPen(QColor(colours.focus), 2))
            painter.drawRect(rect.adjusted(1, 1, -1, -1))

    def _paint_name(self, painter: QPainter, font: QFont, rect: QRect, line: Line) -> None:
        most = QRect(rect.x(), rect.y(), rect.width() * 3 // 4, rect.height())
        used = paint_words(painter, strong(font), most, line.found.name, "text")
        rect = rect.adjusted(used + theme.px(10), 0, 0, 0)
        if line.found.gate is not Gate.OPEN:
            side = theme.px(_SIGN_PX)
            theme.icon("ph.lock-simple", "warn").paint(painter, rect.x(), rect.center().y() - side // 2 + 1, side, side)
            rect = rect.adjusted(side + theme.px(6), 0, 0, 0)
        paint_words(painter, small(font), rect, line.found.owner, "soft")

    def _paint_badge(self, painter: QPainter, font: QFont, rect: QRect, line: Line) -> int:
        """At the right, in a column of one width; returns how much room it takes."""
        if line.rough is None:
            return 0
        side, has_words = theme.px(_SIGN_PX), rect.width() > theme.px(_NARROW_PX)
        width = theme.px(_BADGE_PX) if has_words else side
        left, has_gpu = rect.right() - width, self._view.lines.has_gpu
        verdict_icon(line.rough.verdict, has_gpu=has_gpu).paint(
            painter, left, rect.center().y() - side // 2 + 1, side, side
        )
        if has_words:
            place = QRect(left + side + theme.px(8), rect.y(), width - side - theme.px(8), rect.height())
            role = verdict_role(line.rough.verdict, has_gpu=has_gpu)
            paint_words(painter, font, place, texts.rough_text(line.rough), role)
        return width + theme.px(12)
