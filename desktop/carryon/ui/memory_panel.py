"""The panel over the status bar: what the loaded model really holds of each memory, and what differs from the wish."""

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from carryon.app.host import LoadedModel
from carryon.hardware.machine import Machine, MemoryUse
from carryon.ui import texts, theme
from carryon.ui.memory_facts import device_bars
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.memory_bars import MemoryBars
from carryon.ui.widgets.spacing import OnTheme, spaced


class MemoryPanel(QFrame):
    """Opens above the model's button; Esc, a click elsewhere or the button close it."""

    unload_wanted = Signal()
    settings_wanted = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAccessibleName(texts.MEMORY_TITLE)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._page = parent
        self._title = label("", "heading", wraps=True)
        self._facts = label("", "soft", wraps=True, selectable=True)
        self._prediction = label("", wraps=True, selectable=True)
        self._notices = label("", "warn", wraps=True, selectable=True)
        self._bars = MemoryBars()
        self._arrange()
        self.hide()
        OnTheme(self, self.place)

    def show_model(self, loaded: LoadedModel, machine: Machine | None, use: MemoryUse | None) -> None:
        """Draws this model; called again with every measurement while the panel is open."""
        ready = loaded.engine.ready
        self._title.setText(loaded.wish.file.name)
        self._facts.setText(texts.loaded_facts(ready))
        compared = texts.prediction_text(loaded.wish.fit, ready)
        self._prediction.setText(compared)
        self._prediction.setVisible(bool(compared))
        self._notices.setText("\n".join(ready.notices))
        self._notices.setVisible(bool(ready.notices))
        self._bars.show_bars(device_bars(ready, machine, use))
        self.place()

    def open(self) -> None:
        """Shows the panel and takes the keyboard."""
        self.show()
        self.raise_()
        self.place()
        self._close.setFocus()
        self._page.installEventFilter(self)

    def hideEvent(self, event: QEvent) -> None:
        self._page.removeEventFilter(self)
        super().hideEvent(event)  # type: ignore[arg-type]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.hide()
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

    def place(self) -> None:
        """In the corner over the model's button, never larger than the page."""
        if not self.isVisible():
            return
        margin = theme.px(12)
        width = min(theme.px(460), self._page.width() - 2 * margin)
        self.setFixedWidth(width)
        # A resizable scroll area would ask for the height that the narrowest content needs.
        content = self._column.heightForWidth(width - 2)
        height = min(content + 2, self._page.height() - 2 * margin)
        scrolls = content + 2 > height
        always = Qt.ScrollBarPolicy.ScrollBarAlwaysOn if scrolls else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self._scroll.setVerticalScrollBarPolicy(always)
        bar = theme.px(12) if scrolls else 0
        self._content.setFixedSize(width - 2 - bar, self._column.heightForWidth(width - 2 - bar))
        self.setFixedHeight(height)
        self.move(self._page.width() - width - margin, self._page.height() - height - margin)

    def _arrange(self) -> None:
        self._close = button(texts.CLOSE, "quiet", on_click=self.hide)
        scroll = self._scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._content = QWidget()
        self._content.setObjectName("page")
        column = self._column = QVBoxLayout(self._content)
        spaced(column, (16, 14, 16, 14), 8)
        for widget in (self._title, self._facts, self._prediction, self._notices):
            column.addWidget(widget)
        column.addWidget(self._bars)
        column.addWidget(label(texts.MEMORY_NOTE, "soft", wraps=True))
        buttons = FlowLayout()
        buttons.addWidget(button(texts.CHANGE_SETTINGS, on_click=self.settings_wanted.emit))
        buttons.addWidget(button(texts.UNLOAD, on_click=self.unload_wanted.emit))
        buttons.addWidget(self._close)
        column.addLayout(spaced(buttons))
        scroll.setWidget(self._content)
        outer = QVBoxLayout(self)
        spaced(outer, (1, 1, 1, 1), 0)
        outer.addWidget(scroll)
