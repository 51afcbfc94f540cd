"""The panel over the status bar: what the loaded model really holds of each memory, and what differs from the wish."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from carryon.app.host import LoadedModel
from carryon.hardware.machine import Machine, MemoryUse
from carryon.ui import texts, theme
from carryon.ui.memory_facts import device_bars
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.corner_panel import CornerPanel, plain_scroll
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.memory_bars import MemoryBars
from carryon.ui.widgets.spacing import spaced


class MemoryPanel(CornerPanel):
    """Opens above the model's button; Esc, a click elsewhere or the button close it."""

    unload_wanted = Signal()
    settings_wanted = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, texts.MEMORY_TITLE)
        self._title = label("", "heading", wraps=True)
        self._facts = label("", "soft", wraps=True, selectable=True)
        self._prediction = label("", wraps=True, selectable=True)
        self._notices = label("", "warn", wraps=True, selectable=True)
        self._bars = MemoryBars()
        self._arrange()

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
        self.show_over(self._close)

    def place(self) -> None:
        """In the corner over the model's button, never larger than the page."""
        if not self.isVisible():
            return
        margin = theme.px(12)
        width = min(theme.px(460), self.page.width() - 2 * margin)
        self.setFixedWidth(width)
        # A resizable scroll area would ask for the height that the narrowest content needs.
        content = self._column.heightForWidth(width - 2)
        height = min(content + 2, self.page.height() - 2 * margin)
        scrolls = content + 2 > height
        always = Qt.ScrollBarPolicy.ScrollBarAlwaysOn if scrolls else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self._scroll.setVerticalScrollBarPolicy(always)
        bar = theme.px(12) if scrolls else 0
        self._content.setFixedSize(width - 2 - bar, self._column.heightForWidth(width - 2 - bar))
        self.setFixedHeight(height)
        self.move(self.page.width() - width - margin, self.page.height() - height - margin)

    def _arrange(self) -> None:
        self._close = button(texts.CLOSE, "quiet", on_click=self.hide)
        scroll = self._scroll = plain_scroll()
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
