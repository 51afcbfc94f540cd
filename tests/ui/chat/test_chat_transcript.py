"""A long conversation: only what is near exists, its end stays in sight unless somebody scrolled up, nothing jumps."""

from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication

from carryon.base.settings import Theme
from carryon.chat.message import Figures, Message, Role, State
from carryon.ui import theme
from carryon.ui.chat import message_view, texts
from carryon.ui.chat.transcript import Transcript


def message(number, text="Some words.", role=Role.ASSISTANT, state=State.WHOLE):
    return Message(number, 1, role, text, state, 0.0, "Fake", Figures(1, 1.0, 2, 10.0, 3))


def talk(count, words="Some words of it. "):
    roles = (Role.USER, Role.ASSISTANT)
    return tuple(message(n, f"Message {n}. " + words * (n % 7 * 10 + 1), roles[n % 2]) for n in range(count))


@pytest.fixture
def transcript(qtbot):
    made = Transcript()
    qtbot.addWidget(made)
    made.resize(800, 600)
    made.show()
    return made


def wheel(transcript, notches):
    where = QPointF(transcript.viewport().rect().center())
    event = QWheelEvent(
        where, where, QPoint(), QPoint(0, 120 * notches), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(transcript.viewport(), event)


def top_of(transcript, number):
    return next(view.y() for view in transcript.views() if view.message.id == number)


def test_only_messages_near_the_window_exist_as_widgets(transcript):
    transcript.set_messages(talk(200))
    assert len(transcript.views()) <= 12
    assert transcript.views()[-1].message.id == 199
    transcript.verticalScrollBar().setValue(0)
    assert transcript.views()[0].message.id == 0
    assert len(transcript.views()) <= 12


def test_it_begins_at_the_end(transcript):
    transcript.set_messages(talk(50))
    bar = transcript.verticalScrollBar()
    assert bar.value() == bar.maximum()
    last = transcript.views()[-1]
    assert last.y() + last.height() <= transcript.viewport().height()


def test_messages_neither_overlap_nor_leave_holes(transcript):
    transcript.set_messages(talk(60))
    bar = transcript.verticalScrollBar()
    for value in range(0, bar.maximum(), 217):
        bar.setValue(value)
        views = transcript.views()
        gaps = [after.y() - before.y() - before.height() for before, after in pairwise(views)]
        assert all(0 < gap <= theme.px(22) for gap in gaps), gaps


def test_scrolling_up_step_by_step_never_jumps(transcript):
    transcript.set_messages(talk(120))
    for _ in range(150):
        before = {view.message.id: view.y() for view in transcript.views()}
        wheel(transcript, 1)
        moved = {view.y() - before[view.message.id] for view in transcript.views() if view.message.id in before}
        assert len(moved) <= 2  # rounding
        assert all(0 <= one <= theme.px(24) * 3 + 2 for one in moved), moved


def test_a_streaming_answer_keeps_the_end_in_sight(transcript, qtbot):
    transcript.set_messages((*talk(20), message(99, "", state=State.STREAMING)))
    for _ in range(40):
        transcript.add_words(99, "Some more words and then a line.\n\n")
    qtbot.waitUntil(lambda: transcript.views()[-1].text.toPlainText().count("more") == 40)
    bar = transcript.verticalScrollBar()
    assert bar.value() == bar.maximum()
    assert not transcript.jump.isVisible()


def test_who_has_scrolled_up_is_left_alone_and_can_jump_back(transcript, qtbot):
    transcript.set_messages((*talk(20), message(99, "", state=State.STREAMING)))
    wheel(transcript, 3)
    place = top_of(transcript, 19)
    for _ in range(40):
        transcript.add_words(99, "Some more words and then a line.\n\n")
    qtbot.wait(120)
    assert top_of(transcript, 19) == place
    assert transcript.jump.isVisible()
    qtbot.mouseClick(transcript.jump, Qt.MouseButton.LeftButton)
    bar = transcript.verticalScrollBar()
    assert bar.value() == bar.maximum()
    assert not transcript.jump.isVisible()


def test_home_and_end_lead_to_both_ends(transcript, qtbot):
    transcript.set_messages(talk(50))
    qtbot.keyClick(transcript, Qt.Key.Key_Home)
    assert transcript.verticalScrollBar().value() == 0
    qtbot.keyClick(transcript, Qt.Key.Key_End)
    assert transcript.verticalScrollBar().value() == transcript.verticalScrollBar().maximum()


def test_page_keys_scroll_also_from_within_a_message(transcript, qtbot):
    transcript.set_messages(talk(50))
    text = transcript.views()[-1].text
    text.setFocus()
    qtbot.keyClick(text, Qt.Key.Key_PageUp)
    assert transcript.verticalScrollBar().value() < transcript.verticalScrollBar().maximum()


def test_tab_goes_through_the_messages_from_top_to_bottom(transcript):
    transcript.set_messages(talk(50))
    transcript.verticalScrollBar().setValue(transcript.verticalScrollBar().maximum() // 2)
    wheel(transcript, 6)  # makes messages above after those below
    followers, one = [], transcript.nextInFocusChain()
    while one is not transcript:
        followers.append(one)
        one = one.nextInFocusChain()
    texts_in_order = [view.text for view in transcript.views()]
    assert [one for one in followers if one in texts_in_order] == texts_in_order


def test_words_for_a_message_that_is_not_near_are_kept(transcript):
    transcript.set_messages((*talk(100), message(500, "Begin. ", state=State.STREAMING)))
    transcript.verticalScrollBar().setValue(0)
    assert 500 not in [view.message.id for view in transcript.views()]
    transcript.add_words(500, "And more.")
    transcript.add_words(12345, "for a message of another chat")
    transcript.jump_to_latest()
    assert transcript.views()[-1].text.toPlainText() == "Begin. And more."


def test_the_footer_follows_the_state(transcript):
    transcript.set_messages((message(1, "", state=State.STREAMING),))
    transcript.show_reading(3, 10)
    assert transcript.views()[0]._words.text() == "Reading the question… 3 of 10 tokens"
    transcript.change_message(message(1, "Done.", state=State.INTERRUPTED))
    assert transcript.views()[0]._words.text().endswith("interrupted: Carryon was closed while this was written")
    transcript.change_message(message(2, "of another chat"))


def test_a_changed_text_is_drawn_anew(transcript):
    transcript.set_messages((message(1, "One two"),))
    transcript.change_message(message(1, "Something else"))
    assert transcript.views()[0].text.toPlainText() == "Something else"


def test_a_very_long_message_comes_in_pages(transcript, qtbot, monkeypatch):
    assert message_view.PAGE == 200_000
    monkeypatch.setattr(message_view, "PAGE", 20_000)
    paragraph = "A paragraph of a very long message, with some words in it.\n\n"
    transcript.set_messages((message(1, paragraph * 500),))
    view = transcript.views()[0]
    qtbot.waitUntil(lambda: not view.is_behind, timeout=30_000)
    shown = len(view.text.toPlainText())
    assert shown < 20_000
    assert "thousand characters left" in view._more.text()
    qtbot.mouseClick(view._more, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not view.is_behind, timeout=30_000)
    assert len(view.text.toPlainText()) > shown
    assert view._more.isHidden()


def test_a_new_theme_is_worn_at_once(transcript, qapp):
    transcript.set_messages(talk(20))
    theme.apply(qapp, Theme.DARK, 100)
    html = transcript.views()[-1].text.document().toHtml().lower()
    assert theme.current().text.lower() in html
    assert theme.palette_of("light").text.lower() not in html


def test_a_narrow_window_breaks_the_lines_and_keeps_the_end(transcript):
    transcript.set_messages(talk(30))
    transcript.resize(360, 600)
    bar = transcript.verticalScrollBar()
    assert bar.value() == bar.maximum()
    last = transcript.views()[-1]
    assert last.width() <= 360
    assert last.text.document().size().width() <= last.width()


def test_lines_hold_about_72_characters(transcript):
    transcript.resize(1400, 600)
    transcript.set_messages((message(1, "The quick brown fox jumps over the lazy dog, and nobody minds it. " * 20),))
    layout = transcript.views()[0].text.document().firstBlock().layout()
    lengths = [layout.lineAt(number).textLength() for number in range(layout.lineCount() - 1)]
    assert 66 <= sum(lengths) / len(lengths) <= 78


def test_what_somebody_selects_stays_while_they_scroll(transcript):
    transcript.set_messages(talk(100))
    transcript.views()[-1].text.selectAll()
    transcript.verticalScrollBar().setValue(0)
    assert transcript.views()[-1].text.textCursor().selectedText().startswith("Message 99")


def test_adding_messages_keeps_the_widgets_of_the_others(transcript):
    messages = talk(6)
    transcript.set_messages(messages)
    before = transcript.views()
    transcript.set_messages((*messages, message(50)))
    assert transcript.views()[: len(before)] == before
    assert transcript.views()[-1]._copy.accessibleName() == texts.COPY
