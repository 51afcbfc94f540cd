"""The chat page's own rules of the style sheet."""

from carryon.ui import theme
from carryon.ui.theme import Palette


def chat_style(palette: Palette) -> str:
    """QSS for what only this page has."""
    px = theme.px
    return f"""
QTextBrowser#message {{ background: transparent; border: none; selection-background-color: {palette.accent};
    selection-color: {palette.on}; }}
QAbstractScrollArea#transcript {{ background: transparent; border: none; }}
QPlainTextEdit#write {{ background: transparent; border: none; border-radius: 0; padding: 0; font-size: {px(15)}px;
    selection-background-color: {palette.accent}; selection-color: {palette.on}; }}
QFrame#composer[active="true"] {{ border: 1px solid {palette.focus}; }}
QFrame#composer[active="false"] {{ border: 1px solid {palette.edge}; }}
QFrame#line[hidden="true"] {{ background: transparent; }}
QPushButton#model {{ font-weight: 600; text-align: left; }}
QPushButton#question {{ text-align: left; padding: {px(10)}px {px(14)}px; border-radius: {px(10)}px; }}
QPushButton#jump {{ border: 1px solid {palette.edge}; border-radius: {px(10)}px; }}
QPushButton#jump:focus {{ border: 2px solid {palette.focus}; }}
QListView#conversations QLineEdit {{ padding: 0 {px(6)}px; min-height: 0; }}
"""
