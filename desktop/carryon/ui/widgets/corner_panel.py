"""A panel over the foot of a page, opened by a button of the status bar: what it does with keys, clicks and room."""

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

from carryon.ui.widgets.spacing import OnTheme


class CornerPanel(QFrame):
    """Esc and a click elsewhere close it; it is placed anew when the page or the text changes its size."""

    def __init__(self, page: QWidget, name: str) -> None:
        super().__init__(page)
        self.setObjectName("panel")
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.page = page
        self.hide()
        OnTheme(self, self.place)

    def place(self) -> None:
        """Takes its place and size, where it is seen; called whenever there is another one."""

    def put_away(self) -> None:
        """Closed by the keyboard."""
        self.hide()

    def show_over(self, first: QWidget) -> None:
        """Shows the panel and gives the keyboard to this control of it."""
        self.show()
        self.raise_()
        self.place()
        first.setFocus()
        self.page.installEventFilter(self)

    def hideEvent(self, event: QEvent) -> None:
        self.page.removeEventFilter(self)
        super().hideEvent(event)  # type: ignore[arg-type]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.put_away()
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        event.accept()  # a click on the panel is none beside it

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self.place()
        elif event.type() == QEvent.Type.MouseButtonPress:
            self.hide()
        return False


def plain_scroll() -> QScrollArea:
    """What scrolls in such a panel when there is more than room: down only, and no stop for the Tab key."""
    scroll = QScrollArea()
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return scroll
