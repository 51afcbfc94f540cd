"""A slider over round steps of a length in tokens, evenly spaced on a log scale, with the steps written under it."""

from collections.abc import Sequence

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QValidator
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from carryon.base.units import context_text, parsed_tokens
from carryon.ui import theme
from carryon.ui.widgets.controls import NumberField, buddy
from carryon.ui.widgets.scaled_slider import Scale, ScaledSlider
from carryon.ui.widgets.spacing import spaced

_FIRST_STEP = 2048


def context_steps(n_ctx_train: int) -> tuple[int, ...]:
    """2k, 3k, 4k, 6k, 8k, 12k ... and the trained maximum, which is always the last; to 128k where it is unknown."""
    last = n_ctx_train or 131072
    steps, step = [], _FIRST_STEP
    while step < last:
        steps += [step, step * 3 // 2]
        step *= 2
    return (*(one for one in steps if one < last), last)


class TokensField(QWidget):
    """Label, number, slider and steps: a number of tokens, round by mouse or arrow key, any other typed."""

    moved = Signal(int)
    refused = Signal(str)  # what was typed, where it is no number of tokens or out of bounds

    def __init__(self, text: str, bounds: tuple[int, int]) -> None:
        super().__init__()
        name = text.replace("&", "")
        self._steps: tuple[int, ...] = (_FIRST_STEP,)
        self._is_drawing = False
        self.slider = _Slider()
        self.slider.setAccessibleName(name)
        self.slider.valueChanged.connect(lambda index: self._changed(self._steps[index]))
        self.number = _TokensNumber(f"{name} in tokens")
        self.number.setRange(*bounds)
        self.number.setSingleStep(1024)
        self.number.setSuffix(" tokens")
        self.number.setKeyboardTracking(False)  # "16384" must not first be "1" and then "16"
        self.number.valueChanged.connect(self._changed)
        self.number.refused.connect(self.refused.emit)
        self._ticks = _Ticks(self.slider)
        self._ticks.show_steps(self._steps)
        head = QHBoxLayout()
        head.addWidget(buddy(text, self.slider, "heading"))
        head.addStretch(1)
        head.addWidget(self.number)
        column = QVBoxLayout(self)
        spaced(column, gap=4)
        column.addLayout(spaced(head, gap=8))
        column.addWidget(self.slider)
        column.addWidget(self._ticks)

    def show_value(self, steps: Sequence[int], value: int) -> None:
        """Shows `value`, and these rising steps with the nearest one chosen; nothing is emitted."""
        self._is_drawing = True
        if tuple(steps) != self._steps:
            self._steps = tuple(steps)
            self.slider.setRange(0, len(self._steps) - 1)
            self._ticks.show_steps(self._steps)
        self.slider.setValue(nearest(self._steps, value))
        self.slider.setAccessibleDescription(f"{value:,} tokens")
        self.number.setValue(value)
        self._is_drawing = False

    def _changed(self, value: int) -> None:
        if not self._is_drawing:
            self.moved.emit(value)


class _TokensNumber(NumberField):
    """Takes '8k' too, and lets anything be typed: what cannot be is refused aloud, not letter by letter."""

    refused = Signal(str)

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        value = parsed_tokens(text)
        is_good = value is not None and self.minimum() <= value <= self.maximum()
        return QValidator.State.Acceptable if is_good else QValidator.State.Intermediate, text, position

    def valueFromText(self, text: str) -> int:
        return parsed_tokens(text) or self.minimum()

    def fixup(self, text: str) -> str:
        """Asked when the person is done; what is not good by then makes way for the value before."""
        self.refused.emit(text.removesuffix(self.suffix()))
        return text


def nearest(steps: Sequence[int], value: int) -> int:
    """The place of the step that is nearest to `value` as a ratio."""
    return min(range(len(steps)), key=lambda index: max(steps[index], value) / max(1, min(steps[index], value)))


class _Slider(ScaledSlider):
    """Page keys move by a doubling."""

    def __init__(self) -> None:
        super().__init__()
        self.setRange(0, 0)
        self.setPageStep(2)


class _Ticks(Scale):
    """The steps: as many as have room, first and last always."""

    def __init__(self, slider: ScaledSlider) -> None:
        super().__init__(slider)
        self._steps: tuple[int, ...] = ()

    def show_steps(self, steps: tuple[int, ...]) -> None:
        """Replaces the steps."""
        self._steps = steps
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(self._font())
        for index, words, place in self._places():
            x = self._slider.centre_x(index)
            painter.setPen(QColor(theme.current().edge))
            painter.drawLine(QPoint(x, 0), QPoint(x, theme.px(4)))
            painter.setPen(QColor(theme.current().soft))
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, words)
        painter.end()

    def _places(self) -> list[tuple[int, str, QRect]]:
        """Index, words and place of every step that is written."""
        last = len(self._steps) - 1
        doublings = range(0, last, 2)
        taken: list[tuple[int, str, QRect]] = []
        for index in dict.fromkeys((0, last, *doublings)):
            words = context_text(self._steps[index]) if self._steps else ""
            middle = self._slider.centre_x(index) - self._metrics().horizontalAdvance(words) // 2
            place = self._place(words, middle)
            if not any(place.adjusted(-theme.px(8), 0, theme.px(8), 0).intersects(other) for _, _, other in taken):
                taken.append((index, words, place))
        return taken
