"""The jobs as a whole page, or as a section of one."""

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from carryon.app.workshop_list import Workbench
from carryon.ui import theme
from carryon.ui.jobs import texts
from carryon.ui.jobs.presenter import Queue
from carryon.ui.jobs.rows import JobRows
from carryon.ui.widgets.controls import label
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, spaced


class JobsList(Scroll):
    """A title and the rows in a card, as wide as lines that can be read."""

    use_wanted = Signal(object)  # the Path of a model
    notice_wanted = Signal(str, object)
    discover_wanted = Signal()
    log_wanted = Signal(object)  # the Path of a log
    workshop_wanted = Signal()

    def __init__(self, queue: Queue, bench: Workbench) -> None:
        super().__init__()
        self._rows = JobRows(queue, bench)
        self._rows.use_wanted.connect(self.use_wanted)
        self._rows.notice_wanted.connect(self.notice_wanted)
        self._rows.discover_wanted.connect(self.discover_wanted)
        self._rows.log_wanted.connect(self.log_wanted)
        self._rows.workshop_wanted.connect(self.workshop_wanted)
        self._rows.row_asked.connect(self._show_row)
        page = QWidget()
        around = QHBoxLayout(page)
        spaced(around, (32, 20, 32, 24), 0)
        around.addStretch(1)
        around.addWidget(self._column(), 1000)  # up to its own maximum
        around.addStretch(1)
        self.hold(page)

    def _show_row(self, row: QWidget) -> None:
        """With its foot, where a question has its answers; when it has its new height."""
        QTimer.singleShot(0, row, lambda: self.ensureWidgetVisible(row, 0, 0))

    def _column(self) -> QWidget:
        column = QWidget()
        OnTheme(column, lambda: column.setMaximumWidth(theme.px(760)))
        card = QFrame()
        card.setObjectName("card")
        inside = QVBoxLayout(card)
        spaced(inside, (4, 8, 4, 4), 0)
        inside.addWidget(self._rows)
        cards = QVBoxLayout(column)
        spaced(cards, gap=14)
        cards.addWidget(label(texts.TITLE, "title"))
        cards.addWidget(card)
        cards.addStretch(1)
        return column
