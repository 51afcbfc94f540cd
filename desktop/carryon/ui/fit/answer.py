"""The answer: memory bars, the verdict and its reasons, the speed, what would make it better, and what can be done."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from carryon.fit import words
from carryon.fit.plan import Change, Repair
from carryon.ui.fit import texts
from carryon.ui.fit.form import Form
from carryon.ui.memory_facts import fit_bars
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.memory_bars import MemoryBars
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.widgets.verdict import VerdictLabel


class AnswerCard(QFrame):
    """Draws a plan; says which repair, load or command is wanted."""

    repair_wanted = Signal(object)
    load_wanted = Signal()
    command_wanted = Signal()
    quant_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setAccessibleName("How it fits")
        self._bars = MemoryBars()
        self._verdict = VerdictLabel()
        self._pace = label("", "soft", wraps=True, selectable=True)
        self._reasons = Sentences()
        self.load = button(texts.LOAD, "primary", on_click=self.load_wanted.emit)
        self._copy = button(texts.COPY_COMMAND, on_click=self.command_wanted.emit)
        self._not_here = button("", "link", on_click=lambda: self.quant_wanted.emit(self._here))
        self._here = ""
        self._repairs = Links(texts.TRY, self._repair_pressed)
        self._offered: tuple[Repair, ...] = ()
        self._arrange()

    def show_form(self, form: Form) -> None:
        """Draws what is looked at."""
        if form.fit is None or form.plan is None:
            return
        fit = form.fit
        self._bars.show_bars(fit_bars(fit, form.plan.rooms))
        self._verdict.show_verdict(
            fit.verdict, words.verdict_sentence(fit, form.plan.rooms), has_gpu=texts.has_gpu(form)
        )
        self._pace.setText(texts.pace_line(form))
        self._reasons.show_sentences(texts.reasons(form))
        self.load.setVisible(form.can_load)
        self._here = texts.here_quant(form) or ""
        self._not_here.setText(texts.not_here_text(form))
        self._not_here.setAccessibleName(self._not_here.text())
        self._not_here.setVisible(bool(self._here))
        self._offered = form.plan.repairs
        self._repairs.show_links([texts.repair_text(one, form) for one in form.plan.repairs], self._by_hand())

    @property
    def containers(self) -> tuple[QWidget, ...]:
        """The widgets whose layout waits until everything is drawn."""
        return self, self._reasons, self._repairs

    def _arrange(self) -> None:
        said = QVBoxLayout()
        spaced(said, gap=4)
        said.addWidget(self._verdict)
        said.addWidget(self._pace)
        row = QHBoxLayout()
        row.addLayout(said, 1)
        row.addWidget(self._copy, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.load, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        spaced(column, (18, 16, 18, 16), 12)
        column.addWidget(self._bars)
        column.addLayout(spaced(row, (0, 4, 0, 0), 10))
        column.addWidget(self._reasons)
        column.addWidget(self._not_here, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self._repairs)

    def _by_hand(self) -> set[int]:
        """The repairs that the person has to do: Carryon closes no other program."""
        return {index for index, one in enumerate(self._offered) if one.change is Change.PROGRAM}

    def _repair_pressed(self, index: int) -> None:
        self.repair_wanted.emit(self._offered[index])


class Sentences(QWidget):
    """Sentences under each other, a dot before each; the labels are kept while their words change."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[tuple[QWidget, QLabel]] = []
        self._column = QVBoxLayout(self)
        spaced(self._column, gap=3)

    def show_sentences(self, sentences: Sequence[str]) -> None:
        """Replaces the sentences."""
        while len(self._lines) < len(sentences):
            self._lines.append(self._line())
        for index, (line, said) in enumerate(self._lines):
            text = sentences[index] if index < len(sentences) else ""
            if text != said.text():
                said.setText(text)
            line.setVisible(bool(text))
        self.setVisible(bool(sentences))

    def _line(self) -> tuple[QWidget, QLabel]:
        line, said = QWidget(), label("", wraps=True, selectable=True)
        row = QHBoxLayout(line)
        spaced(row, (4, 0, 0, 0), 8)
        row.addWidget(label("•", "faint"), 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(said, 1)
        self._column.addWidget(line)
        return line, said


class Links(QWidget):
    """A few words and links after them; the buttons are kept while their words change."""

    def __init__(self, text: str, on_press: Callable[[int], None]) -> None:
        super().__init__()
        self._on_press = on_press
        self._links: list[QPushButton] = []
        self._flow = FlowLayout()
        said = label(text, "faint")
        measure = button(text, "link")
        measure.hide()
        OnTheme(said, lambda: said.setMinimumHeight(measure.sizeHint().height()))
        self._flow.addWidget(said)
        column = QVBoxLayout(self)
        spaced(column)
        column.addLayout(spaced(self._flow, gap=16))

    def show_links(self, words: list[str], only_words: set[int]) -> None:
        """Replaces the links; none hides the line. Those of `only_words` cannot be pressed."""
        for index in range(len(self._links), len(words)):
            link = button("", "link", on_click=lambda index=index: self._on_press(index))
            self._links.append(link)
            self._flow.addWidget(link)
        for index, link in enumerate(self._links):
            text = words[index] if index < len(words) else ""
            if text != link.text():
                link.setText(text)
                link.setAccessibleName(text)
            link.setEnabled(index not in only_words)
            link.setVisible(bool(text))
        self.setVisible(bool(words))
