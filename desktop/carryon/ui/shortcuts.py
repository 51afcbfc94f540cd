"""The window's keyboard: which keys do what, and the list that shows them."""

from collections.abc import Callable, Mapping

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from carryon.ui import texts
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import sized, spaced


def bind(window: QWidget, actions: Mapping[str, Callable[[], object]]) -> None:
    """Gives the window these keys; each works wherever the focus is in it."""
    for keys, act in actions.items():
        QShortcut(QKeySequence(keys), window).activated.connect(act)


class ShortcutsDialog(QDialog):
    """The list behind Ctrl+/."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(texts.SHORTCUTS_TITLE)
        page = QWidget()
        grid = QGridLayout(page)
        spaced(grid, (24, 20, 24, 12), 10)
        grid.setColumnStretch(1, 1)
        grid.addWidget(label(texts.SHORTCUTS_TITLE, "title"), 0, 0, 1, 2)
        for row, (keys, what) in enumerate(texts.SHORTCUTS, 1):
            key = label(keys, "key")
            grid.addWidget(key, row, 0)
            grid.addWidget(label(what, wraps=True), row, 1)
        scroll = Scroll()
        scroll.hold(page)
        column = QVBoxLayout(self)
        spaced(column, (0, 0, 0, 16), 8)
        column.addWidget(scroll)
        close = button(texts.CLOSE, "primary", on_click=self.accept)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(close)
        column.addLayout(spaced(foot, (24, 0, 24, 0)))
        close.setDefault(True)
        close.setFocus()
        sized(self, 480, 560)
