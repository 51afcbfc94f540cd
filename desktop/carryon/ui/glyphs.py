"""Icons drawn from the Phosphor font that qtawesome ships, sharp at every size.

The font is read here rather than through `qtawesome.icon`: importing that package takes 0.15 s and 30 MB more
(measured on two cores, 1.4.2), which is a sixth of what a cold start may take.
"""

import importlib.util
import json
from functools import cache
from pathlib import Path

from PySide6.QtCore import QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QIcon, QIconEngine, QPainter, QPixmap

PREFIX = "ph."
_FADED = 0.45


class GlyphEngine(QIconEngine):
    """Paints one glyph in one colour; what is disabled is paler."""

    def __init__(self, glyph: str, colour: str, active: str) -> None:
        super().__init__()
        self._glyph, self._colour, self._active = glyph, colour, active

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        painter.save()
        painter.setOpacity(_FADED if mode == QIcon.Mode.Disabled else 1.0)
        painter.setPen(QColor(self._active if state == QIcon.State.On else self._colour))
        font = QFont(_font()[0])
        font.setPixelSize(max(1, rect.height()))
        painter.setFont(font)
        painter.drawText(_baseline(font, self._glyph, QRectF(rect)), self._glyph)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return GlyphEngine(self._glyph, self._colour, self._active)


def glyph_icon(name: str, colour: str, active: str | None = None) -> QIcon:
    """The icon `ph.<name>` in a colour; `active` when its button is checked. Raises KeyError for a wrong name."""
    return QIcon(GlyphEngine(_font()[1][name.removeprefix(PREFIX)], colour, active or colour))


def _baseline(font: QFont, glyph: str, rect: QRectF) -> QPointF:
    """Where to start the glyph so that its em square fills the rectangle, centred."""
    metrics = QFontMetricsF(font)
    left = rect.x() + (rect.width() - metrics.horizontalAdvance(glyph)) / 2
    top = rect.y() + (rect.height() - metrics.height()) / 2
    return QPointF(left, top + metrics.ascent())


@cache
def _font() -> tuple[str, dict[str, str]]:
    """The family's name and its glyphs by name; needs a QGuiApplication."""
    package = importlib.util.find_spec("qtawesome")
    assert package
    assert package.submodule_search_locations
    folder = Path(package.submodule_search_locations[0]) / "fonts"
    file = next(folder.glob("phosphor-[0-9]*.ttf"))
    codes = json.loads(next(folder.glob("phosphor-charmap-*.json")).read_text("utf-8"))
    identity = QFontDatabase.addApplicationFont(str(file))
    family = QFontDatabase.applicationFontFamilies(identity)[0]
    return family, {name: chr(int(code, 16)) for name, code in codes.items()}
