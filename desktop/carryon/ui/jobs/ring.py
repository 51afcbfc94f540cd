"""The sign of all jobs in the status bar: a ring that fills, how many there are and how far."""

import math

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QIcon, QIconEngine, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QPushButton

from carryon.app.download_list import Download
from carryon.app.workshop_list import Run, Workbench
from carryon.ui import theme
from carryon.ui.jobs.form import Ring, Sign
from carryon.ui.jobs.presenter import Queue
from carryon.ui.jobs.summary import ended_runs_words, ended_words, ring_of
from carryon.ui.widgets.controls import plain_tip
from carryon.ui.widgets.spacing import OnTheme

ICONS = {
    Sign.RUNNING: ("ph.arrow-circle-down", "accent"),
    Sign.MAKING: ("ph.wrench", "accent"),
    Sign.WAITING: ("ph.clock", "soft"),
    Sign.PAUSED: ("ph.pause-circle", "soft"),
    Sign.FAILED: ("ph.warning-circle", "bad"),
    Sign.FINISHED: ("ph.check-circle", "good"),
}
_ICON_PX = 16


class JobsRing(QPushButton):
    """A button: what it opens is the window's business. It is not there while the list is empty.

    It is made first of all that shows jobs, so it is also what says that one came to its end. The workshop joins it
    later: to make that takes a while, for which nothing in the window waits.
    """

    notice_wanted = Signal(str, object)

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self._ring: Ring | None = None
        self._downloads = queue.now
        self._runs: tuple[Run, ...] = ()
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        queue.listen(self._downloads_turned)
        OnTheme(self, self._draw)

    def join(self, bench: Workbench) -> None:
        """From now on the workshop's runs count too."""
        self._runs = bench.now
        bench.listen(self._runs_turned)

    def sizeHint(self) -> QSize:
        """As wide as its widest words: what stands beside it must not move with every per cent."""
        hint = super().sizeHint()
        now, widest = (self._width(one) for one in (self.text(), _caption(self._ring, is_widest=True)))
        return QSize(hint.width() + widest - now, hint.height())

    def _width(self, words: str) -> int:
        return QFontMetrics(self.font()).size(Qt.TextFlag.TextShowMnemonic, words).width()  # as Qt's own hint has it

    def _downloads_turned(self, downloads: tuple[Download, ...]) -> None:
        for words in ended_words(self._downloads, downloads):
            self.notice_wanted.emit(words, None)
        self._downloads = downloads
        self._show()

    def _runs_turned(self, runs: tuple[Run, ...]) -> None:
        for words in ended_runs_words(self._runs, runs):
            self.notice_wanted.emit(words, None)
        self._runs = runs
        self._show()

    def _show(self) -> None:
        ring = ring_of(self._downloads, self._runs)
        if ring != self._ring:
            self._ring = ring
            self._draw()

    def _draw(self) -> None:
        ring = self._ring
        if ring is None:
            self.hide()
            return
        if self.parentWidget():  # without one it would be a window of its own
            self.show()
        self.setIconSize(QSize(theme.px(_ICON_PX), theme.px(_ICON_PX)))
        self.setIcon(_icon(ring))
        self.setText(_caption(ring))
        self.setAccessibleName(ring.words)
        self.setToolTip(plain_tip(ring.words))


def _caption(ring: Ring | None, *, is_widest: bool = False) -> str:
    """' 43 %', ' 2 · 43 %'; nothing where nothing goes on."""
    if ring is None or ring.fraction is None:
        return ""
    shown = "100 %" if is_widest else f"{int(ring.fraction * 100)} %"
    return f" {ring.count} · {shown}" if ring.count > 1 else f" {shown}"


def _icon(ring: Ring) -> QIcon:
    if ring.fraction is None:
        return theme.icon(*ICONS[ring.sign])
    colours = theme.current()
    filled = colours.accent if ring.sign is Sign.RUNNING else colours.soft
    return QIcon(RingEngine(ring.fraction, filled, colours.border))


class RingEngine(QIconEngine):
    """Paints a ring that is filled clockwise from the top."""

    def __init__(self, fraction: float, colour: str, rest: str) -> None:
        super().__init__()
        self._fraction, self._colour, self._rest = fraction, colour, rest

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        thick = max(2.0, rect.width() / 5)
        circle = QRectF(rect).adjusted(thick / 2, thick / 2, -thick / 2, -thick / 2)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self._rest), thick))
        painter.drawEllipse(circle)
        painter.setPen(QPen(QColor(self._colour), thick, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        sixteenths = 16 * 360  # Qt counts angles in sixteenths of a degree, against the clock
        painter.drawArc(circle, sixteenths // 4, -math.ceil(sixteenths * min(max(self._fraction, 0.0), 1.0)))
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return RingEngine(self._fraction, self._colour, self._rest)
