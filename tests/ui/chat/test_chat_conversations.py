"""The list of chats: groups, search, rename in place, delete with a way back."""

import time
from datetime import datetime

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit

from carryon.chat.message import Conversation
from carryon.ui.chat import texts
from carryon.ui.chat.conversations import Conversations
from carryon.ui.chat.view import ChatList

NOW_S = datetime.now().replace(hour=12).timestamp()
CHATS = tuple(
    Conversation(number, title, 0, NOW_S - days * 86_400)
    for number, title, days in ((1, "Which quant?", 0), (2, "Trip to Lisbon", 0), (3, "KV cache", 1), (4, "Letter", 40))
)


@pytest.fixture
def side(qtbot):
    made = Conversations()
    qtbot.addWidget(made)
    made.resize(260, 600)
    made.show()
    return made


def rows(side):
    model = side.model
    return [model.data(model.index(row)) for row in range(model.rowCount())]


def test_chats_stand_under_their_days(side):
    side.show_list(ChatList(CHATS))
    assert rows(side)[:5] == ["Today", "Which quant?", "Trip to Lisbon", "Yesterday", "KV cache"]
    assert rows(side)[-1] == "Letter"


def test_headings_cannot_be_chosen(side, qtbot):
    side.show_list(ChatList(CHATS, current_id=2))
    side.list.setFocus()
    with qtbot.waitSignal(side.list.chosen) as chosen:
        qtbot.keyClick(side.list, Qt.Key.Key_Down)
    assert chosen.args == [3]


def test_showing_the_current_chat_does_not_open_it_again(side, qtbot):
    with qtbot.assertNotEmitted(side.list.chosen):
        side.show_list(ChatList(CHATS, current_id=1))
        side.show_list(ChatList(CHATS, current_id=None))
    assert not side.list.currentIndex().isValid()


def test_a_click_opens_a_chat(side, qtbot):
    side.show_list(ChatList(CHATS))
    where = side.list.visualRect(side.model.row_of(3)).center()
    with qtbot.waitSignal(side.list.chosen) as chosen:
        qtbot.mouseClick(side.list.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert chosen.args == [3]


def test_delete_works_in_the_focused_list_only(side, qtbot):
    side.show_list(ChatList(CHATS, current_id=2))
    with qtbot.assertNotEmitted(side.list.delete_wanted):
        qtbot.keyClick(side.search, Qt.Key.Key_Delete)
        qtbot.keyClick(side.list, Qt.Key.Key_Backspace)
    with qtbot.waitSignal(side.list.delete_wanted) as wanted:
        qtbot.keyClick(side.list, Qt.Key.Key_Delete)
    assert wanted.args == [2]


def test_a_chat_is_renamed_in_place(side, qtbot):
    side.show_list(ChatList(CHATS, current_id=2))
    side.list.rename_current()
    field = side.list.viewport().findChild(QLineEdit)
    assert field.text() == "Trip to Lisbon"
    field.setText("Trip to Porto")
    with qtbot.waitSignal(side.model.renamed) as renamed:
        qtbot.keyClick(field, Qt.Key.Key_Return)
    assert renamed.args == [2, "Trip to Porto"]


@pytest.mark.parametrize("title", ["  ", "Trip to Lisbon"])
def test_an_empty_or_unchanged_name_changes_nothing(side, qtbot, title):
    side.show_list(ChatList(CHATS, current_id=2))
    with qtbot.assertNotEmitted(side.model.renamed):
        assert not side.model.setData(side.model.row_of(2), title)


def test_the_list_is_not_pulled_away_from_under_a_name_that_is_typed(side, qtbot):
    side.show_list(ChatList(CHATS, current_id=2))
    side.list.rename_current()
    side.show_list(ChatList(CHATS[1:], current_id=2))
    assert side.list.viewport().findChild(QLineEdit) is not None
    qtbot.keyClick(side.list.viewport().findChild(QLineEdit), Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: "Which quant?" not in rows(side))


def test_a_chat_that_is_being_answered_says_so(side):
    side.show_list(ChatList(CHATS, answering=frozenset({1})))
    index = side.model.row_of(1)
    assert side.model.data(index, Qt.ItemDataRole.AccessibleTextRole) == "Which quant?, an answer is being written"
    assert not side.model.data(index, Qt.ItemDataRole.DecorationRole).isNull()
    assert side.model.data(side.model.row_of(2), Qt.ItemDataRole.DecorationRole) is None


def test_typing_searches_after_a_moment(side, qtbot):
    with qtbot.waitSignal(side.search_wanted) as wanted:
        qtbot.keyClicks(side.search, "lisbon")
    assert wanted.args == ["lisbon"]


def test_why_there_are_no_chats(side):
    side.show_list(ChatList())
    assert (side.empty_title.text(), side.list.isVisible()) == (texts.NO_CHATS_TITLE, False)
    side.show_list(ChatList(search="xyz"))
    assert side.empty_text.text() == "No chat has “xyz” in its title or its text."
    side.show_list(ChatList(CHATS))
    assert side.list.isVisible()


def test_ten_thousand_chats_are_shown_at_once(side):
    chats = tuple(Conversation(n, f"Chat {n}", 0, NOW_S - n * 3600) for n in range(10_000))
    began_s = time.process_time()
    side.show_list(ChatList(chats, current_id=5000))
    assert time.process_time() - began_s < 1.0


def test_the_arrow_leads_from_the_search_into_the_list(side, qtbot):
    side.show_list(ChatList(CHATS))
    side.focus_search()
    qtbot.keyClick(side.search, Qt.Key.Key_Down)
    assert side.focusWidget() is side.list
