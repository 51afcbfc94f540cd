"""The Library page's own rules of the style sheet."""

from carryon.ui import theme
from carryon.ui.theme import Palette


def library_style(palette: Palette) -> str:
    """QSS for what only this page has."""
    px = theme.px
    return f"""
QTableView#library {{ background: {palette.surface}; border: none; }}
QTableView#fields {{ background: {palette.surface}; border: 1px solid {palette.border}; border-radius: {px(6)}px; }}
QToolButton#copy {{ background: transparent; border: 2px solid transparent; border-radius: {px(4)}px; padding: 0; }}
QToolButton#copy:hover {{ background: {palette.hover}; }}
QToolButton#copy:focus {{ border-color: {palette.focus}; }}
QTableView#library QLineEdit {{ padding: 0 {px(6)}px; min-height: 0; }}
QTableView#library QHeaderView, QTableView#library QHeaderView::section {{ background: {palette.surface}; }}
QTableView#fields::item {{ padding: {px(4)}px {px(5)}px; }}
QTableView#fields::item:selected {{ background: {palette.tint}; color: {palette.text}; }}
QFrame#copies {{ background: {palette.surface}; border: 1px solid {palette.border}; border-radius: {px(10)}px; }}
QSplitter#library::handle {{ background: transparent; }}
"""
