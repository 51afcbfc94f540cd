"""Nothing that was acknowledged is ever lost."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carryon.base.errors import AppError, BadFile
from carryon.chat.keeping import BACKUPS_KEPT
from carryon.chat.message import Figures, Role, State
from carryon.chat.store import SCHEMA_VERSION, Store, TooNew, short_title


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chats.sqlite"


@pytest.fixture
def store(path):
    store = Store(path)
    yield store
    store.close()


def said(store, conversation_id):
    return [(one.role, one.text) for one in store.messages(conversation_id)]


def test_a_conversation_keeps_its_messages_in_order(store):
    chat = store.begin("What is VRAM?")
    store.add(chat.id, Role.USER, "What is VRAM?")
    store.add(chat.id, Role.ASSISTANT, "Memory on the card.")
    assert said(store, chat.id) == [("user", "What is VRAM?"), ("assistant", "Memory on the card.")]


def test_it_is_all_there_after_a_restart(path):
    first = Store(path)
    chat = first.begin("Title")
    answer = first.add(chat.id, Role.ASSISTANT, "", State.STREAMING, "guide")
    figures = Figures(12, 3.5, 40, 500.0, 7, 21.0)
    first.update(answer.id, "Done.", State.WHOLE, figures)
    first.close()
    again = Store(path)
    (message,) = again.messages(chat.id)
    again.close()
    assert (message.text, message.state, message.model_name, message.figures) == (
        "Done.",
        State.WHOLE,
        "guide",
        figures,
    )


def test_what_was_being_written_is_kept_and_says_so(path):
    first = Store(path)
    chat = first.begin("Title")
    answer = first.add(chat.id, Role.ASSISTANT, "", State.STREAMING)
    first.update(answer.id, "Half an ans", State.STREAMING)
    first.close()
    again = Store(path)
    (message,) = again.messages(chat.id)
    again.close()
    assert (message.text, message.state) == ("Half an ans", State.INTERRUPTED)


def test_the_latest_talk_stands_first(store):
    old, new = store.begin("old"), store.begin("new")
    store.add(old.id, Role.USER, "news")
    assert [one.title for one in store.conversations()] == ["old", "new"]
    assert new.updated_s <= store.conversation(old.id).updated_s


@pytest.mark.parametrize(("search", "found"), [("vram", ["Cards"]), ("50%", ["Half"]), ("_", []), ("cards", ["Cards"])])
def test_a_search_looks_into_titles_and_texts(store, search, found):
    for title, text in (("Cards", "How much VRAM?"), ("Half", "50% of it"), ("Other", "nothing")):
        store.add(store.begin(title).id, Role.USER, text)
    assert [one.title for one in store.conversations(search)] == found


def test_a_regenerated_answer_is_hidden_and_not_deleted(store, path):
    chat = store.begin("t")
    store.add(chat.id, Role.USER, "q")
    answer = store.add(chat.id, Role.ASSISTANT, "first try")
    store.replace_from(answer.id)
    assert said(store, chat.id) == [("user", "q")]
    assert sqlite3.connect(path).execute("SELECT count(*) FROM message WHERE text = 'first try'").fetchone() == (1,)


def test_the_trash_gives_back(store):
    chat = store.begin("kept")
    store.move_to_trash(chat.id)
    assert store.conversations() == ()
    assert [one.title for one in store.trash()] == ["kept"]
    store.restore(chat.id)
    assert [one.title for one in store.conversations()] == ["kept"]


def test_a_message_to_a_chat_that_is_gone_is_refused(store):
    with pytest.raises(BadFile, match="does not exist"):
        store.add(12345, Role.USER, "hello?")


def test_one_damaged_field_hides_nothing(store, path):
    chat = store.begin("t")
    answer = store.add(chat.id, Role.ASSISTANT, "words")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE message SET figures = '{broken', state = 'odd', role = 'robot' WHERE id = ?", (answer.id,))
    (message,) = store.messages(chat.id)
    assert (message.text, message.figures, message.state) == ("words", None, State.WHOLE)


def test_a_newer_store_is_left_alone(path):
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(TooNew):
        Store(path)


def test_every_thread_may_write(store):
    chat = store.begin("t")
    threads = [
        threading.Thread(target=lambda: [store.add(chat.id, Role.USER, "x") for _ in range(20)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.messages(chat.id)) == 80


def test_a_closed_store_says_so(path):
    store = Store(path)
    store.close()
    with pytest.raises(AppError, match="closed"):
        store.begin("late")


def test_a_damaged_file_is_set_aside_and_the_backup_speaks(path):
    first = Store(path)
    chat = first.begin("precious")
    first.add(chat.id, Role.USER, "words")
    first.close()
    Store(path).close()  # the second start of the day finds a sound file and backs it up
    path.write_bytes(b"SQLite format 3\x00" + b"\xde\xad" * 3000)
    again = Store(path)
    try:
        assert again.was_restored
        assert said(again, chat.id) == [("user", "words")]
        assert list(path.parent.glob("*.damaged-*"))
    finally:
        again.close()


def test_a_file_of_nuls_without_a_backup_starts_afresh(path):
    path.write_bytes(bytes(65536))
    store = Store(path)
    try:
        assert store.was_restored
        assert store.conversations() == ()
    finally:
        store.close()


def test_only_the_latest_backups_are_kept(path):
    Store(path).close()
    folder = path.parent / "backups"
    folder.mkdir(exist_ok=True)
    for day in range(10, 25):
        (folder / f"chats-202001{day}.sqlite").write_bytes(b"")
    Store(path).close()
    assert len(list(folder.iterdir())) == BACKUPS_KEPT


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=300))
def test_any_text_comes_back_as_it_went_in(tmp_path_factory, text):
    text = text.encode("utf-8", "ignore").decode()
    store = Store(tmp_path_factory.mktemp("any") / "chats.sqlite")
    try:
        chat = store.begin(text)
        store.add(chat.id, Role.USER, text)
        assert said(store, chat.id) == [("user", text)]
    finally:
        store.close()


@pytest.mark.parametrize(("text", "title"), [("  a\nb ", "a b"), ("", ""), ("x" * 90, "x" * 59 + "…")])
def test_a_title_is_one_short_line(text, title):
    assert short_title(text) == title


_WRITER = """
import sys
from pathlib import Path
from carryon.chat.message import Role
from carryon.chat.store import Store
store = Store(Path(sys.argv[1]))
chat = store.begin("killed")
number = 0
while True:
    store.add(chat.id, Role.USER, f"message {number}")
    print(number, flush=True)
    number += 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
@pytest.mark.parametrize("pause_s", [0.1, 0.2, 0.35])
def test_kill_9_loses_no_acknowledged_message(path, pause_s):
    child = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    first = child.stdout.readline()
    time.sleep(pause_s)
    child.send_signal(signal.SIGKILL)
    acknowledged = [int(line) for line in (first + child.communicate()[0]).splitlines()]
    store = Store(path)
    try:
        (chat,) = store.conversations()
        numbers = [int(one.text.split()[1]) for one in store.messages(chat.id)]
        assert numbers[: len(acknowledged)] == acknowledged
        assert not store.was_restored
    finally:
        store.close()
