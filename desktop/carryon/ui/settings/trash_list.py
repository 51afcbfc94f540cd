"""The chats in the trash, each of which can come back."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from carryon.chat.message import Conversation
from carryon.ui import theme
from carryon.ui.settings import texts
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.spacing import OnTheme, spaced

_ROWS_SHOWN = 6


class TrashList(QWidget):
    """Says which chat is wanted back: by its button, a double click or Enter."""

    restore_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._trash: tuple[Conversation, ...] = ()
        self._empty = label(texts.TRASH_EMPTY)
        self._button = button(texts.RESTORE, icon="ph.arrow-counter-clockwise", on_click=self._restore)
        self._list = QListWidget()
        self._list.setObjectName("models")
        self._list.setAccessibleName("Chats in the trash")
        self._list.itemActivated.connect(lambda _: self._restore())
        self._list.currentRowChanged.connect(lambda row: self._button.setEnabled(row >= 0))
        column = QVBoxLayout(self)
        spaced(column)
        column.addWidget(self._empty)
        column.addWidget(self._list)
        column.addWidget(self._button, 0, Qt.AlignmentFlag.AlignLeft)
        OnTheme(self, self._fit)

    def show_trash(self, trash: tuple[Conversation, ...]) -> None:
        """Latest first, as the store has them."""
        row = self._list.currentRow()
        self._trash = trash
        self._list.clear()
        for conversation in trash:
            self._list.addItem(QListWidgetItem(conversation.title))
        self._list.setCurrentRow(min(max(row, 0), len(trash) - 1))
        self._empty.setVisible(not trash)
        self._list.setVisible(bool(trash))
        self._button.setVisible(bool(trash))
        self._fit()

    def _fit(self) -> None:
        rows = min(max(len(self._trash), 1), _ROWS_SHOWN)
        self._list.setFixedHeight(rows * theme.px(36) + theme.px(16))

    def _restore(self) -> None:
        row = self._list.currentRow()
        if 0 <= row < len(self._trash):
            self.restore_wanted.emit(self._trash[row])
