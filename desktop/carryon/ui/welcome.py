"""The first-run card: what this machine is, and one button to a first chat. Nothing is downloaded."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from carryon.hardware.machine import Machine
from carryon.ui import texts, theme
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.icons import app_icon
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, spaced

_ROW_ICONS = ("ph.cpu", "ph.stack", "ph.monitor")  # in the order of texts.machine_summary


class WelcomePage(Scroll):
    """Shown until one of its buttons was used once."""

    guide_wanted = Signal()
    discover_wanted = Signal()
    file_wanted = Signal()
    machine_wanted = Signal()
    skipped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._values: list[QLabel] = []
        self._signs: list[tuple[QLabel, str]] = []
        page = QWidget()
        around = QHBoxLayout(page)
        around.addStretch(1)
        column = QVBoxLayout()
        column.addStretch(1)
        column.addWidget(self._card())
        column.addStretch(1)
        around.addLayout(column, 1000)  # up to the card's own maximum
        around.addStretch(1)
        spaced(around, (24, 24, 24, 24), 0)
        self.hold(page)
        self.setFocusProxy(self._guide)
        OnTheme(self, self._paint_signs)
        self.show_machine(None)

    def show_machine(self, machine: Machine | None) -> None:
        """The summary; None while it is being looked at."""
        for value, (_, words) in zip(self._values, texts.machine_summary(machine), strict=True):
            value.setText(words)

    def _card(self) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        OnTheme(card, lambda: card.setMaximumWidth(theme.px(620)))
        column = QVBoxLayout(card)
        spaced(column, (32, 28, 32, 28), 12)
        self._logo = QLabel()
        column.addWidget(self._logo)
        column.addWidget(label(texts.WELCOME_TITLE, "title", wraps=True))
        column.addWidget(label(texts.WELCOME_TEXT, wraps=True))
        column.addLayout(self._summary())
        column.addLayout(self._buttons())
        return card

    def _summary(self) -> QGridLayout:
        grid = QGridLayout()
        spaced(grid, (0, 8, 0, 8), 10)
        grid.setColumnStretch(2, 1)
        rows = zip(_ROW_ICONS, texts.machine_summary(None), strict=True)
        for row, (icon_name, (name, _)) in enumerate(rows):
            sign, value = QLabel(), label("", wraps=True, selectable=True)
            value.setAccessibleName(name)
            self._signs.append((sign, icon_name))
            self._values.append(value)
            top = Qt.AlignmentFlag.AlignTop
            grid.addWidget(sign, row, 0, top)
            grid.addWidget(label(name, "faint"), row, 1, top)
            grid.addWidget(value, row, 2)
        return grid

    def _buttons(self) -> QVBoxLayout:
        self._guide = button(texts.WELCOME_GUIDE, "primary", "ph.chat-circle-text", self.guide_wanted.emit)
        first, second = FlowLayout(), FlowLayout()
        first.addWidget(self._guide)
        first.addWidget(button(texts.WELCOME_DISCOVER, icon="ph.compass", on_click=self.discover_wanted.emit))
        first.addWidget(button(texts.WELCOME_OPEN, icon="ph.folder-open", on_click=self.file_wanted.emit))
        second.addWidget(button(texts.WELCOME_MACHINE, "link", on_click=self.machine_wanted.emit))
        second.addWidget(button(texts.WELCOME_SKIP, "link", on_click=self.skipped.emit))
        column = QVBoxLayout()
        column.addLayout(spaced(first))
        column.addLayout(spaced(second, gap=20))
        spaced(column, gap=12)
        return column

    def _paint_signs(self) -> None:
        side = theme.px(18)
        for sign, name in self._signs:
            sign.setPixmap(theme.icon(name).pixmap(side, side))
        self._logo.setPixmap(app_icon().pixmap(theme.px(44), theme.px(44)))
