"""Code gets its colours, line by line, without holding the window up and without touching the text."""

import pytest
from PySide6.QtGui import QColor

from carryon.ui import theme
from carryon.ui.markdown import highlight
from carryon.ui.markdown.highlight import Painter
from carryon.ui.markdown.parsing import blocks
from carryon.ui.markdown.text_view import MarkdownText


@pytest.fixture
def shown(qtbot):
    """Writes markdown into a message and colours it."""
    view = MarkdownText()
    qtbot.addWidget(view)
    painter = Painter(view)

    def show(source):
        painter.refresh(view.replace_from(0, blocks(source)))
        qtbot.waitUntil(lambda: painter._next() is None and painter._work is None, timeout=10_000)
        return view

    return show


def colours(view, part=0):
    """Of each line the coloured words with their colours."""
    found, number = [], 0
    lines = view.blocks[part].text.count("\n") + 1
    for number in range(lines):
        block = view.code_line(part, number)
        raw = block.text().encode("utf-16-le")
        found.append(
            {
                raw[one.start * 2 : (one.start + one.length) * 2].decode("utf-16-le"): one.format.foreground().color()
                for one in block.layout().formats()
            }
        )
    return found


def test_words_of_code_have_colours_on_every_line(shown):
    first, second, third = colours(shown("```python\ndef f(x):  # why\n    return 'a'\nreturn None\n```"))
    palette = theme.current()
    assert first["def"] == QColor(palette.accent)
    assert first["# why"] == QColor(palette.soft)
    assert second["return"] == QColor(palette.accent)
    assert second["'"] == QColor(palette.good)
    assert third["return"] == QColor(palette.accent)


def test_code_that_grows_is_coloured_to_its_end(shown):
    shown("```python\nx = 1  # a com")
    view = shown("```python\nx = 1  # a comment\nreturn 2")
    first, second = colours(view)
    assert "# a comment" in first
    assert "return" in second


def test_code_written_anew_wears_nothing_of_the_old(shown):
    shown("```python\nreturn 1\n```")
    view = shown("text before\n\n```python\nx\n```")
    assert colours(view, 1) == [{}]


def test_letters_beyond_the_basic_plane_do_not_shift_the_colours(shown):
    (line,) = colours(shown("```python\ns = '🙂🙂'; return 1\n```"))
    assert "return" in line


@pytest.mark.parametrize("fence", ["", "no-such-language", "../../etc"])
def test_an_unknown_language_stays_plain(shown, fence):
    assert colours(shown(f"```{fence}\nreturn 1\n```")) == [{}]


def test_a_very_long_listing_stays_plain(shown, monkeypatch):
    monkeypatch.setattr(highlight, "LONGEST", 10)
    assert not any(colours(shown("```python\n" + "return 1\n" * 10 + "```")))


def test_a_long_listing_is_coloured_in_slices(qtbot, monkeypatch):
    view = MarkdownText()
    qtbot.addWidget(view)
    painter = Painter(view)
    slices = []
    paint = painter._paint
    monkeypatch.setattr(highlight, "SLICE_S", 0.001)
    painter._timer.timeout.disconnect()
    painter._timer.timeout.connect(lambda: slices.append(None) or paint())
    painter.refresh(view.replace_from(0, blocks("```python\n" + "return f(1)  # why\n" * 400 + "```")))
    qtbot.waitUntil(lambda: painter._next() is None and painter._work is None, timeout=20_000)
    assert len(slices) > 5
    assert all(colours(view)[:400])
