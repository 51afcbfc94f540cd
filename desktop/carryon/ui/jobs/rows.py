"""All jobs under each other with the buttons for all of them; the popover and the page hold the same."""

from pathlib import Path

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from carryon.app.workshop_list import Run, Workbench
from carryon.ui.jobs import texts
from carryon.ui.jobs.form import Action, Bulk, Question, Row
from carryon.ui.jobs.presenter import JobsPresenter, Queue
from carryon.ui.jobs.row import JobRow
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.spacing import spaced


class JobRows(QWidget):
    """A view of the queue and the workshop: a row for each download and each run, or a word where there is none."""

    use_wanted = Signal(object)  # the Path of a model
    notice_wanted = Signal(str, object)
    discover_wanted = Signal()
    log_wanted = Signal(object)  # the Path of a log
    workshop_wanted = Signal()
    row_asked = Signal(object)  # the JobRow, whose question wants to be seen
    rows_changed = Signal()  # it may be higher or lower now

    def __init__(self, queue: Queue, bench: Workbench) -> None:
        super().__init__()
        self._rows: dict[str, JobRow] = {}
        self._latest: tuple[tuple[Row, ...], Bulk] = ((), Bulk())
        self._bulk_shown: Bulk | None = None
        self._pause = button(texts.PAUSE_ALL, "quiet", "ph.pause", lambda: self.presenter.pause_all())
        self._resume = button(texts.RESUME_ALL, "quiet", "ph.play", lambda: self.presenter.resume_all())
        self._clear = button(texts.CLEAR, "quiet", "ph.eraser", lambda: self.presenter.clear())
        self._empty = self._made_empty()
        self._arrange()
        self.presenter = JobsPresenter(queue, bench, self)

    @property
    def first(self) -> QWidget:
        """Where the keyboard goes when the list is opened."""
        return next((one._toggle for one in self._rows.values() if one._toggle.isVisible()), self)

    def show_rows(self, rows: tuple[Row, ...], bulk: Bulk) -> None:
        """Drawn at once where somebody can see it, else when it is opened."""
        self._latest = rows, bulk
        if self.isVisible():
            self._draw(rows, bulk)

    def showEvent(self, event: QShowEvent) -> None:
        self._draw(*self._latest)
        super().showEvent(event)

    def _draw(self, rows: tuple[Row, ...], bulk: Bulk) -> None:
        """Rows that stay keep their widgets."""
        gone = [self._rows.pop(id) for id in self._rows.keys() - {one.id for one in rows}]
        for one in gone:
            one.hide()  # moves the keyboard on
            one.deleteLater()
        is_other = [self._show_row(index, row) for index, row in enumerate(rows)]
        if gone or any(is_other) or bulk != self._bulk_shown or not rows:
            self._draw_around(rows, bulk)

    def _draw_around(self, rows: tuple[Row, ...], bulk: Bulk) -> None:
        """Everything but the rows; where none of them grew, laying all of it out would be in vain."""
        self._bulk_shown = bulk
        self._pause.setVisible(bulk.can_pause)
        self._resume.setVisible(bulk.can_resume)
        self._clear.setVisible(bulk.can_clear)
        self._bulk.setVisible(bulk.can_pause or bulk.can_resume or bulk.can_clear)
        self._empty.setVisible(not rows)
        self.rows_changed.emit()

    def ask(self, row: Row, action: Action, question: Question) -> None:
        self._rows[row.id].ask(action, question)

    def use(self, path: Path) -> None:
        self.use_wanted.emit(path)

    def show_folder(self, path: Path) -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent))):
            QGuiApplication.clipboard().setText(str(path.parent))
            self.notice_wanted.emit(texts.SHOWN_NOT, None)

    def show_log(self, path: Path) -> None:
        self.log_wanted.emit(path)

    def open_in_workshop(self, run: Run) -> None:
        self.workshop_wanted.emit()

    def _show_row(self, index: int, row: Row) -> bool:
        """True where its height may be another now."""
        if row.id in self._rows:
            known = self._rows[row.id]
            if self._column.indexOf(known) != index:  # a run that is made once more is the newest
                self._column.insertWidget(index, known)
            return known.show_row(row)
        made = self._rows[row.id] = JobRow(row)
        made.asked_or_answered.connect(self.rows_changed)
        made.asked.connect(lambda: self.row_asked.emit(made))
        made.act_wanted.connect(lambda row, action: self.presenter.act(row, action))
        made.answered.connect(lambda row, answer: self.presenter.answer(row, answer))
        made.file_wanted.connect(self.use_wanted)
        self._column.insertWidget(index, made)
        made.show()  # now, not with the next event: the popover asks at once how high it is
        return True

    def _made_empty(self) -> QWidget:
        empty = QWidget()
        column = QVBoxLayout(empty)
        spaced(column, (16, 12, 16, 16), 8)
        column.addWidget(label(texts.NONE_YET, "strong", wraps=True))
        column.addWidget(label(texts.NONE_YET_NOTE, "soft", wraps=True))
        discover = button(texts.DISCOVER, icon="ph.magnifying-glass", on_click=self.discover_wanted.emit)
        column.addWidget(discover, 0, Qt.AlignmentFlag.AlignLeft)
        return empty

    def _arrange(self) -> None:
        self._bulk = QWidget()
        flow = FlowLayout()
        for one in (self._pause, self._resume, self._clear):
            flow.addWidget(one)
        line = QVBoxLayout(self._bulk)
        spaced(line, (8, 0, 8, 4), 0)
        line.addLayout(spaced(flow, gap=4))
        self._column = QVBoxLayout()
        spaced(self._column, gap=0)
        column = QVBoxLayout(self)
        spaced(column, gap=0)
        column.addWidget(self._bulk)
        column.addWidget(self._empty)
        column.addLayout(self._column)
