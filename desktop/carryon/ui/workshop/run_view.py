"""The fourth step: the runs, with their progress, their logs, their files and what these cost."""

from itertools import pairwise

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from carryon.ui.widgets.controls import label
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import laid_out_once, spaced
from carryon.ui.workshop import run_texts as texts
from carryon.ui.workshop.cards import around_of, card_with, column_of
from carryon.ui.workshop.form import Form
from carryon.ui.workshop.run_card import RunCard


class RunView(Scroll):
    """A card for each run; cards that stay keep their widgets."""

    cancel_wanted = Signal(str)
    resume_wanted = Signal(str)
    forget_wanted = Signal(str)
    log_wanted = Signal(object)
    use_wanted = Signal(object)
    folder_wanted = Signal(object)
    opening_wanted = Signal(str, bool)

    def __init__(self) -> None:
        super().__init__()
        self.cards: dict[str, RunCard] = {}
        self._order: tuple[str, ...] = ()
        self._chained: tuple[QWidget, ...] = ()
        column = column_of(self)
        self._empty = card_with(texts.NO_RUNS, label(texts.NO_RUNS_NOTE, "soft", wraps=True))
        self._list = QVBoxLayout()
        spaced(self._list, gap=14)
        column.addWidget(self._empty)
        column.addLayout(self._list)
        column.addStretch(1)

    @property
    def first(self) -> QWidget | None:
        """Where the keyboard begins."""
        return self.cards[self._order[0]].first if self._order else None

    def show_form(self, form: Form) -> None:
        """Draws all runs."""
        with laid_out_once(*around_of(self)):
            self._draw(form)

    def _draw(self, form: Form) -> None:
        self._empty.setVisible(not form.runs)
        for id in self.cards.keys() - {one.id for one in form.runs}:
            gone = self.cards.pop(id)
            gone.hide()  # moves the keyboard on
            gone.deleteLater()
        for run in form.runs:
            if run.id not in self.cards:
                self.cards[run.id] = self._card(RunCard(run))
            self.cards[run.id].show_run(run, form.charts.get(run.id, ()), opens=run.id in form.opening)
        self._sort(tuple(one.id for one in form.runs))
        self._chain()

    def _sort(self, ids: tuple[str, ...]) -> None:
        """What goes on stands above; a card that moves keeps the keyboard."""
        if ids == self._order:
            return
        self._order = ids
        for place, id in enumerate(ids):
            if self._list.indexOf(self.cards[id]) != place:
                self._list.insertWidget(place, self.cards[id])
                self.cards[id].show()

    def _chain(self) -> None:
        """The keyboard goes from the top to the bottom, whatever was made first."""
        chain = tuple(one for id in self._order for one in self.cards[id].focus_chain)
        if chain != self._chained:
            self._chained = chain
            for earlier, later in pairwise(chain):
                QWidget.setTabOrder(earlier, later)

    def _card(self, card: RunCard) -> RunCard:
        for name in ("cancel", "resume", "forget", "log", "use", "folder", "opening"):
            getattr(card, f"{name}_wanted").connect(getattr(self, f"{name}_wanted"))
        return card
