"""The rows of the library as Qt reads them: words, tooltips, names that can be changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from carryon.ui.library import texts
from carryon.ui.library.form import Column
from carryon.ui.library.texts import Row

Index = QModelIndex | QPersistentModelIndex
_ROLE = Qt.ItemDataRole
_RIGHT = {Column.SIZE, Column.CONTEXT}


class EntryModel(QAbstractTableModel):
    """The rows as Qt reads them."""

    renamed = Signal(object, str)  # a Path, the new name

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[Row, ...] = ()
        self.has_gpu = True

    def show_rows(self, rows: Sequence[Row], *, has_gpu: bool) -> bool:
        """Replaces the rows; where they are of the same files only what changed is painted. True: they are others."""
        is_same = [row.path for row in rows] == [row.path for row in self.rows]
        if is_same and tuple(rows) == self.rows and has_gpu == self.has_gpu:
            return False
        if not is_same:
            self.beginResetModel()
        self.rows, self.has_gpu = tuple(rows), has_gpu
        if not is_same:
            self.endResetModel()
        elif rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(texts.COLUMNS) - 1))
        return not is_same

    def place_of(self, path: Path | None) -> int:
        """The row of a file; -1 where it has none."""
        return next((place for place, row in enumerate(self.rows) if row.path == path), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  (Qt's own signature)
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(texts.COLUMNS)

    def data(self, index: Index, role: int = _ROLE.DisplayRole) -> Any:
        row = self.rows[index.row()]
        match role:
            case _ROLE.DisplayRole | _ROLE.EditRole:
                return row.cells[index.column()]
            case _ROLE.AccessibleTextRole:
                return row.spoken if index.column() == Column.NAME else row.cells[index.column()]
            case _ROLE.TextAlignmentRole:
                return alignment(index.column())
        return None

    def setData(self, index: Index, value: object, role: int = _ROLE.EditRole) -> bool:
        name = str(value).strip()
        row = self.rows[index.row()]
        if not name or name == row.cells[Column.NAME]:
            return False
        self.renamed.emit(row.path, name)
        return True

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsEditable if index.column() == Column.NAME else flags

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _ROLE.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role in (_ROLE.DisplayRole, _ROLE.AccessibleTextRole):
            return texts.COLUMNS[section]
        return alignment(section) if role == _ROLE.TextAlignmentRole else None


def alignment(column: int) -> Qt.AlignmentFlag:
    """Numbers stand under each other at the right."""
    side = Qt.AlignmentFlag.AlignRight if column in _RIGHT else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
