"""The pages that the window can show, and their places on the rail."""

from enum import IntEnum

from carryon.ui import texts
from carryon.ui.widgets.rail import RailItem


class Page(IntEnum):
    """What the window shows; the number is the page's place on the rail, where it has one."""

    CHAT = 0
    FIT = 1
    SETTINGS = 2
    WELCOME = 3


RAIL = (
    RailItem(texts.CHAT, "ph.chat-circle-text", "Ctrl+1"),
    RailItem(texts.FIT, "ph.gauge", "Ctrl+5"),
    RailItem(texts.SETTINGS, "ph.gear", "Ctrl+6"),
)
