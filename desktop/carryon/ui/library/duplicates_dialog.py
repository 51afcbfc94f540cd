"""Models that lie on the disk more than once: found with a progress, shown with the space to win."""

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QDialog, QFrame, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from carryon.base.errors import AppError
from carryon.base.jobs import Progress
from carryon.base.units import bytes_text, done_text
from carryon.hub.library.duplicates import Copies
from carryon.hub.library.entry import Entry
from carryon.ui.library import texts
from carryon.ui.library.detail import breakable
from carryon.ui.widgets.controls import button, hairline, label
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import sized, spaced


class DuplicatesDialog(QDialog):
    """Shows what it is told; closing it says that nobody waits any more."""

    stop_wanted = Signal()
    trash_wanted = Signal(object)  # a Path

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(texts.DUPLICATES_TITLE)
        self.setModal(True)
        self._found: tuple[Copies, ...] = ()
        self._said = label(texts.COMPARING, "heading", wraps=True)
        self._note = label("", "soft", wraps=True)
        self._bar = QProgressBar()
        self._bar.setAccessibleName(texts.COMPARING)
        self._bar.setTextVisible(False)
        self._bar.setRange(0, 0)
        self._close = button(texts.STOP, on_click=self.reject)
        self._groups = QVBoxLayout()
        self._arrange()
        sized(self, 640, 480)

    def show_progress(self, progress: Progress) -> None:
        """How far the comparison is, in bytes."""
        if progress.total:
            self._bar.setRange(0, 1000)
            self._bar.setValue(int(1000 * progress.done / progress.total))
            self._note.setText(f"{done_text(progress.done, progress.total)} · {progress.note}")

    def show_end(self, found: tuple[Copies, ...] | AppError) -> None:
        """What came of it."""
        self._bar.hide()
        self._close.setText(texts.CLOSE)
        self._close.setAccessibleName(texts.CLOSE)
        self._close.setFocus()
        if isinstance(found, AppError):
            self._said.setText(found.message)
            self._note.setText(found.hint)
            return
        self._found = found
        self._draw()

    def show_gone(self, path: Path) -> None:
        """One copy went into the trash."""
        left = (tuple(one for one in copies.entries if one.path != path) for copies in self._found)
        self._found = tuple(
            Copies(entries, (len(entries) - 1) * entries[0].size_bytes) for entries in left if len(entries) > 1
        )
        self._draw()

    def reject(self) -> None:
        self.stop_wanted.emit()
        super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.stop_wanted.emit()
        super().closeEvent(event)

    def _draw(self) -> None:
        self._said.setText(texts.copies_text(self._found))
        self._note.setText(texts.DUPLICATES_NOTE if self._found else "")
        self._note.setVisible(bool(self._found))
        while (item := self._groups.takeAt(0)) is not None:
            if widget := item.widget():
                widget.setParent(None)
                widget.deleteLater()
        for copies in self._found:
            card = self._group(copies)
            self._groups.addWidget(card)
            card.show()  # at once: a layout would do that only in a moment
        self._groups.addStretch(1)

    def _group(self, copies: Copies) -> QFrame:
        card = QFrame()
        card.setObjectName("card")
        column = QVBoxLayout(card)
        spaced(column, (16, 12, 16, 12), 8)
        size = bytes_text(copies.entries[0].size_bytes)
        column.addWidget(label(f"{copies.entries[0].name} · {len(copies.entries)} × {size}", "strong", wraps=True))
        for number, entry in enumerate(copies.entries):
            column.addLayout(self._copy(entry, is_first=number == 0))
        return card

    def _copy(self, entry: Entry, *, is_first: bool) -> QHBoxLayout:
        """A place where it lies; the first one is to stay."""
        row = QHBoxLayout()
        spaced(row, gap=12)
        words = label(breakable(texts.copy_text(entry)), "soft", wraps=True)
        words.setAccessibleName(texts.copy_text(entry))
        row.addWidget(words, 1)
        if entry.is_own and not is_first:
            go = button(texts.TO_TRASH, on_click=lambda: self.trash_wanted.emit(entry.path))
            go.setAccessibleName(f"{texts.TO_TRASH}: {entry.name}")
            row.addWidget(go)
        return row

    def _arrange(self) -> None:
        page = QWidget()
        inner = QVBoxLayout(page)
        spaced(inner, (24, 20, 24, 16), 12)
        for widget in (self._said, self._bar, self._note):
            inner.addWidget(widget)
        inner.addLayout(spaced(self._groups, gap=12))
        inner.addStretch(1)
        scroll = Scroll()
        scroll.hold(page)
        column = QVBoxLayout(self)
        spaced(column, gap=0)
        column.addWidget(scroll, 1)
        column.addWidget(hairline())
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(self._close)
        column.addLayout(spaced(foot, (24, 12, 24, 16), 8))
