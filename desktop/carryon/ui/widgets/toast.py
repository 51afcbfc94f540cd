"""A short message over the page that goes by itself, with Undo where something can be taken back."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtGui import QAccessible, QAccessibleEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QWidget

from carryon.ui import theme
from carryon.ui.widgets.controls import label
from carryon.ui.widgets.spacing import spaced

SHOWN_MS = 6000
SHOWN_WITH_UNDO_MS = 10000
ABOVE_BOTTOM_PX = 128  # clear of the line where messages are written


class Toast(QFrame):
    """One at a time; the next one takes its place."""

    def __init__(self, parent: QWidget, undo_text: str) -> None:
        super().__init__(parent)
        self._page = parent
        self.setObjectName("toast")
        self._undo: Callable[[], object] | None = None
        self._words = label("", wraps=False)
        self._button = QPushButton(undo_text)
        self._button.setAccessibleName(undo_text)
        self._button.clicked.connect(self._take_back)
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.hide)
        row = QHBoxLayout(self)
        spaced(row, (16, 8, 8, 8), 16)
        row.addWidget(self._words)
        row.addWidget(self._button)
        parent.installEventFilter(self)
        self.hide()

    def say(self, text: str, undo: Callable[[], object] | None = None) -> None:
        """Shows a sentence; `undo` takes back what it tells."""
        self._undo = undo
        self._words.setText(text)
        self._words.setWordWrap(False)
        self.setAccessibleName(text)
        self._button.setVisible(undo is not None)
        self.show()
        self.raise_()
        self._place()
        self._timer.start(SHOWN_WITH_UNDO_MS if undo else SHOWN_MS)
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.Alert))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

    def _take_back(self) -> None:
        undo, self._undo = self._undo, None
        self.hide()
        if undo:
            undo()

    def _place(self) -> None:
        parent = self._page
        room = parent.width() - theme.px(48)
        self.ensurePolished()
        if self.sizeHint().width() > room:
            self._words.setWordWrap(True)
            self._words.setFixedWidth(max(theme.px(120), room - self._button.sizeHint().width() - theme.px(48)))
        else:
            self._words.setMinimumWidth(0)
            self._words.setMaximumWidth(16777215)
        self.adjustSize()
        self.move((parent.width() - self.width()) // 2, parent.height() - self.height() - theme.px(ABOVE_BOTTOM_PX))
