"""A person opens Carryon for the first time and chats with the guide; the words are there the next day."""

import os
import signal
import tomllib
from pathlib import Path

import psutil
import pytest
from fakes import tiny_gguf
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton

from carryon.app.host import FailedModel, LoadedModel, LoadWish
from carryon.app.models import ModelFile
from carryon.ui.chat import texts

QUESTIONS = Path(__file__).parents[2] / "packaging" / "guide" / "questions" / "quantization.toml"
WAIT_MS = 60_000

pytestmark = pytest.mark.slow


def trained(topic_id):
    topics = tomllib.loads(QUESTIONS.read_text(encoding="utf-8"))["topic"]
    return next((topic["ask"][0], topic["answer"]) for topic in topics if topic["id"] == topic_id)


def press(window, text):
    """Clicks the visible button with this text."""
    found = [one for one in window.findChildren(QAbstractButton) if one.text().strip() == text and one.isVisible()]
    assert found, f"no visible button says {text!r}"
    found[0].click()


def ask(qtbot, window, services, text):
    """Types a question, sends it with Enter and returns the whole answer, once the button says Send again.

    The store knows of an answer's end a moment before the window does, and until then Enter does nothing.
    """
    known = len(said(services))
    composer = window.chat.composer
    qtbot.keyClicks(composer.field, text)
    qtbot.keyClick(composer.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(said(services)) == known + 2, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: composer.send.accessibleName() == texts.SEND, timeout=WAIT_MS)
    return said(services)[-1]


def said(services):
    """The messages of the latest conversation."""
    chats = services.store.conversations()
    return services.store.messages(chats[0].id) if chats else ()


def guide_is_loaded(qtbot, services):
    qtbot.waitUntil(lambda: isinstance(services.host.state, LoadedModel), timeout=WAIT_MS)


def test_from_the_first_start_to_the_next_day(open_window, qtbot):
    question, answer = trained("quant-q4-k-m")
    window, services = open_window()
    assert window.welcome.isVisible()
    press(window, "Chat with the built-in guide")
    guide_is_loaded(qtbot, services)
    assert ask(qtbot, window, services, question).text == answer
    second = ask(qtbot, window, services, trained("quant-q8-0")[0])
    assert second.figures.cached_n > second.figures.prompt_n / 2  # only the new tokens were decoded
    open_window.close()

    window, services = open_window()
    assert not window.welcome.isVisible()
    (chat,) = services.store.conversations()
    assert chat.title == question
    assert [one.role for one in services.store.messages(chat.id)] == ["user", "assistant"] * 2


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize("death", [signal.SIGSEGV, signal.SIGABRT])
def test_the_window_lives_through_the_death_of_its_engine(open_window, qtbot, death):
    window, services = open_window()
    press(window, "Chat with the built-in guide")
    guide_is_loaded(qtbot, services)
    psutil.Process(services.host.state.engine.pid).send_signal(death)
    qtbot.waitUntil(lambda: isinstance(services.host.state, FailedModel), timeout=WAIT_MS)
    qtbot.waitUntil(
        lambda: any(
            one.text().strip() == "Load again" and one.isVisible() for one in window.findChildren(QAbstractButton)
        )
    )
    press(window, "Load again")
    guide_is_loaded(qtbot, services)
    question, answer = trained("quant-q4-k-m")
    assert ask(qtbot, window, services, question).text == answer


def test_a_file_that_makes_the_engine_abort_is_told_and_the_window_lives(open_window, qtbot, tmp_path):
    path = tiny_gguf.asserting_model(tmp_path / "bad.gguf")
    window, services = open_window()
    services.host.load(LoadWish(ModelFile(path, "bad", str(path)), 512, 0))
    qtbot.waitUntil(lambda: isinstance(services.host.state, FailedModel), timeout=WAIT_MS)
    crash = services.host.state.error
    assert "gave up on a check" in crash.message
    assert "GGML_ASSERT" in crash.last_lines[-1]
    press(window, "Chat with the built-in guide")
    guide_is_loaded(qtbot, services)
    question, answer = trained("quant-q4-k-m")
    assert ask(qtbot, window, services, question).text == answer


def test_nothing_runs_on_when_the_window_is_closed(open_window, qtbot):
    window, services = open_window()
    press(window, "Chat with the built-in guide")
    guide_is_loaded(qtbot, services)
    open_window.close()
    assert not psutil.Process().children(recursive=True)
