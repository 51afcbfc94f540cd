"""The end of a log file, to read and to copy."""

from pathlib import Path

from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from carryon.ui import texts, theme
from carryon.ui.widgets.controls import button, label
from carryon.ui.widgets.spacing import sized, spaced

SHOWN_BYTES = 200_000


def latest_log(logs: Path) -> Path | None:
    """The log of the engine that was started last, else the app's own."""
    engines = sorted(logs.glob("engine-*.log"))
    own = logs / "carryon.log"
    return engines[-1] if engines else own if own.exists() else None


def end_of(file: Path | None) -> str:
    """The last part of a log, as text."""
    if file is None:
        return texts.NO_LOG
    try:
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - SHOWN_BYTES))
            return log.read().decode("utf-8", "replace") or texts.EMPTY_LOG
    except OSError as error:
        return f"{file} cannot be read: {error.strerror or error}."


class LogDialog(QDialog):
    """Opens at the end of the log, where the reason stands."""

    def __init__(self, logs: Path, parent: QWidget | None = None, file: Path | None = None) -> None:
        super().__init__(parent)
        file = file or latest_log(logs)
        self.setWindowTitle(texts.LOG_TITLE)
        self._text = QPlainTextEdit(end_of(file))
        self._text.setReadOnly(True)
        self._text.setAccessibleName(texts.LOG_TITLE)
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPixelSize(theme.px(12))
        self._text.setFont(font)
        column = QVBoxLayout(self)
        spaced(column, (20, 16, 20, 16), 10)
        column.addWidget(label(str(file or logs), "soft", wraps=True, selectable=True))
        column.addWidget(self._text, 1)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(button(texts.COPY, icon="ph.copy", on_click=self._copy))
        close = button(texts.CLOSE, "primary", on_click=self.accept)
        close.setDefault(True)
        row.addWidget(close)
        column.addLayout(spaced(row))
        sized(self, 720, 480)
        self._text.verticalScrollBar().setValue(self._text.verticalScrollBar().maximum())

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._text.toPlainText())
