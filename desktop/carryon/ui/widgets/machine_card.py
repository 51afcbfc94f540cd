"""Everything about this machine in rows that can be read, copied and sent with a bug report."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QGridLayout, QVBoxLayout, QWidget

from carryon.hardware.machine import Machine
from carryon.hardware.report import Row, report, sections
from carryon.ui import texts, theme
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.spacing import OnTheme, spaced


class MachineCard(QFrame):
    """Shows one machine; None is shown as being looked at."""

    look_wanted = Signal()
    copied = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("card")
        self.setAccessibleName(texts.MACHINE_TITLE)
        self._machine: Machine | None = None
        self._rows: QWidget | None = None
        self._column = QVBoxLayout(self)
        spaced(self._column, (20, 16, 20, 16), 12)
        self._column.addWidget(label(texts.MACHINE_TITLE, "heading"))
        self._copy = button(texts.COPY_REPORT, icon="ph.copy", on_click=self._copy_report)
        self._again = button(texts.LOOK_AGAIN, icon="ph.arrows-clockwise", on_click=self.look_wanted.emit)
        buttons = FlowLayout()
        buttons.addWidget(self._copy)
        buttons.addWidget(self._again)
        self._column.addLayout(spaced(buttons))
        self.show_machine(None)

    def show_machine(self, machine: Machine | None) -> None:
        """Replaces the rows."""
        self._machine = machine
        self._copy.setEnabled(machine is not None)
        self._again.setEnabled(machine is not None)
        if self._rows:
            self._rows.setParent(None)
            self._rows.deleteLater()
        self._rows = QWidget()
        column = QVBoxLayout(self._rows)
        spaced(column, gap=12)
        for widget in _contents(machine):
            column.addWidget(widget)
        self._column.insertWidget(1, self._rows)

    def _copy_report(self) -> None:
        if self._machine:
            QGuiApplication.clipboard().setText(report(self._machine))
            self.copied.emit()


def _contents(machine: Machine | None) -> list[QWidget]:
    if machine is None:
        return [label(texts.LOOKING, "soft")]
    problems = [label(problem, "warn", wraps=True, selectable=True) for problem in machine.problems]
    (_, first_rows), *others = sections(machine)
    groups = [_group("", first_rows), *(_group(title, rows) for title, rows in others)]
    return [*problems, *groups]


def _group(title: str, rows: list[Row]) -> QWidget:
    group = QWidget()
    grid = QGridLayout(group)
    spaced(grid, gap=6)
    grid.setColumnStretch(1, 1)
    OnTheme(grid, lambda: grid.setColumnMinimumWidth(0, theme.px(96)))
    if title:
        grid.addWidget(label(title, "strong", wraps=True), 0, 0, 1, 2)
    for row, (name, value) in enumerate(rows, 1):
        words = label(value, wraps=True, selectable=True)
        words.setAccessibleName(", ".join(filter(None, (title, name))) or texts.MACHINE_TITLE)
        grid.addWidget(label(name, "faint"), row, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(words, row, 1)
    return group
