"""What all four steps are made of: a centred column of cards, and a card under its heading."""

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.widgets.controls import label
from carryon.ui.widgets.scroll import Scroll
from carryon.ui.widgets.spacing import OnTheme, spaced

WIDEST_PX = 1160
SIDE_PX = 32
COLUMN = "steps"


def column_of(scroll: Scroll) -> QVBoxLayout:
    """The column of a step, as wide as those of the other pages."""
    page, column = QWidget(), QWidget()
    column.setObjectName(COLUMN)
    around = QHBoxLayout(page)
    spaced(around, (SIDE_PX, 4, SIDE_PX, 16), 0)
    around.addStretch(1)
    around.addWidget(column, 1000)  # up to its own maximum
    around.addStretch(1)
    OnTheme(column, lambda: column.setMaximumWidth(theme.px(WIDEST_PX)))
    cards = QVBoxLayout(column)
    spaced(cards, gap=14)
    scroll.hold(page)
    return cards


def around_of(scroll: Scroll) -> tuple[QWidget, ...]:
    """What a step's cards stand in, the outer one first: laid out once where much changes at once."""
    page = scroll.widget()
    assert page
    column = page.findChild(QWidget, COLUMN)
    return (page, column) if column else (page,)


def card_with(title: str, *parts: QWidget, gap: int = 10) -> QFrame:
    """A card with a heading and what stands under it."""
    card = QFrame()
    card.setObjectName("card")
    column = QVBoxLayout(card)
    spaced(column, (18, 16, 18, 16), gap)
    if title:
        column.addWidget(label(title, "heading", wraps=True))
    for part in parts:
        column.addWidget(part)
    column.addStretch(1)  # where a neighbour is higher
    return card
