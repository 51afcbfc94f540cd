"""Memory bars under each other, one a device; their widgets are kept while the figures change."""

from collections.abc import Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from carryon.ui.memory_facts import DeviceBar
from carryon.ui.widgets.memory_bar import MemoryBar
from carryon.ui.widgets.spacing import spaced


class MemoryBars(QWidget):
    """Draws only what changed: a slider calls it on every tick."""

    def __init__(self) -> None:
        super().__init__()
        self._bars: list[MemoryBar] = []
        self._shown: list[DeviceBar] = []
        self._column = QVBoxLayout(self)
        spaced(self._column, gap=14)

    def show_bars(self, bars: Sequence[DeviceBar]) -> None:
        """Replaces what is shown."""
        while len(self._bars) > len(bars):
            gone = self._bars.pop()
            gone.setParent(None)
            gone.deleteLater()
        for index, bar in enumerate(bars):
            if index == len(self._bars):
                self._bars.append(MemoryBar(bar))
                self._column.addWidget(self._bars[index])
            elif bar != self._shown[index]:
                self._bars[index].show_bar(bar)
        self._shown = list(bars)
