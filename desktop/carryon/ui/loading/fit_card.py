"""What the choices come to: a sentence and its sign, the pace, one memory bar a device, reasons, changes that help."""

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from carryon.fit.plan import Change, Plan, Repair
from carryon.ui.loading import texts
from carryon.ui.loading.form import Form
from carryon.ui.memory_facts import fit_bars
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.memory_bars import MemoryBars
from carryon.ui.widgets.spacing import spaced
from carryon.ui.widgets.steady_label import SteadyLabel
from carryon.ui.widgets.verdict import VerdictLabel


class FitCard(QFrame):
    """Drawn anew at every movement of a slider, so widgets are kept and only their words change."""

    repair_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setAccessibleName(texts.FIT_TITLE)
        self._plan: Plan | None = None
        self._verdict = VerdictLabel()
        self._pace = SteadyLabel()
        self._basis = SteadyLabel("soft")
        self._bars = MemoryBars()
        self._reasons = SteadyLabel("soft", dots=True)
        self._repairs_title = label(texts.REPAIRS, "heading", wraps=True)
        self._repairs = _Pool(self._new_repair)
        self._waiting = label("", "soft", wraps=True)
        self._arrange()

    def show_form(self, form: Form) -> None:
        """Shows this form's plan, or why there is none."""
        made = form.plan
        for widget in (self._verdict, self._basis, self._bars, self._reasons):
            widget.setVisible(made is not None)
        self._pace.setVisible(made is not None and made.best.decode.high > 0)
        self._waiting.setText(texts.no_plan_text(form))
        self._waiting.setVisible(made is None)
        if made is None:
            self._clear()
        elif made is not self._plan:
            self._show_plan(made, form)
        self._plan = made

    def _show_plan(self, made: Plan, form: Form) -> None:
        has_gpu = bool(made.rooms.gpus)
        self._verdict.show_verdict(made.best.verdict, texts.verdict_text(made), has_gpu=has_gpu)
        self._pace.show_words(texts.pace_text(made.best))
        self._basis.show_words(texts.basis_text(made.best))
        self._bars.show_bars(fit_bars(made.best, made.rooms))
        self._reasons.show_words("\n".join(texts.reason_lines(made)))
        self._show_repairs(made)

    def _show_repairs(self, made: Plan) -> None:
        repairs = [one for one in made.repairs if one.fit.candidate.path]  # another quant has to be here as a file
        self._repairs_title.setVisible(bool(repairs))
        for repair, widget in zip(repairs, self._repairs.take(len(repairs)), strict=True):
            widget.show_repair(repair, made)

    def _clear(self) -> None:
        self._repairs.take(0)
        self._repairs_title.hide()

    def _new_repair(self) -> "RepairLine":
        made = RepairLine()
        made.wanted.connect(self.repair_wanted)
        return made

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        spaced(column, (16, 14, 16, 14), 8)
        for widget in (self._waiting, self._verdict, self._pace, self._basis, self._bars, self._reasons):
            column.addWidget(widget)
        column.addWidget(self._repairs_title)
        column.addLayout(spaced(self._repairs.column, gap=6))
        column.addStretch(1)


class RepairLine(QWidget):
    """One change as a link, and under it what it would do."""

    wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._repair: Repair | None = None
        self.link = button("", "link", on_click=lambda: self.wanted.emit(self._repair))
        self._by_hand = SteadyLabel("small")  # what only the person can do, such as closing a program
        self._effect = SteadyLabel("soft")
        column = QVBoxLayout(self)
        spaced(column, gap=0)
        column.addWidget(self.link)
        column.addWidget(self._by_hand)
        column.addWidget(self._effect)

    def show_repair(self, repair: Repair, made: Plan) -> None:
        """Replaces the change."""
        self._repair = repair
        what, effect = texts.repair_words(repair, made)
        is_by_hand = repair.change is Change.PROGRAM
        self.link.setText(what)
        self.link.setAccessibleName(f"{what}: {effect}")
        self.link.setVisible(not is_by_hand)
        self._by_hand.show_words(what)
        self._by_hand.setVisible(is_by_hand)
        self._effect.show_words(effect)


class _Pool:
    """A column of like widgets that are made once and shown as often as they are needed."""

    def __init__(self, make: Callable[[], QWidget]) -> None:
        self.column = QVBoxLayout()
        self._make = make
        self._widgets: list[QWidget] = []

    def take(self, count: int) -> list:  # type: ignore[type-arg]
        """The first `count` widgets, shown; the others are hidden."""
        while len(self._widgets) < count:
            self._widgets.append(self._make())
            self.column.addWidget(self._widgets[-1])
        for index, widget in enumerate(self._widgets):
            widget.setVisible(index < count)
        return self._widgets[:count]
