"""What training this model would need: collapsed until somebody asks."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.fit import texts
from carryon.ui.fit.form import Form
from carryon.ui.fit.texts import TrainingRow
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.spacing import spaced


class TrainingCard(QFrame):
    """A heading that opens three lines; nothing is computed while it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setAccessibleName(texts.TRAINING)
        self._form = Form()
        self._is_open = False
        self._heading = button(texts.TRAINING, "fold", on_click=self._toggle)
        self._body = QWidget()
        self._rows = QVBoxLayout(self._body)
        spaced(self._rows, (0, 4, 0, 4), 12)
        self._note = label(texts.TRAINING_NOTE, "soft", wraps=True)
        column = QVBoxLayout(self)
        spaced(column, (18, 10, 18, 12), 8)
        column.addWidget(self._heading, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self._body)
        column.addWidget(self._note)
        self._draw()

    def show_form(self, form: Form) -> None:
        """What the plan is for."""
        is_other = (form.subject, form.machine) != (self._form.subject, self._form.machine)
        self._form = form
        if is_other and self._is_open:
            self._draw()

    def _toggle(self) -> None:
        self._is_open = not self._is_open
        self._draw()

    def _draw(self) -> None:
        theme.dress(self._heading, "ph.caret-down" if self._is_open else "ph.caret-right", "text", size=14)
        self._heading.setAccessibleDescription("open" if self._is_open else "closed")
        self._body.setVisible(self._is_open)
        self._note.setVisible(self._is_open)
        if self._is_open:
            self._fill(texts.training_rows(self._form))

    def _fill(self, rows: list[TrainingRow]) -> None:
        while item := self._rows.takeAt(0):
            if widget := item.widget():
                widget.setParent(None)
                widget.deleteLater()
        for row in rows:
            self._rows.addWidget(_shown(row))


def _shown(row: TrainingRow) -> QWidget:
    """Method, sum and what it means in one line that may break; the parts under it."""
    widget = QWidget()
    column = QVBoxLayout(widget)
    spaced(column, gap=3)
    line = FlowLayout()
    for text, name in ((row.method, "strong"), (row.total, "strong"), (row.place, "good" if row.fits else "bad")):
        line.addWidget(label(text, name))
    column.addLayout(spaced(line, gap=12))
    column.addWidget(label(row.parts, "soft", wraps=True, selectable=True))
    return widget
