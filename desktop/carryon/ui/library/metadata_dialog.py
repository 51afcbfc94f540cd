"""Everything that a file says about itself, to search and to copy."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from carryon.base.errors import AppError
from carryon.hub.library.metadata import MetadataLine
from carryon.ui import theme
from carryon.ui.library import texts
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.spacing import OnTheme, sized, spaced

_SHOWN_LETTERS = 300  # of a value in the table; the whole of it stands below
Index = QModelIndex | QPersistentModelIndex


class _Fields(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[MetadataLine, ...] = ()

    def show_lines(self, lines: Sequence[MetadataLine]) -> None:
        self.beginResetModel()
        self.lines = tuple(lines)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  (Qt's own signature)
        return 0 if parent.isValid() else len(self.lines)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else 2

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        line = self.lines[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return line.key if index.column() == 0 else value_text(line)[:_SHOWN_LETTERS].replace("\n", " ")
        return f"{line.key}: {line.value}" if role == Qt.ItemDataRole.UserRole else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return (texts.FIELD, texts.VALUE)[section]
        return None


class MetadataDialog(QDialog):
    """A table of fields; the whole value of the chosen one stands below it."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"{texts.METADATA_TITLE}: {name}")
        self.setModal(True)
        self._fields, self._found = _Fields(), QSortFilterProxyModel()
        self._found.setSourceModel(self._fields)
        self._found.setFilterRole(Qt.ItemDataRole.UserRole)
        self._found.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._said = label(texts.READING, "soft", wraps=True)
        self._search = QLineEdit()
        self._search.setPlaceholderText(texts.METADATA_SEARCH)
        self._search.setAccessibleName(texts.METADATA_SEARCH)
        self._search.setClearButtonEnabled(True)
        self._search.textChanged.connect(self._found.setFilterFixedString)
        self._search.textChanged.connect(lambda _: self._count())
        self._value = QPlainTextEdit()
        self._value.setReadOnly(True)
        self._value.setTabChangesFocus(True)
        self._value.setAccessibleName(texts.VALUE)
        self._table = self._made_table()
        self._arrange()
        sized(self, 760, 560)
        OnTheme(self, self._size)

    def show_end(self, lines: tuple[MetadataLine, ...] | AppError) -> None:
        """What was read, or why it was not."""
        if isinstance(lines, AppError):
            self._said.setText(f"{lines.message} {lines.hint}".strip())
            return
        self._fields.show_lines(lines)
        self._count()
        self._search.setFocus()
        if lines:
            self._table.setCurrentIndex(self._found.index(0, 0))

    def _made_table(self) -> QTableView:
        table = QTableView()
        table.setObjectName("fields")
        table.setAccessibleName(texts.METADATA_TITLE)
        table.setModel(self._found)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setTabKeyNavigation(False)
        table.setFrameShape(QFrame.Shape.NoFrame)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        header.setSectionsClickable(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        table.selectionModel().currentRowChanged.connect(self._choose)
        return table

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        spaced(column, (20, 16, 20, 16), 10)
        column.addWidget(self._search)
        column.addWidget(self._table, 3)
        column.addWidget(self._value, 1)
        row = QHBoxLayout()
        row.addWidget(self._said, 1)
        row.addWidget(button(texts.COPY_FIELDS, icon="ph.copy", on_click=self._copy))
        close = button(texts.CLOSE, "primary", on_click=self.accept)
        close.setDefault(True)
        row.addWidget(close)
        column.addLayout(spaced(row))

    def _size(self) -> None:
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPixelSize(theme.px(12))
        self._value.setFont(font)
        self._table.verticalHeader().setMinimumSectionSize(1)
        self._table.verticalHeader().setDefaultSectionSize(theme.px(28))

    def _count(self) -> None:
        shown, total = self._found.rowCount(), self._fields.rowCount()
        self._said.setText(f"{shown} of {total} fields" if shown < total else f"{total} fields")

    def _choose(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid():
            line = self._fields.lines[self._found.mapToSource(current).row()]
            self._value.setPlainText(value_text(line))

    def _copy(self) -> None:
        lines = (f"{one.key}: {value_text(one)}" for one in self._fields.lines)
        QGuiApplication.clipboard().setText("\n".join(lines))


def value_text(line: MetadataLine) -> str:
    """A value; of a list its length too."""
    return f"{line.kind}: {line.value}" if line.kind.startswith("list") else line.value
