"""The buttons under the steps: back, on, and what begins the work; and why it cannot begin."""

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.widgets.controls import button, hairline, rename
from carryon.ui.widgets.folding_row import FoldingRow
from carryon.ui.widgets.pair import Row
from carryon.ui.widgets.spacing import spaced
from carryon.ui.widgets.steady_label import SteadyLabel
from carryon.ui.workshop import run_texts, texts
from carryon.ui.workshop.form import Form, Step

_NARROW_PX = 640  # below, the words of the buttons are short


class Foot(QWidget):
    """Shows what is of use in a step; one button is the primary one."""

    back_wanted = Signal()
    check_wanted = Signal()
    next_wanted = Signal()
    make_wanted = Signal()
    best_wanted = Signal()
    another_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.back = button(texts.BACK, icon="ph.arrow-left", on_click=self.back_wanted.emit)
        self.back.setToolTip(texts.BACK_TIP)
        self.check = button(texts.CHECK_IT, "primary", on_click=self.check_wanted.emit)
        self.next = button(texts.CHOOSE_TARGETS, "primary", on_click=self.next_wanted.emit)
        self.make = button("", "primary", on_click=self.make_wanted.emit)
        self.best = button(texts.MAKE_BEST, icon="ph.sparkle", on_click=self.best_wanted.emit)
        self.another = button(run_texts.NEW_MODEL, on_click=self.another_wanted.emit)
        for one in (self.check, self.next):
            one.setToolTip(texts.NEXT_TIP)
        self._why = SteadyLabel("soft")
        self._shown = (Form(), "")
        self._best_role = "text"
        self._arrange()

    @property
    def first(self) -> QPushButton:
        """The likely one, else the way back."""
        likely = (self.check, self.next, self.make, self.another, self.best)
        return next((one for one in likely if not one.isHidden() and one.isEnabled()), self.back)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.show_form(self._shown[0], typed=self._shown[1])

    def show_form(self, form: Form, *, typed: str) -> None:
        """`typed`: what stands in the field of the first step."""
        self._shown = form, typed
        step = form.step
        self.back.setVisible(step is not Step.SOURCE)
        self.check.setVisible(step is Step.SOURCE)
        self.check.setEnabled(bool(typed))
        self.next.setVisible(step is Step.PREFLIGHT)
        self.next.setEnabled(form.can_continue)
        self.another.setVisible(step is Step.RUN)
        self._show_makers(form)
        self._show_why(form)

    def _show_makers(self, form: Form) -> None:
        """Where nothing but the best is ticked, there is one button."""
        is_targets, best = form.step is Step.TARGETS, form.best
        is_best_alone = best is not None and [one.quant for one in form.chosen] == [best.quant]
        self.make.setVisible(is_targets and not is_best_alone)
        self.make.setText(texts.make_text(form))
        self.make.setAccessibleName(texts.make_text(form))
        self.make.setEnabled(not texts.blocked_text(form))
        is_offered = form.can_continue and best is not None
        self.best.setVisible(is_offered and form.step in (Step.PREFLIGHT, Step.TARGETS))
        words = texts.short_best_text(form) if self.width() < theme.px(_NARROW_PX) else texts.best_text(form)
        self.best.setText(f"  {words}")
        self.best.setAccessibleName(texts.best_text(form))
        self.best.setEnabled(not texts.blocked_best(form))
        self._promote(is_targets and is_best_alone)

    def _promote(self, is_primary: bool) -> None:
        rename(self.best, "primary" if is_primary else "")
        role = "soft" if not self.best.isEnabled() else "on" if is_primary else "text"
        if role != self._best_role:
            self._best_role = role
            theme.dress(self.best, "ph.sparkle", role)

    def _show_why(self, form: Form) -> None:
        why = ""
        if form.step is Step.PREFLIGHT:
            why = texts.blocked_preflight(form)
        elif form.step is Step.TARGETS:
            why = texts.blocked_text(form)
        self._why.show_words(why)
        self._why.setVisible(bool(why))

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        spaced(column, (32, 0, 32, 0), 10)
        column.addWidget(hairline())
        column.addWidget(self._why)
        policy = self.back.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # the others stay at the right
        self.back.setSizePolicy(policy)
        column.addLayout(FoldingRow(self.back, Row(self.another, self.best, self.make, self.next, self.check, gap=8)))
