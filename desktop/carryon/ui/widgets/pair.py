"""Widgets side by side that go under each other where there is too little room: at 200 % text nothing is cut."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.spacing import OnTheme, spaced


class Pair(QWidget):
    """Two widgets side by side; under each other where that is too narrow."""

    def __init__(
        self, first: QWidget, second: QWidget, *, narrow_px: int, gap: int, stretches: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__()
        self._both, self._narrow_px, self._stretches = (first, second), narrow_px, stretches
        self._grid = QGridLayout(self)
        spaced(self._grid, gap=10)
        OnTheme(self._grid, lambda: self._grid.setHorizontalSpacing(theme.px(gap)))
        self._is_narrow: bool | None = None
        OnTheme(self, self._place)

    def minimumSizeHint(self) -> QSize:
        """As if they stood under each other: else the page could never become narrow enough for it."""
        size = super().minimumSizeHint()
        return QSize(max(one.minimumSizeHint().width() for one in self._both), size.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        is_narrow = self.width() < theme.px(self._narrow_px)
        if is_narrow == self._is_narrow:
            return
        self._is_narrow = is_narrow
        for widget in self._both:
            self._grid.removeWidget(widget)
        for index, widget in enumerate(self._both):
            side = Qt.AlignmentFlag.AlignLeft if is_narrow and not self._stretches[index] else Qt.AlignmentFlag(0)
            self._grid.addWidget(widget, index if is_narrow else 0, 0 if is_narrow else index, side)
            self._grid.setColumnStretch(index, int(index == 0) if is_narrow else self._stretches[index])


class Row(QWidget):
    """Left to right, and in the next line where there is no more room."""

    def __init__(self, *widgets: QWidget, gap: int) -> None:
        super().__init__()
        self._widgets, self._gap, self._flow = widgets, gap, FlowLayout()
        for widget in widgets:
            self._flow.addWidget(widget)
        around = QVBoxLayout(self)
        spaced(around)
        around.addLayout(spaced(self._flow, gap=gap))

    def sizeHint(self) -> QSize:
        """All in one line."""
        sizes = [one.sizeHint() for one in self._widgets if not one.isHidden()]
        gaps = max(0, len(sizes) - 1) * theme.px(self._gap)
        return QSize(sum(size.width() for size in sizes) + gaps, max((size.height() for size in sizes), default=0))
