"""Labels, buttons and fields as every page makes them: named for the style sheet and for screen readers."""

import html
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QSizePolicy, QSpinBox, QToolButton, QWidget

from carryon.ui import theme


def label(text: str, name: str = "", *, wraps: bool = False, selectable: bool = False) -> QLabel:
    """Plain text, never interpreted as HTML: names of files and models may hold anything."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setObjectName(name)
    made.setWordWrap(wraps)
    if selectable:
        made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if wraps:
        policy = made.sizePolicy()  # a new one would forget that the height depends on the width
        policy.setVerticalPolicy(QSizePolicy.Policy.Minimum)
        made.setSizePolicy(policy)
    return made


def button(
    text: str, name: str = "", icon: str | None = None, on_click: Callable[[], object] | None = None
) -> QPushButton:
    """A push button; `name` is primary, quiet, link, danger or nothing."""
    made = QPushButton(f"  {text}" if icon else text)
    made.setObjectName(name)
    made.setAccessibleName(text)
    made.setAutoDefault(False)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    if icon:
        theme.dress(made, icon, {"primary": "on", "danger": "bad", "link": "accent"}.get(name, "text"))
    if on_click:
        made.clicked.connect(lambda: on_click())
    return made


def icon_button(accessible_name: str, icon: str, on_click: Callable[[], object] | None = None) -> QToolButton:
    """A button that shows only an icon; its name is its tooltip too."""
    made = QToolButton()
    made.setObjectName("icon")
    made.setAccessibleName(accessible_name)
    made.setToolTip(accessible_name)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    theme.dress(made, icon)
    if on_click:
        made.clicked.connect(lambda: on_click())
    return made


class NumberField(QSpinBox):
    """A spin box with room before its number, which a style sheet cannot give, and no accidents by the wheel."""

    def __init__(self, accessible_name: str) -> None:
        super().__init__()
        self.setAccessibleName(accessible_name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setGroupSeparatorShown(True)
        theme.theme_changed.connect(self._indent)
        self._indent()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scrolling past must not change a choice."""
        event.ignore()

    def _indent(self) -> None:
        self.lineEdit().setTextMargins(theme.px(7), 0, 0, 0)


def plain_tip(text: str) -> str:
    """A tooltip that shows a text as it is: Qt would take the name of a file for HTML if it looks like it."""
    return f"<p style='white-space:pre-wrap'>{html.escape(text)}</p>"


def rename(widget: QWidget, name: str) -> None:
    """Another object name, and the look that goes with it."""
    if widget.objectName() != name:
        widget.setObjectName(name)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def hairline() -> QFrame:
    """A thin line between two groups."""
    made = QFrame()
    made.setObjectName("line")
    return made


def buddy(text: str, field: QWidget, name: str = "soft") -> QLabel:
    """The label of a field: it names it to screen readers, and its mnemonic leads there."""
    made = QLabel(text)
    made.setObjectName(name)
    made.setBuddy(field)
    if not field.accessibleName():
        field.setAccessibleName(text.replace("&", ""))
    return made
