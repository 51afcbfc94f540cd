"""A label and its field side by side, or under each other where there is no room: large text on a small screen."""

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget

from carryon.ui import theme

_GAP, _LINE_GAP = 12, 4


class FoldingRow(QLayout):
    """`first` at the left, `second` at the right or in the next line; where it `grows`, it takes what is left."""

    def __init__(self, first: QWidget, second: QWidget, *, grows: bool = False) -> None:
        super().__init__()
        self._items: list[QLayoutItem] = []
        self._grows = grows
        self.setContentsMargins(0, 0, 0, 0)
        self.addWidget(first)
        self.addWidget(second)

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation.Horizontal

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        shown = self._shown()
        if self._is_folded(width):
            return sum(_height(item, width) for item in shown) + theme.px(_LINE_GAP)
        return max((item.sizeHint().height() for item in shown), default=0)

    def sizeHint(self) -> QSize:
        return QSize(self._wanted_width(), self.heightForWidth(self._wanted_width()))

    def minimumSize(self) -> QSize:
        sizes = [item.minimumSize() for item in self._shown()]
        return QSize(max((one.width() for one in sizes), default=0), max((one.height() for one in sizes), default=0))

    def setGeometry(self, rect: QRect) -> None:
        super().setGeometry(rect)
        shown = self._shown()
        if len(shown) == 2 and not self._is_folded(rect.width()):
            self._place_beside(rect, *shown)
            return
        y = rect.y()
        for item in shown:
            hint = item.sizeHint()
            width = rect.width() if self._grows and item is shown[-1] else min(hint.width(), rect.width())
            height = _height(item, rect.width())
            item.setGeometry(QRect(rect.x(), y, width, height))
            y += height + theme.px(_LINE_GAP)

    def _place_beside(self, rect: QRect, first: QLayoutItem, second: QLayoutItem) -> None:
        width = first.sizeHint().width()
        left = width + theme.px(_GAP)
        room = rect.width() - left if self._grows else second.sizeHint().width()
        first.setGeometry(_centred(rect, rect.x(), width, first))
        second.setGeometry(_centred(rect, rect.right() + 1 - room, room, second))

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _wanted_width(self) -> int:
        shown = self._shown()
        gaps = theme.px(_GAP) * max(0, len(shown) - 1)
        return sum(item.sizeHint().width() for item in shown) + gaps

    def _is_folded(self, width: int) -> bool:
        return len(self._shown()) == 2 and self._wanted_width() > width


def _height(item: QLayoutItem, width: int) -> int:
    """In a line of its own: a row of buttons may need a second one."""
    hint = item.sizeHint()
    is_too_wide = hint.width() > width and item.hasHeightForWidth()
    return item.heightForWidth(width) if is_too_wide else hint.height()


def _centred(rect: QRect, x: int, width: int, item: QLayoutItem) -> QRect:
    height = min(item.sizeHint().height(), rect.height())
    return QRect(x, rect.y() + (rect.height() - height) // 2, width, height)
