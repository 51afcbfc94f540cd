"""Margins and gaps on the 8-px grid that grow with the text size, also while the window is open."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QLayout, QWidget

from carryon.ui import theme
from carryon.ui.widgets.flow import FlowLayout

_TITLE_BAR_PX = 48


class OnTheme(QObject):
    """Does something now and at every change of the theme, as long as its owner lives."""

    def __init__(self, owner: QObject, act: Callable[[], object]) -> None:
        super().__init__(owner)
        self._act = act
        theme.theme_changed.connect(self.again)
        self.again()

    def again(self) -> None:
        self._act()


@contextmanager
def laid_out_once(*containers: QWidget) -> Iterator[None]:
    """These widgets lay nothing out meanwhile: Qt does it for every child that appears, up to the top each time.

    Outer ones are named first. A request to lay out that came meanwhile was thrown away, so each is asked at the end.
    """
    layouts = [layout for one in containers if (layout := one.layout()) is not None]
    for layout in layouts:
        layout.setEnabled(False)
    try:
        yield
    finally:
        for layout in layouts:
            layout.setEnabled(True)
        for layout in reversed(layouts):
            layout.activate()  # does nothing where nothing was asked for


def sized(dialog: QWidget, width: int, height: int) -> None:
    """A size in design pixels that grows with the text and never beyond the screen; kept in step while it is open."""

    def size() -> None:
        room = dialog.screen().availableGeometry()
        dialog.resize(min(theme.px(width), room.width()), min(theme.px(height), room.height() - _TITLE_BAR_PX))
        if dialog.isVisible():  # larger text must not push it over the edge
            left, top = room.right() + 1 - dialog.width(), room.bottom() + 1 - dialog.height()
            dialog.move(max(room.left(), min(dialog.x(), left)), max(room.top(), min(dialog.y(), top)))

    OnTheme(dialog, size)


def spaced(layout: QLayout, margins: tuple[int, int, int, int] = (0, 0, 0, 0), gap: int = 8) -> QLayout:
    """Sets margins (left, top, right, bottom) and gap in design pixels, and keeps them in step with the text."""

    def space() -> None:
        layout.setContentsMargins(*(theme.px(one) if one else 0 for one in margins))
        if isinstance(layout, FlowLayout):
            layout.set_gap(theme.px(gap))
        else:
            layout.setSpacing(theme.px(gap) if gap else 0)

    OnTheme(layout, space)
    return layout
