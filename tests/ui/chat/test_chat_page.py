"""The chat page as a person meets it: real widgets, real HTTP, a fake engine."""

import os
import re
import signal
from pathlib import Path

import pytest
from fakes import machines
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QAbstractButton, QApplication, QLineEdit, QPushButton

from carryon.app.host import FailedModel, LoadedModel, LoadingModel, LoadWish, NoModel
from carryon.app.models import guide
from carryon.base.settings import Theme
from carryon.chat.message import State
from carryon.ui import theme
from carryon.ui.chat import page, texts


def buttons_of(card):
    """The card's buttons by their words, once they are shown."""
    QApplication.processEvents()
    return {one.text().strip(): one for one in card.findChildren(QPushButton) if not one.isHidden()}


def test_a_question_streams_its_answer_and_tells_the_figures(chat):
    here = chat(delay_ms=20)
    assert here.load()
    here.send("say: **one** two" + " three" * 98)
    here.until(lambda: "one two" in here.seen)
    assert here.composer.send.accessibleName() == texts.STOP
    here.until(lambda: not here.presenter.is_answering)
    assert here.seen == "one two" + " three" * 98
    words = here.last._words.text()
    assert "100 tokens" in words
    assert "first token" in words
    assert words.endswith("finished")
    assert here.composer.send.accessibleName() == texts.SEND


def test_stop_is_seen_at_once(chat, qtbot):
    here = chat(delay_ms=10)
    here.load()
    here.send("say: " + "word " * 500)
    here.until(lambda: here.seen.startswith("word"))
    qtbot.mouseClick(here.composer.send, Qt.MouseButton.LeftButton)
    assert here.last._words.text() == "stopped"
    assert here.composer.send.accessibleName() == texts.SEND
    here.until(lambda: here.services.store.messages(here.presenter.conversation_id)[-1].state is State.STOPPED)


def test_escape_stops_too(chat, qtbot):
    here = chat(delay_ms=10)
    here.load()
    here.send("say: " + "word " * 500)
    here.until(lambda: here.presenter.is_answering)
    qtbot.keyClick(here.composer.field, Qt.Key.Key_Escape)
    assert not here.presenter.is_answering


def test_only_the_last_answer_can_be_had_again_and_only_the_last_question_changed(chat, qtbot):
    here = chat()
    here.load()
    here.ask("say: one")
    here.ask("say: two")
    views = here.transcript.views()
    assert [not view._again.isHidden() for view in views] == [False, False, False, True]
    assert [not view._edit.isHidden() for view in views] == [False, False, True, False]
    qtbot.mouseClick(views[3]._again, Qt.MouseButton.LeftButton)
    here.until(lambda: len(here.presenter.messages) == 4 and not here.presenter.is_answering)
    qtbot.mouseClick(here.transcript.views()[2]._edit, Qt.MouseButton.LeftButton)
    assert here.composer.text == "say: two"
    here.ask("say: three")
    assert here.questions() == ["say: one", "say: three"]


def test_an_answer_goes_on_while_another_chat_is_shown(chat):
    here = chat(delay_ms=10)
    here.load()
    here.send("say: " + "word " * 80 + "end")
    here.until(lambda: here.seen.startswith("word"))
    first = here.presenter.conversation_id
    here.page.new_chat()
    assert here.transcript.views() == []
    here.until(lambda: here.page.conversations.model.row_of(first).isValid())
    here.page.conversations.list.setCurrentIndex(here.page.conversations.model.row_of(first))
    assert here.presenter.conversation_id == first
    assert here.presenter.is_answering
    here.until(lambda: not here.presenter.is_answering)
    assert here.seen.endswith("word end")


def test_a_real_crash_in_mid_answer_keeps_the_words_and_loads_again(chat, qtbot):
    here = chat(delay_ms=10)
    here.load()
    here.send("say: " + "word " * 500)
    here.until(lambda: here.seen.startswith("word"))
    os.kill(here.services.host.state.engine.pid, signal.SIGSEGV)
    here.until(lambda: isinstance(here.services.host.state, FailedModel))
    here.until(lambda: not here.presenter.is_answering)
    assert here.seen.startswith("word")
    assert here.last._words.text().endswith("failed")
    assert not here.page.card.isHidden()
    assert "crashed" in here.page.card.accessibleName()
    qtbot.mouseClick(buttons_of(here.page.card)[texts.LOAD_AGAIN], Qt.MouseButton.LeftButton)
    here.until(lambda: isinstance(here.services.host.state, LoadedModel))
    assert here.page.card.isHidden()


def test_a_full_context_tells_the_numbers_and_the_next_steps(chat, qtbot):
    here = chat()
    here.load(n_ctx=256)
    here.send("word " * 300)
    here.until(lambda: not here.page.card.isHidden())
    assert "301 tokens" in here.page.card.accessibleName()
    buttons = buttons_of(here.page.card)
    assert list(buttons)[:3] == [texts.NEW_CHAT, texts.LOAD_LONGER, texts.EDIT_QUESTION]
    with qtbot.waitSignal(here.page.load_dialog_wanted):
        qtbot.mouseClick(buttons[texts.LOAD_LONGER], Qt.MouseButton.LeftButton)
    qtbot.mouseClick(buttons_of(here.page.card)[texts.EDIT_QUESTION], Qt.MouseButton.LeftButton)
    assert here.composer.text == "word " * 300


def test_a_card_can_be_closed(chat, qtbot):
    here = chat(refuse="out_of_memory")
    here.load()
    qtbot.mouseClick(buttons_of(here.page.card)[texts.CLOSE], Qt.MouseButton.LeftButton)
    assert here.page.card.isHidden()


def test_without_a_model_the_guide_is_one_click_away_and_nothing_is_lost(chat, qtbot, monkeypatch):
    here = chat()
    monkeypatch.setattr(here.services.host, "wish_for", lambda file: LoadWish(file, 2048, 0))
    here.type("say: hello")
    qtbot.keyClick(here.composer.field, Qt.Key.Key_Return)
    assert here.composer.text == "say: hello"
    assert here.composer._hint.text() == texts.NEEDS_MODEL
    qtbot.mouseClick(here.composer.guide, Qt.MouseButton.LeftButton)
    here.until(lambda: here.presenter.messages and not here.presenter.is_answering)
    assert here.seen == "hello"


def test_a_question_typed_while_the_model_loads_is_sent_when_it_is_ready(chat, qtbot):
    here = chat(load_ms=300)
    here.services.host.load(LoadWish(guide(), 4096, 0))
    here.type("say: hello")
    qtbot.keyClick(here.composer.field, Qt.Key.Key_Return)
    assert here.composer._hint.text() == texts.WAITS_FOR_MODEL
    here.until(lambda: here.presenter.messages and not here.presenter.is_answering)
    assert here.seen == "hello"


def test_the_empty_page_offers_what_can_be_done(chat, qtbot):
    here = chat()
    greeting = here.page.greeting
    assert [one.isHidden() for one in (greeting.guide, greeting.choose, greeting._questions)] == [False, False, True]
    with qtbot.waitSignal(here.page.load_dialog_wanted):
        qtbot.mouseClick(greeting.choose, Qt.MouseButton.LeftButton)
    here.load(is_guide=True)
    assert [one.isHidden() for one in (greeting.guide, greeting.choose, greeting._questions)] == [True, True, False]
    qtbot.mouseClick(greeting.questions[1], Qt.MouseButton.LeftButton)
    here.until(lambda: here.questions() == [texts.SUGGESTIONS[1]])


def test_the_machine_stands_on_the_empty_page(chat, qtbot):
    here = chat()
    assert here.page.greeting.machine.isHidden()
    here.page.set_machine(machines.CPU_ONLY)
    assert "RAM" in here.page.greeting.machine.text()
    with qtbot.waitSignal(here.page.machine_wanted):
        qtbot.mouseClick(here.page.greeting.machine, Qt.MouseButton.LeftButton)


def test_the_top_bar_tells_the_model_and_what_is_where(chat, qtbot):
    here = chat(load_ms=400)
    top = here.page.top
    assert top.model.accessibleName() == "Model: No model loaded"
    here.services.host.load(LoadWish(guide(), 4096, 28))
    here.until(lambda: "Loading" in top.model.text() and "%" in top.model.text())
    assert not top.cancel.isHidden()
    here.until(lambda: isinstance(here.services.host.state, LoadedModel))
    assert top.model.accessibleName() == "Model: Carryon guide"
    assert top.where.text().startswith("28 of 33 layers on GPU · ")
    assert "FAKE0" in top.where.toolTip()
    here.services.host.unload()
    assert "No model loaded" in top.model.text()


def test_loading_can_be_cancelled(chat, qtbot):
    here = chat(hang_loading=1)
    here.services.host.load(LoadWish(guide(), 4096, 0))
    here.until(lambda: isinstance(here.services.host.state, LoadingModel) and here.services.host.state.fraction)
    qtbot.mouseClick(here.page.top.cancel, Qt.MouseButton.LeftButton)
    assert isinstance(here.services.host.state, NoModel)


def test_every_chat_keeps_its_draft(chat):
    here = chat()
    here.load()
    here.ask("say: one")
    first = here.presenter.conversation_id
    here.type("half a thought")
    here.page.new_chat()
    assert here.composer.text == ""
    here.presenter.open(first)
    assert here.composer.text == "half a thought"


def test_the_use_of_the_context_stands_under_the_composer(chat):
    here = chat()
    here.load(n_ctx=1024)
    here.ask("say: one two three")
    here.type("and four more words")
    here.until(lambda: here.composer.use.text() == "prompt ~4 tokens · context 1 % of 1k")


def test_the_end_of_an_answer_is_announced(chat, monkeypatch):
    here = chat()
    heard = []
    monkeypatch.setattr(QAccessible, "updateAccessibility", lambda event: heard.append(event))
    here.load()
    here.ask("say: one")
    assert [event.message() for event in heard if event.type() == QAccessible.Event.Announcement] == ["Answer finished"]


def test_a_link_opens_only_after_its_host_was_shown(chat, qtbot, monkeypatch):
    here = chat()
    here.load()
    here.ask("say: [docs](https://example.org/a)")
    here.last.link_wanted.emit("https://example.org/a")
    dialog = QApplication.activeModalWidget()
    assert dialog.host.text() == "example.org"
    qtbot.mouseClick(dialog.cancel, Qt.MouseButton.LeftButton)


def test_copying_an_answer_gives_its_markdown(chat, qtbot):
    here = chat()
    here.load()
    here.ask("say: **one** `two`")
    qtbot.mouseClick(here.last._copy, Qt.MouseButton.LeftButton)
    assert QApplication.clipboard().text() == "**one** `two`"


def test_copying_code_gives_the_code(chat, qtbot):
    here = chat()
    here.load()
    here.ask("say: ```py\nx  =  1\n```")
    (button,) = here.last.text._copies.values()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert QApplication.clipboard().text() == "x  =  1"


def test_the_text_of_a_message_can_be_reached_selected_and_copied_by_keyboard(chat, qtbot):
    here = chat()
    here.load()
    here.ask("say: one two")
    here.last.text.setFocus(Qt.FocusReason.TabFocusReason)
    assert here.last.text.has_ring
    qtbot.keyClick(here.last.text, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(here.last.text, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == "one two"
    assert here.last.text.accessibleName() == "Answer of Fake"


def test_every_control_has_a_name_for_a_screen_reader(chat):
    here = chat(crash_after=2)
    here.load()
    here.send("say: ```py\none two three\n```")
    here.until(lambda: not here.page.card.isHidden())
    controls = [*here.page.findChildren(QAbstractButton), *here.page.findChildren(QLineEdit)]
    nameless = [one for one in controls if not one.isHidden() and not (one.accessibleName() or one.text())]
    assert [one for one in nameless if one.parent() is not here.page.conversations.search] == []
    assert here.composer.field.accessibleName()
    assert here.transcript.accessibleName()
    assert here.page.conversations.list.accessibleName()


@pytest.mark.parametrize("percent", [100, 200])
def test_no_button_is_cut_at_any_text_size(chat, qapp, percent):
    here = chat()
    theme.apply(qapp, Theme.LIGHT, percent)
    here.type("say: hello")
    here.presenter.send("say: hello")  # no model: the hint and its buttons are shown
    here.page.resize(here.page.minimumSizeHint().expandedTo(here.page.size()))
    here.until(lambda: here.composer.guide.isVisible() and here.composer.guide.width() > 1)
    shown = [one for one in here.page.findChildren(QPushButton) if one.isVisible()]
    cut = [one.text() for one in shown if one.width() < one.minimumSizeHint().width()]
    assert cut == []


def test_every_icon_exists():
    folder = Path(page.__file__).parent
    named = {name for file in folder.glob("*.py") for name in re.findall(r'"(ph\.[a-z-]+)"', file.read_text("utf-8"))}
    assert named
    assert all(not theme.icon(name).isNull() for name in named)


def test_a_line_under_the_top_bar_says_that_something_is_hidden_above(chat):
    here = chat()
    here.presenter.open(here.long_conversation(20))
    assert here.page._line.property("hidden") is False
    here.transcript.verticalScrollBar().setValue(0)
    assert here.page._line.property("hidden") is True
    here.transcript.jump_to_latest()
    here.page.new_chat()
    assert here.page._line.property("hidden") is True


def test_ctrl_b_hides_the_list_and_brings_it_back(chat):
    here = chat()
    here.page.toggle_side()
    assert here.page.conversations.isHidden()
    here.page.focus_search()
    assert not here.page.conversations.isHidden()
    assert here.page.conversations.search.hasFocus() or not here.page.isActiveWindow()


@pytest.mark.slow
def test_the_real_guide_answers_a_suggested_question(chat, qtbot, real_services):
    here = chat(real_services)
    qtbot.mouseClick(here.page.greeting.guide, Qt.MouseButton.LeftButton)
    here.until(lambda: isinstance(real_services.host.state, LoadedModel))
    qtbot.mouseClick(here.page.greeting.questions[1], Qt.MouseButton.LeftButton)
    here.until(lambda: here.presenter.messages and not here.presenter.is_answering)
    assert "KV cache" in here.seen
    assert "tokens/s" in here.last._words.text()
