"""The answer: memory bars, the verdict and its reasons, the speed, what would make it better, and what can be done."""

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from carryon.fit import words
from carryon.fit.plan import Change, Repair
from carryon.ui.fit import texts
from carryon.ui.fit.command import command_line
from carryon.ui.fit.form import Form
from carryon.ui.memory_facts import fit_bars
from carryon.ui.widgets.controls import button
from carryon.ui.widgets.links import Links
from carryon.ui.widgets.memory_bars import MemoryBars
from carryon.ui.widgets.pair import Pair, Row
from carryon.ui.widgets.spacing import spaced
from carryon.ui.widgets.steady_label import SteadyLabel
from carryon.ui.widgets.verdict import VerdictLabel

RESTS_MS = 120  # so long after the last movement the links follow: until then they do what they say


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
        self._pace = SteadyLabel("soft")
        self._reasons = SteadyLabel(dots=True)
        self.load = button(texts.LOAD, "primary", on_click=self.load_wanted.emit)
        self._copy = button(texts.COPY_COMMAND, on_click=self.command_wanted.emit)
        self._not_here = Links("", lambda _: self.quant_wanted.emit(self._here))
        self._here = ""
        self._repairs = Links(texts.TRY, self._repair_pressed)
        self._offered: tuple[Repair, ...] = ()
        self._form = Form()
        self._rest = QTimer(self, singleShot=True, interval=RESTS_MS)
        self._rest.timeout.connect(self.settle)
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
        self._pace.show_words(texts.pace_line(form))
        self._reasons.show_words("\n".join(texts.reasons(form)))
        self.load.setVisible(form.can_load)
        self._copy.setVisible(bool(command_line(form)))
        is_another = form.subject is not self._form.subject
        self._form = form
        if is_another:
            self.settle()
            return
        self._words_box.setMinimumHeight(self._words_box.height())  # what stands below must not jump while one drags
        self._rest.start()

    def settle(self) -> None:
        """The person rests: now the links follow, and the card takes the height that it needs."""
        form = self._form
        if form.plan is None:
            return
        self._here = texts.here_quant(form) or ""
        self._not_here.show_links([texts.not_here_text(form)] if self._here else [])
        self._offered = form.plan.repairs
        self._repairs.show_links([texts.repair_text(one, form) for one in form.plan.repairs], self._by_hand())
        self._words_box.setMinimumHeight(0)

    @property
    def containers(self) -> tuple[QWidget, ...]:
        """The widgets whose layout waits until everything is drawn."""
        return self, self._words_box, self._repairs

    def _arrange(self) -> None:
        said = QWidget()
        lines = QVBoxLayout(said)
        spaced(lines, gap=4)
        lines.addWidget(self._verdict)
        lines.addWidget(self._pace)
        row = Pair(said, Row(self._copy, self.load, gap=10), narrow_px=560, gap=10, stretches=(1, 0))
        column = QVBoxLayout(self)
        spaced(column, (18, 16, 18, 16), 12)
        column.addWidget(self._bars)
        self._words_box = QWidget()
        below = QVBoxLayout(self._words_box)
        spaced(below, gap=12)
        below.addWidget(row)
        below.addWidget(self._reasons)
        below.addWidget(self._not_here)
        below.addWidget(self._repairs)
        below.addStretch(1)
        column.addWidget(self._words_box)

    def _by_hand(self) -> set[int]:
        """The repairs that the person has to do: Carryon closes no other program."""
        return {index for index, one in enumerate(self._offered) if one.change is Change.PROGRAM}

    def _repair_pressed(self, index: int) -> None:
        self.repair_wanted.emit(self._offered[index])
