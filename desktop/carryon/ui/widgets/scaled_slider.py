"""What sliders with words under them share: a slider that leaves the wheel to the page, and a line of words."""

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QSlider, QStyle, QStyleOptionSlider, QWidget

from carryon.ui import theme


class ScaledSlider(QSlider):
    """Arrow keys move by one; the wheel only scrolls the page."""

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def centre_x(self, value: int) -> int:
        """Where the middle of the handle is when it stands at this value."""
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        option.sliderPosition = value
        handle = self.style().subControlRect(
            QStyle.ComplexControl.CC_Slider, option, QStyle.SubControl.SC_SliderHandle, self
        )
        return handle.center().x()


class Scale(QWidget):
    """The words under a slider's groove; what stands where is the subclass's to paint."""

    def __init__(self, slider: ScaledSlider) -> None:
        super().__init__()
        self._slider = slider
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.theme_changed.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        return QSize(theme.px(160), self._metrics().height() + theme.px(8))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _place(self, words: str, left: int) -> QRect:
        """Where words go that would like to begin at `left`: inside the widget in any case."""
        width = self._metrics().horizontalAdvance(words)
        inside = min(max(0, left), max(0, self.width() - width))
        return QRect(inside, theme.px(7), width, self.height() - theme.px(7))

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(theme.px(12))
        return font

    def _metrics(self) -> QFontMetrics:
        return QFontMetrics(self._font())
