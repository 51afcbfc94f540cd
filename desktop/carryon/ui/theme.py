"""What the window wears: colours from resources/theme, text size, icons; nothing else decides them."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path

from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QGuiApplication, QIcon, QPalette
from PySide6.QtWidgets import QAbstractButton, QApplication

from carryon.base.settings import Theme
from carryon.ui.glyphs import glyph_icon
from carryon.ui.sheet import sheet

DESIGN_PX = 13  # lengths are written for this text size and grow with it
PREFERRED_FAMILY = "Inter"


@dataclass(frozen=True)
class Palette:
    """Colours by role, "#RRGGBB"; resources/theme/light.toml explains each."""

    bg: str
    surface: str
    sunken: str
    border: str
    edge: str
    hover: str
    text: str
    soft: str
    accent: str
    on: str
    tint: str
    warn: str
    bad: str
    good: str
    weights: str
    kv: str
    compute: str
    other: str
    user: str
    focus: str


class _Notifier(QObject):
    theme_changed = Signal()


@dataclass
class _Worn:
    """What is worn now; the window has one look, so this is one object."""

    is_dark: bool = False
    is_high_contrast: bool = False
    text_px: int = DESIGN_PX
    system_px: int | None = None
    system_family: str = ""
    rules: list[Callable[[Palette], str]] = field(default_factory=list)
    icons: dict[tuple[str, str, str], QIcon] = field(default_factory=dict)


_notifier = _Notifier()
_worn = _Worn()
theme_changed = _notifier.theme_changed


@cache
def palette_of(name: str) -> Palette:
    """The palette `light` or `dark` as its file has it."""
    return Palette(**tomllib.loads(_resource(f"theme/{name}.toml").read_text("utf-8")))


def current() -> Palette:
    """The palette worn now."""
    palette = palette_of("dark" if _worn.is_dark else "light")
    if _worn.is_high_contrast:
        return replace(palette, border=palette.text, edge=palette.text, soft=palette.text)
    return palette


def is_dark() -> bool:
    """Whether the dark palette is worn."""
    return _worn.is_dark


def px(length: float) -> int:
    """A length of the 8-px grid, grown with the text."""
    return max(1, round(length * _worn.text_px / DESIGN_PX))


def icon(name: str, role: str = "soft") -> QIcon:
    """The icon `ph.<name>` in the colour of a role; in a checked button it takes the accent."""
    palette = current()
    key = (name, getattr(palette, role), palette.accent)
    if key not in _worn.icons:
        _worn.icons[key] = glyph_icon(*key)
    return _worn.icons[key]


def dress(button: QAbstractButton, name: str, role: str = "soft", size: int = 16) -> None:
    """Gives a button an icon that follows the theme and the text size; calling it again changes the icon."""
    old = button.findChild(_Dresser)
    if old:
        old.setParent(None)
        old.deleteLater()
    _Dresser(button, name, role, size).apply()


class _Dresser(QObject):
    """Renews one button's icon; it dies with its button."""

    def __init__(self, button: QAbstractButton, name: str, role: str, size: int) -> None:
        super().__init__(button)
        self._button, self._name, self._role, self._size = button, name, role, size
        theme_changed.connect(self.apply)

    def apply(self) -> None:
        if self.parent() is None:  # replaced, and about to be deleted
            return
        self._button.setIconSize(QSize(px(self._size), px(self._size)))
        self._button.setIcon(icon(self._name, self._role))


def extend(rules: Callable[[Palette], str]) -> None:
    """Adds a page's own rules to the style sheet; they count from the next `apply`."""
    if rules not in _worn.rules:
        _worn.rules.append(rules)


def apply(app: QApplication, theme: Theme, text_size_percent: int) -> None:
    """Dresses the whole application and tells everyone who listens to `theme_changed`."""
    _remember_system_font(app)
    _set_scheme(theme)
    _worn.is_dark = _wants_dark(theme)
    _worn.is_high_contrast = _wants_contrast()
    _worn.text_px = round(max(DESIGN_PX, _worn.system_px or 0) * text_size_percent / 100)
    app.setFont(_font())
    app.setPalette(_qt_palette(current()))
    rules = _resource("theme/window.qss").read_text("utf-8")
    app.setStyleSheet("\n".join([sheet(rules, current(), px, _image), *(rule(current()) for rule in _worn.rules)]))
    theme_changed.emit()


def _remember_system_font(app: QApplication) -> None:
    """The system's text size counts: who made it larger there wants it larger here."""
    if _worn.system_px is None:
        _worn.system_px = QFontInfo(app.font()).pixelSize()
        _worn.system_family = app.font().family()


def _font() -> QFont:
    has_preferred = PREFERRED_FAMILY in QFontDatabase.families()
    font = QFont(PREFERRED_FAMILY if has_preferred else _worn.system_family)
    font.setPixelSize(_worn.text_px)
    return font


def _set_scheme(theme: Theme) -> None:
    """Lets the system's own parts (title bar, file dialogs) follow; Qt 6.8 and later."""
    hints = QGuiApplication.styleHints()
    match theme:
        case Theme.SYSTEM:
            hints.unsetColorScheme()
        case Theme.LIGHT:
            hints.setColorScheme(Qt.ColorScheme.Light)
        case Theme.DARK:
            hints.setColorScheme(Qt.ColorScheme.Dark)


def _wants_dark(theme: Theme) -> bool:
    if theme is Theme.SYSTEM:
        return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
    return theme is Theme.DARK


def _wants_contrast() -> bool:
    """Whether the system asks for more contrast; Qt tells from 6.10 on."""
    hints = QGuiApplication.styleHints()  # held: what it hands out dies with it
    if not hasattr(hints, "accessibility"):
        return False
    return hints.accessibility().contrastPreference() == Qt.ContrastPreference.HighContrast


def _qt_palette(colours: Palette) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for where, colour in (
        (role.Window, colours.bg),
        (role.WindowText, colours.text),
        (role.Base, colours.surface),
        (role.AlternateBase, colours.bg),
        (role.Text, colours.text),
        (role.PlaceholderText, colours.soft),
        (role.Button, colours.surface),
        (role.ButtonText, colours.text),
        (role.Highlight, colours.accent),
        (role.HighlightedText, colours.on),
        (role.Link, colours.accent),
        (role.LinkVisited, colours.accent),
        (role.ToolTipBase, colours.surface),
        (role.ToolTipText, colours.text),
        (role.Accent, colours.accent),
        (role.Mid, colours.border),
    ):
        palette.setColor(where, QColor(colour))
    for where in (role.Text, role.WindowText, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, where, QColor(colours.soft))
    return palette


def _image(name: str) -> str:
    return _resource(f"icons/{name}-{'dark' if _worn.is_dark else 'light'}.svg").as_posix()


def _resource(path: str) -> Path:
    return Path(str(resources.files("carryon.resources").joinpath(path)))
