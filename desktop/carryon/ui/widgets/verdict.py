"""A verdict as it looks everywhere: an icon of its own, its words, and a colour that is never the only signal."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from carryon.fit.plan import Verdict
from carryon.ui import theme
from carryon.ui.widgets.controls import rename
from carryon.ui.widgets.spacing import OnTheme, spaced
from carryon.ui.widgets.steady_label import SteadyLabel

# Every verdict has a shape of its own; colours are roles of the palette.
_ICONS = {
    Verdict.GPU: "ph.check-circle-fill",
    Verdict.SPLIT: "ph.circle-half-fill",
    Verdict.RAM: "ph.cpu-fill",
    Verdict.DISK: "ph.hard-drives-fill",
    Verdict.TOO_BIG: "ph.x-circle-fill",
}
_ROLES = {
    Verdict.GPU: "good",
    Verdict.SPLIT: "warn",
    Verdict.RAM: "warn",
    Verdict.DISK: "bad",
    Verdict.TOO_BIG: "bad",
}


def verdict_role(verdict: Verdict, *, has_gpu: bool = True) -> str:
    """The palette's role: good, warn or bad. Without a GPU, RAM is the best place there is."""
    return "good" if verdict is Verdict.RAM and not has_gpu else _ROLES[verdict]


def verdict_icon(verdict: Verdict, *, has_gpu: bool = True) -> QIcon:
    """The icon in its colour."""
    return theme.icon(_ICONS[verdict], verdict_role(verdict, has_gpu=has_gpu))


class VerdictLabel(QWidget):
    """An icon and a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self._verdict: Verdict | None = None
        self._has_gpu = True
        self._sign = QLabel()
        self._words = SteadyLabel("good")
        row = QHBoxLayout(self)
        spaced(row, gap=8)
        row.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._words, 1)
        OnTheme(self, self._paint)

    def show_verdict(self, verdict: Verdict, words: str, *, has_gpu: bool = True) -> None:
        """Replaces what is said; `words` come from fit/words.py."""
        is_other_sign = (verdict, has_gpu) != (self._verdict, self._has_gpu)
        self._verdict, self._has_gpu = verdict, has_gpu
        self._words.show_words(words)
        self.setAccessibleName(words)
        if is_other_sign:
            self._paint()

    def _paint(self) -> None:
        if self._verdict is None:
            return
        side = theme.px(18)
        self._sign.setPixmap(verdict_icon(self._verdict, has_gpu=self._has_gpu).pixmap(side, side))
        rename(self._words, verdict_role(self._verdict, has_gpu=self._has_gpu))
