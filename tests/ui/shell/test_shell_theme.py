"""The theme: contrast computed from the tokens, sizes that grow, icons that follow."""

from dataclasses import fields
from itertools import pairwise

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage, QPalette
from PySide6.QtWidgets import QPushButton

from carryon.base.settings import Theme
from carryon.ui import theme
from carryon.ui.glyphs import glyph_icon

PALETTES = ("light", "dark")
TEXTS = ("text", "soft", "accent", "warn", "bad", "good")
GROUNDS = ("bg", "surface", "sunken", "tint", "user", "hover")
BAR_PARTS = ("weights", "kv", "compute", "other", "sunken")


def luminance(colour):
    """Relative luminance: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def lightness(colour):
    """CIE L*, what is left of a colour in grey-scale."""
    y = luminance(colour)
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", TEXTS)
def test_text_can_be_read_on_every_ground(name, text, ground):
    palette = theme.palette_of(name)
    assert contrast(getattr(palette, text), getattr(palette, ground)) >= 4.5


@pytest.mark.parametrize("name", PALETTES)
def test_a_primary_button_can_be_read(name):
    palette = theme.palette_of(name)
    assert contrast(palette.on, palette.accent) >= 4.5


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("line", ["edge", "focus"])
@pytest.mark.parametrize("ground", ["bg", "surface", "sunken"])
def test_outlines_of_controls_and_focus_are_seen(name, line, ground):
    palette = theme.palette_of(name)
    assert contrast(getattr(palette, line), getattr(palette, ground)) >= 3.0


@pytest.mark.parametrize("name", PALETTES)
def test_the_parts_of_a_memory_bar_differ_in_grey(name):
    steps = sorted(lightness(getattr(theme.palette_of(name), part)) for part in BAR_PARTS)
    assert min(after - before for before, after in pairwise(steps)) >= 6


@pytest.mark.parametrize("name", PALETTES)
def test_every_role_is_a_colour(name):
    palette = theme.palette_of(name)
    for one in fields(palette):
        assert len(getattr(palette, one.name)) == 7
        int(getattr(palette, one.name)[1:], 16)


def test_light_and_dark_are_worn_by_the_whole_application(qapp):
    theme.apply(qapp, Theme.DARK, 100)
    assert theme.is_dark()
    assert qapp.palette().color(QPalette.ColorRole.Window).name().upper() == theme.palette_of("dark").bg.upper()
    theme.apply(qapp, Theme.LIGHT, 100)
    assert not theme.is_dark()
    assert theme.current() == theme.palette_of("light")


def test_the_systems_own_parts_follow_too(qapp):
    theme.apply(qapp, Theme.DARK, 100)
    assert QGuiApplication.styleHints().colorScheme() in (Qt.ColorScheme.Dark, Qt.ColorScheme.Unknown)


def test_lengths_and_text_grow_together(qapp):
    theme.apply(qapp, Theme.LIGHT, 100)
    normal = theme.px(100), qapp.font().pixelSize()
    theme.apply(qapp, Theme.LIGHT, 200)
    assert theme.px(100) == 2 * normal[0]
    assert qapp.font().pixelSize() == 2 * normal[1]
    assert theme.px(0.1) == 1


def test_the_style_sheet_has_every_name_filled_in(qapp):
    assert "$" not in qapp.styleSheet()


def test_pages_add_their_own_rules_once(qapp):
    def rules(palette):
        return f"QLabel#probe {{ color: {palette.accent}; }}"

    theme.extend(rules)
    theme.extend(rules)
    try:
        theme.apply(qapp, Theme.LIGHT, 100)
        assert qapp.styleSheet().count("QLabel#probe") == 1
        assert theme.current().accent in qapp.styleSheet()
    finally:
        theme._worn.rules.remove(rules)


def test_an_icon_is_made_once_and_takes_the_roles_colour(qapp):
    assert theme.icon("ph.gear") is theme.icon("ph.gear")
    assert main_colour(theme.icon("ph.circle-fill", "bad")) == theme.current().bad.upper()


def test_icons_are_pale_where_a_button_is_off(qapp):
    normal = theme.icon("ph.circle-fill").pixmap(32, 32).toImage()
    disabled = theme.icon("ph.circle-fill").pixmap(32, 32, theme.QIcon.Mode.Disabled).toImage()
    assert disabled.pixelColor(16, 16).alpha() < normal.pixelColor(16, 16).alpha()


def test_a_wrong_icon_name_is_a_mistake(qapp):
    with pytest.raises(KeyError):
        glyph_icon("ph.no-such-icon", "#000000")


def test_a_buttons_icon_follows_the_theme_and_the_text(qapp, qtbot):
    button = QPushButton()
    qtbot.addWidget(button)
    theme.dress(button, "ph.circle-fill", "text")
    light = main_colour(button.icon())
    theme.apply(qapp, Theme.DARK, 200)
    assert main_colour(button.icon()) != light
    assert button.iconSize().width() == theme.px(16) == 32


def test_dressing_a_button_again_replaces_its_icon(qapp, qtbot):
    button = QPushButton()
    qtbot.addWidget(button)
    theme.dress(button, "ph.circle-fill", "bad")
    theme.dress(button, "ph.circle-fill", "good")
    theme.apply(qapp, Theme.LIGHT, 110)
    assert main_colour(button.icon()) == theme.current().good.upper()


def test_high_contrast_makes_lines_and_soft_text_strong(qapp, monkeypatch):
    monkeypatch.setattr(theme, "_wants_contrast", lambda: True)
    theme.apply(qapp, Theme.LIGHT, 100)
    assert theme.current().soft == theme.current().border == theme.current().text
    monkeypatch.undo()
    theme.apply(qapp, Theme.LIGHT, 100)


def main_colour(icon):
    image: QImage = icon.pixmap(32, 32).toImage()
    return image.pixelColor(image.width() // 2, image.height() // 2).name().upper()
