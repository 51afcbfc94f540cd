"""One turn: the question is safe before it is sent, the answer while it comes."""

import os
import signal
import subprocess
import sys
import time

import pytest
from fakes import fake_engine

from carryon.base.errors import ContextFull, EngineCrashed
from carryon.base.jobs import drained
from carryon.chat.message import Message, Role, State
from carryon.chat.store import Store
from carryon.chat.turn import Asked, Said, ask, regenerate, wire_turns
from carryon.engine.client import Sampling, Turn
from carryon.engine.process import start
from carryon.engine.protocol import LoadRequest

GREEDY = Sampling(temperature=0)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "chats.sqlite")
    yield store
    store.close()


@pytest.fixture
def engine(request, tmp_path):
    options = getattr(request, "param", {})
    engine = drained(start(LoadRequest("x", n_ctx=1024), tmp_path, fake_engine.command(**options)))
    yield engine
    engine.end()


def asking(store, engine, text="one two three"):
    return ask(store, engine.client, store.begin(text).id, text, "fake", GREEDY)


def test_a_turn_is_stored_and_told(store, engine):
    news = []
    answer = drained(asking(store, engine), news.append)
    told = "".join(one.text for one in news if isinstance(one, Said))
    assert told == answer.text == "one two three"
    assert (answer.state, answer.model_name, answer.figures.predicted_n) == (State.WHOLE, "fake", 3)
    assert store.messages(answer.conversation_id)[-1] == answer


def test_the_question_is_in_the_store_before_the_first_word(store, engine):
    work = asking(store, engine)
    asked = next(work)
    assert isinstance(asked, Asked)
    assert store.message(asked.question.id).text == "one two three"
    assert store.message(asked.answer.id).state is State.STREAMING
    work.close()


@pytest.mark.parametrize("engine", [{"delay_ms": 20, "text": "word " * 200}], indirect=True)
def test_a_stopped_answer_keeps_what_was_said(store, engine):
    work = asking(store, engine)
    said = ""
    for news in work:
        if isinstance(news, Said):
            said += news.text
        if said.count("word") >= 3:
            break
    work.close()
    answer = store.messages(1)[-1]
    assert answer.state is State.STOPPED
    assert answer.text.startswith(said)


@pytest.mark.parametrize("engine", [{"delay_ms": 20, "text": "word " * 500}], indirect=True)
def test_unloading_the_model_stops_its_answer(store, engine):
    work = asking(store, engine)
    while not isinstance(next(work), Said):
        pass
    engine.end()
    with pytest.raises(EngineCrashed):
        drained(work)
    answer = store.messages(1)[-1]
    assert answer.state is State.STOPPED
    assert answer.text.startswith("word")


@pytest.mark.parametrize("engine", [{"crash_after": 2, "text": "one two three"}], indirect=True)
def test_a_crash_keeps_what_was_said(store, engine):
    with pytest.raises(EngineCrashed):
        drained(asking(store, engine))
    answer = store.messages(1)[-1]
    assert (answer.state, answer.text) == (State.FAILED, "one two")


def test_a_question_too_long_is_kept(store, engine):
    with pytest.raises(ContextFull):
        drained(asking(store, engine, " word" * 2000))
    question, answer = store.messages(1)
    assert question.text == " word" * 2000
    assert (answer.state, answer.text) == (State.FAILED, "")


@pytest.mark.parametrize("engine", [{"delay_ms": 100, "text": "a b c d e f g h i j k l m n"}], indirect=True)
def test_the_store_is_never_more_than_a_second_behind(store, engine):
    said, behind = "", []
    for news in asking(store, engine):
        if isinstance(news, Said):
            said += news.text
            behind.append(len(said.split()) - len(store.messages(1)[-1].text.split()))
    assert max(behind) <= 10


def test_regenerating_replaces_the_answer_and_what_followed(store, engine):
    answer = drained(asking(store, engine, "first"))
    chat = answer.conversation_id
    drained(ask(store, engine.client, chat, "second", "fake", GREEDY))
    again = drained(regenerate(store, engine.client, store.messages(chat)[0], "fake", GREEDY))
    assert [one.text for one in store.messages(chat)] == ["first", "first"]
    assert again.id != answer.id


def message(role, text, state=State.WHOLE):
    return Message(0, 0, role, text, state, 0.0)


def test_the_engine_hears_roles_that_alternate():
    messages = (
        message(Role.SYSTEM, "Be brief."),
        message(Role.USER, "lost question"),
        message(Role.ASSISTANT, "half", State.FAILED),
        message(Role.USER, "new question"),
        message(Role.ASSISTANT, "", State.STOPPED),
        message(Role.USER, "and one more"),
    )
    assert wire_turns(messages) == (
        Turn("system", "Be brief."),
        Turn("user", "lost question\n\nnew question\n\nand one more"),
    )


def test_a_stopped_answer_is_part_of_the_talk():
    messages = (message(Role.USER, "q"), message(Role.ASSISTANT, "half", State.STOPPED), message(Role.USER, "go on"))
    assert [one.content for one in wire_turns(messages)] == ["q", "half", "go on"]


_TALKER = """
import sys
from pathlib import Path
from carryon.chat.store import Store
from carryon.chat.turn import Said, ask
from carryon.base.jobs import drained
from carryon.engine.client import Sampling
from carryon.engine.process import start
from carryon.engine.protocol import LoadRequest
home = Path(sys.argv[1])
engine = drained(start(LoadRequest("x"), home, sys.argv[2:]))
store = Store(home / "chats.sqlite")
for news in ask(store, engine.client, store.begin("q").id, "my question", "fake", Sampling()):
    if isinstance(news, Said):
        print(news.text, end="", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_kill_9_in_the_middle_of_an_answer_loses_at_most_the_last_second(tmp_path):
    text = " ".join(str(number) for number in range(1000))
    words = [sys.executable, "-c", _TALKER, str(tmp_path), *fake_engine.command(delay_ms=10, text=text)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE)
    seen_at = []
    until = time.monotonic() + 3
    while time.monotonic() < until:
        seen_at.append((time.monotonic(), os.read(child.stdout.fileno(), 65536)))
    child.send_signal(signal.SIGKILL)
    killed_s = time.monotonic()
    child.wait()
    child.stdout.close()
    shown_before_the_last_second = b"".join(data for seen_s, data in seen_at if seen_s < killed_s - 1).decode()
    store = Store(tmp_path / "chats.sqlite")
    question, answer = store.messages(1)
    store.close()
    assert question.text == "my question"
    assert answer.state is State.INTERRUPTED
    assert len(shown_before_the_last_second) > 100
    assert answer.text.startswith(shown_before_the_last_second)
