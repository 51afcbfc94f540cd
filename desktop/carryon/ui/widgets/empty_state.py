"""What a page shows while it has nothing: an icon, what it is for, and the first thing to do."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.widgets.controls import label
from carryon.ui.widgets.spacing import OnTheme, spaced


class EmptyState(QWidget):
    """Centred in whatever room there is."""

    def __init__(self, icon: str, title: str, text: str, *buttons: QPushButton) -> None:
        super().__init__()
        self._icon_name = icon
        self._sign = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        column = QVBoxLayout(self)
        spaced(column, (24, 24, 24, 24), 8)
        column.addStretch(1)
        column.addWidget(self._sign)
        for words in (label(title, "heading", wraps=True), label(text, "soft", wraps=True)):
            words.setAlignment(Qt.AlignmentFlag.AlignCenter)
            column.addWidget(words)
        for made in buttons:
            column.addWidget(made, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)
        OnTheme(self, self._paint_sign)

    def _paint_sign(self) -> None:
        side = theme.px(32)
        self._sign.setPixmap(theme.icon(self._icon_name).pixmap(side, side))
