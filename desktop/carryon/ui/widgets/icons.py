"""The app's own icon."""

from importlib import resources

from PySide6.QtGui import QIcon


def app_icon() -> QIcon:
    """The suitcase of the window's title and the first-run card."""
    return QIcon(str(resources.files("carryon.resources").joinpath("icons/carryon.svg")))
