"""A page that scrolls when its words need more height than there is, and only then."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget


class Scroll(QScrollArea):
    """Takes a content whose height depends on its width, without the gap that Qt leaves under it."""

    def __init__(self) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def hold(self, content: QWidget) -> None:
        """Shows this content."""
        content.setObjectName("page")
        content.setMinimumHeight(1)  # else the height that it would need at its narrowest counts at every width
        self.setWidget(content)
