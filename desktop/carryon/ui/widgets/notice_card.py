"""Something a person should know and need not act on; it stays until it is closed."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from carryon.ui import theme
from carryon.ui.widgets.controls import icon_button, label
from carryon.ui.widgets.spacing import OnTheme, spaced


class NoticeCard(QFrame):
    """A heading, its sentences, and a button that closes it."""

    def __init__(self, title: str, close_text: str, on_close: Callable[[], object]) -> None:
        super().__init__()
        self.setObjectName("notice")
        self._title = title
        self._sign = QLabel()
        self._words = label("", wraps=True, selectable=True)
        words = QVBoxLayout()
        spaced(words, gap=4)
        words.addWidget(label(title, "heading", wraps=True))
        words.addWidget(self._words)
        row = QHBoxLayout(self)
        spaced(row, (16, 12, 8, 12), 12)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        row.addWidget(icon_button(close_text, "ph.x", on_close), 0, Qt.AlignmentFlag.AlignTop)
        OnTheme(self, self._paint_sign)

    def say(self, sentences: Sequence[str]) -> None:
        """Replaces what it tells."""
        self._words.setText("\n".join(sentences))
        self.setAccessibleName(f"{self._title}. {' '.join(sentences)}")

    def _paint_sign(self) -> None:
        side = theme.px(20)
        self._sign.setPixmap(theme.icon("ph.info", "warn").pixmap(side, side))
