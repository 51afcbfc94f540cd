"""A model file dropped on a window: what counts as one, and the sign that says it may be let go."""

from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QObject, Qt
from PySide6.QtGui import QDragEnterEvent
from PySide6.QtWidgets import QLabel, QWidget

from carryon.ui import texts


def model_in(dropped: QMimeData) -> Path | None:
    """The first GGUF file among what is dragged."""
    files = (Path(url.toLocalFile()) for url in dropped.urls() if url.isLocalFile())
    return next((file for file in files if file.suffix.lower() == ".gguf"), None)


class DropSign(QLabel):
    """Covers the window while a model hovers over it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(texts.DROP_HERE, parent)
        self.setObjectName("drop")
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._page = parent
        self.hide()

    def cover(self, words: str | None = None) -> None:
        """Shows itself over everything, with these words or with those that it has."""
        self.setText(words or self.text())
        self.setGeometry(self._page.rect())
        self.show()
        self.raise_()


class _LetsModelsThrough(QObject):
    """A field that takes text must not take a model file: its path would land in the text."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QDragEnterEvent) and model_in(event.mimeData()):
            event.ignore()  # the next one who is asked is the parent, and in the end the window
            return True
        return False


def let_models_through(page: QWidget) -> None:
    """Makes every field of a page leave model files to the window."""
    lets_through = _LetsModelsThrough(page)
    for field in page.findChildren(QWidget):
        if field.acceptDrops():
            field.installEventFilter(lets_through)
