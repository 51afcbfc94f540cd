"""What a new chat shows: a greeting, the machine in one line, and the first thing to do."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QPushButton, QVBoxLayout, QWidget

from carryon.app.host import LoadedModel, LoadingModel, ModelState, NoModel
from carryon.hardware.machine import Machine
from carryon.ui import theme
from carryon.ui.chat import texts
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.spacing import OnTheme, spaced

_WIDEST = 600


class Greeting(QWidget):
    """With the guide loaded it offers questions, with nothing loaded it offers the guide."""

    guide_wanted = Signal()
    model_wanted = Signal()
    machine_wanted = Signal()
    question_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._machine_line = ""
        self._title = label("", "title", wraps=True)
        self._text = label("", "soft", wraps=True)
        self.machine = button("", "link", on_click=self.machine_wanted.emit)
        self.machine.setToolTip(texts.ABOUT_MACHINE)
        self.guide = button(texts.LOAD_GUIDE, "primary", on_click=self.guide_wanted.emit)
        self.choose = button(texts.CHOOSE_MODEL, on_click=self.model_wanted.emit)
        self.questions = [self._question(text) for text in texts.SUGGESTIONS]
        self._arrange()
        self.set_machine(None)
        self.show_model(NoModel())

    def set_machine(self, machine: Machine | None) -> None:
        """The machine in one line; hidden while it is not known."""
        self._machine_line = texts.machine_line(machine) if machine else ""
        self.machine.setAccessibleName(f"{texts.ABOUT_MACHINE}: {self._machine_line}")
        self.machine.setVisible(machine is not None)
        self._size()

    def show_model(self, state: ModelState) -> None:
        """What can be done depends on what is loaded."""
        is_guide = isinstance(state, LoadedModel) and state.wish.file.is_guide
        has_model = isinstance(state, LoadedModel | LoadingModel)
        self._title.setText(texts.GREETING_GUIDE if is_guide else texts.GREETING)
        self._text.setText(texts.GUIDE_IS if is_guide else "")
        self._text.setVisible(is_guide)
        self._questions.setVisible(is_guide)
        for made in (self.guide, self.choose):
            made.setVisible(not has_model)

    def _question(self, text: str) -> QPushButton:
        return button(text, "question", on_click=lambda: self.question_wanted.emit(text))

    def _arrange(self) -> None:
        self._inner = QWidget()
        column = QVBoxLayout(self._inner)
        spaced(column, (24, 24, 24, 24), 12)
        centre = Qt.AlignmentFlag.AlignHCenter
        for words in (self._title, self._text):
            words.setAlignment(Qt.AlignmentFlag.AlignCenter)
            column.addWidget(words)
        column.addWidget(self.machine, 0, centre)
        column.addSpacing(theme.px(8))
        column.addWidget(self.guide, 0, centre)
        column.addWidget(self.choose, 0, centre)
        self._questions = QWidget()
        grid = QGridLayout(self._questions)
        spaced(grid, gap=10)
        for number, made in enumerate(self.questions):
            grid.addWidget(made, number // 2, number % 2)
        column.addWidget(self._questions)
        outer = QVBoxLayout(self)
        outer.addStretch(2)
        outer.addWidget(self._inner, 0, centre)
        outer.addStretch(3)
        OnTheme(self, self._size)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._size()
        super().resizeEvent(event)

    def _size(self) -> None:
        """Wide enough for its words, and never wider than the page."""
        width = max(1, min(theme.px(_WIDEST), self.width()))
        self._inner.setFixedWidth(width)
        metrics = QFontMetrics(self.machine.font())
        self.machine.setText(metrics.elidedText(self._machine_line, Qt.TextElideMode.ElideRight, width - theme.px(64)))
