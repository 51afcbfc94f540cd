"""A model on the Hub by its name: what it would need here is known before it is downloaded."""

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from carryon.base.errors import AppError
from carryon.hub.names import reference_of
from carryon.ui.fit import texts
from carryon.ui.widgets.controls import buddy, button, label
from carryon.ui.widgets.spacing import sized, spaced


class HubDialog(QDialog):
    """Says what was named once it is a name; `hosts` tells whose addresses may be pasted."""

    named = Signal(object)  # a Reference

    def __init__(self, hosts: Callable[[], tuple[str, ...]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._hosts = hosts
        self.setWindowTitle(texts.HUB_TITLE)
        self.setModal(True)
        self.field = QLineEdit()
        self.field.setPlaceholderText(texts.HUB_HINT)
        self.field.setMaxLength(500)
        self._said = label("", "bad", wraps=True)
        self._plan = button(texts.PLAN_FOR_IT, "primary", on_click=self._take)
        self._plan.setDefault(True)
        self.field.textChanged.connect(self._changed)
        self._arrange()
        sized(self, 520, 220)
        self._changed("")

    def _changed(self, text: str) -> None:
        self._plan.setEnabled(bool(text.strip()))
        self._said.setText("")

    def _take(self) -> None:
        try:
            reference = reference_of(self.field.text(), self._hosts())
        except AppError as error:
            self._said.setText(f"{error.message} {error.hint}")
            return
        self.named.emit(reference)
        self.accept()

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        spaced(column, (24, 20, 24, 16), 10)
        column.addWidget(label(texts.HUB_TITLE, "title"))
        column.addWidget(label(texts.HUB_NOTE, "soft", wraps=True))
        column.addWidget(buddy(texts.HUB_FIELD, self.field, ""))
        column.addWidget(self.field)
        column.addWidget(self._said)
        column.addStretch(1)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(button(texts.CANCEL, on_click=self.reject))
        foot.addWidget(self._plan)
        column.addLayout(spaced(foot, gap=8))
