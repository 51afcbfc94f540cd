"""The four steps at the top of the page: where one is, what is done, and a way to each."""

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QVBoxLayout, QWidget

from carryon.ui import theme
from carryon.ui.widgets.flow import FlowLayout
from carryon.ui.widgets.painted import paint_words, strong
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.workshop import texts
from carryon.ui.workshop.form import Form, Step

_DISC_PX, _GAP_PX, _LINE_PX, _SHORT_LINE_PX, _PADDING_PX = 22, 8, 28, 6, 4


class StepBar(QWidget):
    """Says which step is wanted."""

    step_wanted = Signal(object)  # a Step

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(texts.STEP_BAR)
        self.buttons = tuple(_StepButton(step) for step in Step)
        flow = FlowLayout()
        for one in self.buttons:
            one.clicked.connect(lambda _=False, step=one.step: self.step_wanted.emit(step))
            flow.addWidget(one)
        around = QVBoxLayout(self)
        spaced(around)
        around.addLayout(spaced(flow, gap=4))
        OnTheme(self, self._fit)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Where the words leave no room, the lines between them are short."""
        whole = sum(one.width_with(_LINE_PX) + theme.px(4) for one in self.buttons)
        length = _LINE_PX if whole <= self.width() else _SHORT_LINE_PX
        for one in self.buttons:
            one.set_line(length)

    def show_form(self, form: Form) -> None:
        """Marks the step that is open; those that cannot be opened yet are pale."""
        for one in self.buttons:
            one.show_state(
                is_current=one.step is form.step, is_open=form.is_open(one.step), is_done=_is_done(form, one.step)
            )


def _is_done(form: Form, step: Step) -> bool:
    match step:
        case Step.SOURCE:
            return form.source is not None and form.step > step
        case Step.PREFLIGHT:
            return form.can_continue and form.step > step
        case Step.TARGETS:
            return bool(form.runs) and form.step > step
        case Step.RUN:
            return False


class _StepButton(QAbstractButton):
    """A disc with the step's number, or with a tick, and its name."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step
        self._is_current = self._is_done = False
        self._line = _LINE_PX
        self.setText(texts.STEPS[step])
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        OnTheme(self, self.updateGeometry)

    def nextCheckState(self) -> None:
        """The page decides which step is open."""

    def show_state(self, *, is_current: bool, is_open: bool, is_done: bool) -> None:
        """How it is drawn and spoken."""
        self._is_current, self._is_done = is_current, is_done
        self.setChecked(is_current)
        self.setEnabled(is_open)
        self.setAccessibleName(texts.step_name(self.step, is_current=is_current, is_done=is_done))
        self.update()

    def set_line(self, length: int) -> None:
        """How long the line from the step before is, in design pixels."""
        if length != self._line:
            self._line = length
            self.updateGeometry()

    def width_with(self, line: int) -> int:
        """How wide it is with a line of this length."""
        words = QFontMetrics(strong(self.font())).horizontalAdvance(self.text())
        before = theme.px(line) + theme.px(_GAP_PX) // 2 if self.step is not Step.SOURCE else 0
        return before + theme.px(_DISC_PX + _GAP_PX + 3 * _PADDING_PX) + words

    def sizeHint(self) -> QSize:
        return QSize(self.width_with(self._line), theme.px(_DISC_PX + 3 * _PADDING_PX))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = self.rect()
        if self.step is not Step.SOURCE:
            rect = self._paint_line(painter, rect)
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme.current().focus), 2))
            painter.drawRoundedRect(QRectF(rect).adjusted(1, 1, -1, -1), theme.px(6), theme.px(6))
        side = theme.px(_DISC_PX)
        disc = QRect(rect.x() + theme.px(_PADDING_PX), rect.center().y() - side // 2 + 1, side, side)
        self._paint_disc(painter, disc)
        words = rect.adjusted(disc.right() + 1 - rect.x() + theme.px(_GAP_PX), 0, 0, 0)
        font = strong(self.font()) if self._is_current else self.font()
        paint_words(painter, font, words, self.text(), "text" if self.isEnabled() else "soft")
        painter.end()

    def _paint_line(self, painter: QPainter, rect: QRect) -> QRect:
        """From the step before; returns what is left for the step itself."""
        length, middle = theme.px(self._line), rect.center().y() + 1
        painter.setPen(QPen(QColor(theme.current().edge if self.isEnabled() else theme.current().border), 1))
        painter.drawLine(rect.x(), middle, rect.x() + length, middle)
        return rect.adjusted(length + theme.px(_GAP_PX) // 2, 0, 0, 0)

    def _paint_disc(self, painter: QPainter, disc: QRect) -> None:
        colours = theme.current()
        is_filled = self._is_current or self._is_done
        outline = colours.accent if is_filled else colours.edge if self.isEnabled() else colours.border
        painter.setPen(QPen(QColor(outline), 1.5))
        painter.setBrush(QColor(colours.accent if self._is_current else colours.tint if is_filled else colours.surface))
        painter.drawEllipse(QRectF(disc).adjusted(1, 1, -1, -1))
        if self._is_done and not self._is_current:
            side = theme.px(12)
            place = QRect(disc.center().x() - side // 2 + 1, disc.center().y() - side // 2 + 1, side, side)
            theme.icon("ph.check", "accent").paint(painter, place)
            return
        role = "on" if self._is_current else "text" if self.isEnabled() else "soft"
        paint_words(painter, strong(self.font()), disc, str(self.step + 1), role, Qt.AlignmentFlag.AlignCenter)
