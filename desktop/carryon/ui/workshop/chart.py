"""What the files of a run cost: quality lost against size, drawn; and the same figures as a table.

pyqtgraph is imported when a chart is drawn for the first time: half of the window's start otherwise.
"""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QFont, QWheelEvent
from PySide6.QtWidgets import QApplication, QFrame, QHeaderView, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from carryon.evaluate.chart import Point
from carryon.ui import theme
from carryon.ui.widgets.controls import label
from carryon.ui.widgets.painted import small
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.workshop import run_texts as texts

_HEIGHT_PX, _ROW_PX, _LEAST_COLUMN_PX = 300, 34, 84
_LEAST_DOT_PX, _MOST_DOT_PX, _BASE_DOT_PX = 9, 21, 15
_NEAR_X, _NEAR_Y = 0.08, 0.1  # parts of the chart within which two names would lie over each other
_ROOM = 0.14  # around the outermost dots, of the range
_NUMBERS = (1, 2, 3)


class TradeOff(QWidget):
    """The chart, its explanation, its table."""

    def __init__(self, points: Sequence[Point]) -> None:
        super().__init__()
        self._points = tuple(points)
        self._plot = plot_of(self._points)
        self.table = PointsTable(self._points)
        column = QVBoxLayout(self)
        spaced(column, gap=10)
        column.addWidget(label(texts.MEASURED, "strong"))
        column.addWidget(self._plot)
        column.addWidget(label(texts.CHART_NOTE, "soft", wraps=True))
        column.addWidget(self.table)
        OnTheme(self, self._dress)

    def _dress(self) -> None:
        """Draws all of it in the colours and sizes of now."""
        self._plot.setFixedHeight(theme.px(_HEIGHT_PX))
        draw(self._plot, self._points)


class PointsTable(QTableWidget):
    """As high as its rows; what the chart shows, for eyes, keyboards and screen readers."""

    def __init__(self, points: Sequence[Point]) -> None:
        rows = texts.chart_rows(points)
        super().__init__(len(rows), len(texts.CHART_COLUMNS))
        self.setAccessibleName(texts.MEASURED)
        self.setHorizontalHeaderLabels(list(texts.CHART_COLUMNS))
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.setObjectName("fields")
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for row, cells in enumerate(rows):
            for column, words in enumerate(cells):
                self.setItem(row, column, _cell(words, column))
        header = self.horizontalHeader()
        header.setSectionsClickable(False)
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        for column in range(len(texts.CHART_COLUMNS)):
            if title := self.horizontalHeaderItem(column):
                title.setTextAlignment(_side(column))
        OnTheme(self, self._fit)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """The page scrolls, not the table."""
        event.ignore()

    def _fit(self) -> None:
        self.horizontalHeader().setMinimumSectionSize(theme.px(_LEAST_COLUMN_PX))
        self.verticalHeader().setMinimumSectionSize(1)
        self.verticalHeader().setDefaultSectionSize(theme.px(_ROW_PX))
        header = self.horizontalHeader().sizeHint().height()
        self.setFixedHeight(header + self.rowCount() * theme.px(_ROW_PX) + theme.px(14))


def _side(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in _NUMBERS else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _cell(words: str, column: int) -> QTableWidgetItem:
    made = QTableWidgetItem(words)
    made.setTextAlignment(_side(column))
    return made


def plot_of(points: Sequence[Point]) -> Any:
    """An empty chart that neither takes the wheel nor the keyboard: the table beside it does what a chart cannot."""
    import pyqtgraph

    class FromZero(pyqtgraph.AxisItem):  # type: ignore[misc]  # the library has no types
        """The room under the lowest dots has no numbers: nothing is better than the base."""

        def tickStrings(self, values: Any, scale: float, spacing: float) -> list[str]:
            words = super().tickStrings(values, scale, spacing)
            return ["" if value < 0 else text for value, text in zip(values, words, strict=True)]

    class Plot(pyqtgraph.PlotWidget):  # type: ignore[misc]  # the library has no types
        def wheelEvent(self, event: QWheelEvent) -> None:
            event.ignore()

        def viewportEvent(self, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Wheel:
                event.ignore()
                return False
            return bool(super().viewportEvent(event))

    plot = Plot(axisItems={"left": FromZero("left")})
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    plot.setFrameShape(QFrame.Shape.NoFrame)
    plot.setMouseEnabled(False, False)
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.setAntialiasing(True)
    plot.setAccessibleName(texts.chart_spoken(points))
    return plot


def draw(plot: Any, points: Sequence[Point]) -> None:
    """Axes, the line of what nothing beats, a dot and a name for each file."""
    colours = theme.current()
    plot.clear()
    plot.setBackground(QColor(colours.surface))
    unit, size_words = texts.size_unit(points)
    for side, words in (("bottom", size_words), ("left", texts.LOSS_AXIS)):
        _dress_axis(plot.getAxis(side), words)
    plot.showGrid(x=True, y=True, alpha=0.12)
    _set_range(plot, points, unit)
    front = sorted((one for one in points if one.is_on_front), key=lambda one: one.size_bytes)
    plot.plot([one.size_bytes / unit for one in front], [one.loss for one in front], pen=_pen(colours.accent, 2))
    below = _named_below(front, points)
    for one in points:
        plot.addItem(_dot(one, points, unit))
        plot.addItem(_name(one, unit, is_below=one in below))


def _dress_axis(axis: Any, words: str) -> None:
    colours, font = theme.current(), small(QApplication.font())
    axis.setPen(_pen(colours.border, 1))
    axis.setTextPen(QColor(colours.soft))
    axis.setTickFont(font)
    axis.setStyle(tickTextOffset=theme.px(6))
    axis.enableAutoSIPrefix(False)
    axis.setLabel(words, color=colours.soft, **{"font-size": f"{theme.px(12)}px"})


def _set_range(plot: Any, points: Sequence[Point], unit: float) -> None:
    sizes, losses = [one.size_bytes / unit for one in points], [one.loss for one in points]
    width, height = max(sizes) - min(sizes) or max(sizes), max(losses) or 1.0
    plot.setXRange(max(0.0, min(sizes) - width * _ROOM), max(sizes) + width * _ROOM, padding=0)
    plot.setYRange(-height * _ROOM, max(losses) + height * _ROOM, padding=0)


def _dot(one: Point, points: Sequence[Point], unit: float) -> Any:
    """Larger is faster; the base is a diamond; what another file beats is hollow."""
    import pyqtgraph

    colours = theme.current()
    colour = QColor(colours.text if one.is_base else colours.accent)
    filling = colour if one.is_on_front or one.is_base else QColor(colours.surface)
    return pyqtgraph.ScatterPlotItem(
        [one.size_bytes / unit], [one.loss], symbol="d" if one.is_base else "o", size=theme.px(_side_of(one, points)),
        pen=pyqtgraph.mkPen(colour, width=2), brush=filling,
    )  # fmt: skip


def _side_of(one: Point, points: Sequence[Point]) -> float:
    """Of a dot, in design pixels."""
    speeds = [other.tokens_per_s for other in points if other.tokens_per_s]
    if one.is_base or one.tokens_per_s is None or len(speeds) < 2 or max(speeds) == min(speeds):
        return _BASE_DOT_PX
    share = (one.tokens_per_s - min(speeds)) / (max(speeds) - min(speeds))
    return _LEAST_DOT_PX + share * (_MOST_DOT_PX - _LEAST_DOT_PX)


def _named_below(front: Sequence[Point], points: Sequence[Point]) -> list[Point]:
    """Under the line nothing can lie, so the names of its dots stand there; where two dots are so near that their
    names would lie over each other, the larger file's stands above, as those of all other dots do.
    """
    width = max(one.size_bytes for one in points) - min(one.size_bytes for one in points) or 1
    height = max(one.loss for one in points) or 1.0
    below: list[Point] = []
    for one in front:
        near = below and one.size_bytes - below[-1].size_bytes < _NEAR_X * width
        if not (near and below[-1].loss - one.loss < _NEAR_Y * height):
            below.append(one)
    return below


def _name(one: Point, unit: float, *, is_below: bool) -> Any:
    import pyqtgraph

    anchor = (1.05, 1.2) if one.is_base else (1.05, -0.1) if is_below else (-0.08, 1.1)
    made = pyqtgraph.TextItem(one.quant, color=QColor(theme.current().text), anchor=anchor)
    font: QFont = small(QApplication.font())
    made.setFont(font)
    made.setPos(one.size_bytes / unit, one.loss)
    return made


def _pen(colour: str, width: float) -> Any:
    import pyqtgraph

    return pyqtgraph.mkPen(QColor(colour), width=width)
