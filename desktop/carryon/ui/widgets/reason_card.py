"""What went wrong in one sentence, what to do next, and the buttons that do it."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from carryon.base.errors import AppError
from carryon.ui import theme
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.spacing import spaced

Action = tuple[str, Callable[[], object]]


class ReasonCard(QFrame):
    """An error as a person can use it; the first action is the likely one. Never shows a traceback."""

    def __init__(self, error: AppError, actions: Sequence[Action] = ()) -> None:
        super().__init__()
        self.setObjectName("reason")
        self._sign = QLabel()
        self._message = label("", "heading", wraps=True, selectable=True)
        self._hint = label("", wraps=True, selectable=True)
        self._buttons = FlowLayout()
        self._arrange()
        theme.theme_changed.connect(self._paint_sign)
        self.show_error(error, actions)

    def show_error(self, error: AppError, actions: Sequence[Action] = ()) -> None:
        """Replaces what the card says."""
        self._message.setText(error.message)
        self._hint.setText(error.hint)
        self._hint.setVisible(bool(error.hint))
        self._buttons.clear()
        for index, (text, act) in enumerate(actions):
            self._buttons.addWidget(button(text, "" if index else "primary", on_click=act))
        self.setAccessibleName(f"{error.message} {error.hint}".strip())
        self._paint_sign()

    def _arrange(self) -> None:
        words = QVBoxLayout()
        spaced(words, gap=6)
        words.addWidget(self._message)
        words.addWidget(self._hint)
        words.addLayout(spaced(self._buttons))
        row = QHBoxLayout(self)
        spaced(row, (16, 16, 16, 16), 12)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)

    def _paint_sign(self) -> None:
        side = theme.px(20)
        self._sign.setPixmap(theme.icon("ph.warning-circle", "bad").pixmap(side, side))
