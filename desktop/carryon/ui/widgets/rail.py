"""The rail on the left: one button a page, the last at the bottom."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QSizePolicy, QToolButton, QVBoxLayout

from carryon.ui import theme
from carryon.ui.widgets.spacing import OnTheme, spaced


@dataclass(frozen=True)
class RailItem:
    """A page as the rail shows it."""

    text: str
    icon: str
    shortcut: str


class Rail(QFrame):
    """Says which page is wanted; the window decides."""

    page_wanted = Signal(int)

    def __init__(self, items: Sequence[RailItem]) -> None:
        super().__init__()
        self.setObjectName("rail")
        self.setAccessibleName("Pages")
        self._group = QButtonGroup(self)
        column = QVBoxLayout(self)
        spaced(column, (8, 12, 8, 12), 4)
        for index, item in enumerate(items):
            if index == len(items) - 1:
                column.addStretch(1)
            column.addWidget(self._button(index, item))
        OnTheme(self, lambda: self.setFixedWidth(theme.px(84)))
        self._group.idClicked.connect(self.page_wanted)

    def show_current(self, index: int | None) -> None:
        """Marks the page that is open; None: one that has no place here."""
        if index is not None:
            self._group.button(index).setChecked(True)
        elif checked := self._group.checkedButton():
            self._group.setExclusive(False)  # else one button would stay marked
            checked.setChecked(False)
            self._group.setExclusive(True)

    def _button(self, index: int, item: RailItem) -> QToolButton:
        made = QToolButton()
        made.setText(item.text)
        made.setAccessibleName(item.text)
        made.setToolTip(f"{item.text} ({item.shortcut})")
        made.setCheckable(True)
        made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        made.setIconSize(QSize(theme.px(22), theme.px(22)))
        theme.dress(made, item.icon, size=22)
        self._group.addButton(made, index)
        return made
