"""The pages that the window can show, and their places on the rail."""

from enum import Enum, auto

from carryon.ui import texts
from carryon.ui.widgets.rail import RailItem


class Page(Enum):
    """What the window shows."""

    CHAT = auto()
    DISCOVER = auto()
    LIBRARY = auto()
    WORKSHOP = auto()
    FIT = auto()
    SETTINGS = auto()
    DOWNLOADS = auto()
    WELCOME = auto()


RAIL_PAGES = (Page.CHAT, Page.DISCOVER, Page.LIBRARY, Page.WORKSHOP, Page.FIT, Page.SETTINGS)
RAIL = (
    RailItem(texts.CHAT, "ph.chat-circle-text", "Ctrl+1"),
    RailItem(texts.DISCOVER, "ph.compass", "Ctrl+2"),
    RailItem(texts.LIBRARY, "ph.books", "Ctrl+3"),
    RailItem(texts.WORKSHOP, "ph.wrench", "Ctrl+4"),
    RailItem(texts.FIT, "ph.gauge", "Ctrl+5"),
    RailItem(texts.SETTINGS, "ph.gear", "Ctrl+6"),
)
PLACES = {page: place for place, page in enumerate(RAIL_PAGES)} | {Page.WELCOME: 0}  # downloads have none
