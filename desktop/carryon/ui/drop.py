"""A model file dropped on a window: what counts as one, and the sign that says it may be let go."""

from pathlib import Path

from PySide6.QtCore import QMimeData, Qt
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

    def cover(self) -> None:
        """Shows itself over everything."""
        self.setGeometry(self._page.rect())
        self.show()
        self.raise_()
