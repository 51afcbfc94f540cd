"""Where a message is written: Enter sends, Shift+Enter breaks the line, the field grows, pasted text is plain."""

import time

import pytest
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QTextOption

from carryon.ui.chat import texts
from carryon.ui.chat.composer import MOST_LINES, Composer
from carryon.ui.chat.view import Hint


@pytest.fixture
def composer(qtbot):
    made = Composer()
    qtbot.addWidget(made)
    made.resize(500, 100)
    made.show()
    return made


def test_enter_sends(composer, qtbot):
    qtbot.keyClicks(composer.field, "hello")
    with qtbot.waitSignal(composer.send_wanted) as sent:
        qtbot.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.args == ["hello"]
    assert composer.text == "hello"  # it is the presenter that lets go of it, once it is stored


def test_shift_and_enter_break_the_line(composer, qtbot):
    qtbot.keyClicks(composer.field, "one")
    qtbot.keyClick(composer.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(composer.field, "two")
    assert composer.text == "one\ntwo"


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
def test_nothing_is_not_sent(composer, qtbot, text):
    composer.set_text(text)
    assert not composer.send.isEnabled()
    with qtbot.assertNotEmitted(composer.send_wanted):
        qtbot.keyClick(composer.field, Qt.Key.Key_Return)


def test_send_is_stop_while_an_answer_is_written(composer, qtbot):
    composer.set_text("the next question")
    composer.show_answering(True)
    assert composer.send.accessibleName() == texts.STOP
    with qtbot.waitSignal(composer.stop_wanted):
        qtbot.mouseClick(composer.send, Qt.MouseButton.LeftButton)
    with qtbot.assertNotEmitted(composer.send_wanted):
        qtbot.keyClick(composer.field, Qt.Key.Key_Return)
    composer.show_answering(False)
    assert composer.send.accessibleName() == texts.SEND


def test_the_field_grows_with_its_lines_and_no_further_than_eight(composer):
    heights = []
    for lines in (1, 2, 5, MOST_LINES, MOST_LINES + 5):
        composer.set_text("\n".join(["line"] * lines))
        heights.append(composer.field.height())
    assert heights == sorted(heights)
    assert heights[0] < heights[1] < heights[2] < heights[3] == heights[4]


def test_long_lines_count_as_the_lines_they_take(composer):
    composer.set_text("word")
    one_line = composer.field.height()
    composer.set_text("word " * 60)
    assert composer.field.height() > one_line


def test_what_is_pasted_is_plain_text(composer):
    pasted = QMimeData()
    pasted.setHtml("<b>bold</b><img src='file:///dev/zero'>")
    pasted.setText("bold")
    composer.field.insertFromMimeData(pasted)
    assert composer.text == "bold"


def test_the_prompt_is_counted_when_the_typing_pauses(composer, qtbot):
    with qtbot.waitSignal(composer.count_wanted) as wanted:
        qtbot.keyClicks(composer.field, "some words")
    assert wanted.args == ["some words"]


@pytest.mark.parametrize(
    ("hint", "words", "buttons"),
    [
        (Hint.NONE, "", (False, False)),
        (Hint.NEEDS_MODEL, texts.NEEDS_MODEL, (True, True)),
        (Hint.WAITS_FOR_MODEL, texts.WAITS_FOR_MODEL, (False, False)),
        (Hint.EDITING, texts.EDITING, (False, False)),
    ],
)
def test_hints_say_what_happens_to_the_text(composer, hint, words, buttons):
    composer.show_hint(hint)
    assert composer._hint.text() == words
    assert (not composer.guide.isHidden(), not composer.choose.isHidden()) == buttons
    assert composer._above.isVisible() == bool(words)


def test_the_focus_can_be_seen(composer, qtbot):
    composer.activateWindow()
    composer.focus()
    qtbot.waitUntil(lambda: composer.property("active") is True)
    composer.send.setFocus()
    composer.show_answering(True)
    composer.send.setFocus()
    qtbot.waitUntil(lambda: composer.property("active") is False)


@pytest.mark.parametrize(
    "put", [lambda c, text: c.set_text(text), lambda c, text: c.field.insertFromMimeData(_mime(text))]
)
def test_a_word_of_very_many_letters_does_not_freeze_the_field(composer, qapp, put):
    began_s = time.process_time()
    put(composer, "x" * 200_000)
    qapp.processEvents()
    assert time.process_time() - began_s < 4.0  # wrapped at word boundaries it takes far longer
    composer.set_text("words again")
    assert composer.field.wordWrapMode() == QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere


def _mime(text):
    made = QMimeData()
    made.setText(text)
    return made
