"""A button whose words give way: where there is no room the name loses its middle, the figures after it stay."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QPushButton, QSizePolicy

from carryon.ui import theme


class ShortenedButton(QPushButton):
    """As wide as its words when it can be, and narrower without being cut."""

    def __init__(self) -> None:
        super().__init__()
        self._name = self._rest = ""
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def show_words(self, name: str, rest: str) -> None:
        """`name` may be shortened, `rest` only when even that is not enough."""
        if (name, rest) != (self._name, self._rest):
            self._name, self._rest = name, rest
            self.updateGeometry()
            self._fit()

    def sizeHint(self) -> QSize:
        words = QFontMetrics(self.font()).horizontalAdvance(f" {self._name}{self._rest}")
        return QSize(words + self._frame() + theme.px(4), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(theme.px(96), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        metrics = QFontMetrics(self.font())
        room = max(self.width(), theme.px(96)) - self._frame() - metrics.horizontalAdvance(" ")
        name_room = max(room - metrics.horizontalAdvance(self._rest), metrics.horizontalAdvance("Mm…M"))
        name = metrics.elidedText(self._name, Qt.TextElideMode.ElideMiddle, name_room)
        words = metrics.elidedText(name + self._rest, Qt.TextElideMode.ElideRight, room)
        self.setText(" " + words.replace("&", "&&"))  # a single one would underline the letter after it

    def _frame(self) -> int:
        """Icon, padding and focus ring."""
        icon = self.iconSize().width() + theme.px(6) if not self.icon().isNull() else 0
        return icon + theme.px(18)
