"""A window that only says why the app cannot start."""

from PySide6.QtWidgets import QApplication, QDialog, QVBoxLayout

from carryon.base.errors import AppError
from carryon.base.settings import Theme
from carryon.ui import texts, theme
from carryon.ui.widgets.reason_card import ReasonCard
from carryon.ui.widgets.spacing import spaced


def show_failed_start(error: AppError) -> None:
    """Shows the reason until it is closed."""
    app = QApplication.instance()
    if isinstance(app, QApplication):
        theme.apply(app, Theme.SYSTEM, 100)
        failed_start(error).exec()


def failed_start(error: AppError) -> QDialog:
    """The window itself."""
    dialog = QDialog()
    dialog.setWindowTitle(texts.APP)
    column = QVBoxLayout(dialog)
    spaced(column, (20, 20, 20, 20))
    column.addWidget(ReasonCard(error, [(texts.CLOSE, dialog.accept)]))
    dialog.setMinimumWidth(theme.px(460))
    return dialog
