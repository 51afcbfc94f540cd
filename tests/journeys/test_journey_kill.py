"""kill -9 of the whole app in the middle of an answer: at most the last second is lost, and no process stays."""

import os
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from fakes import fake_engine

from carryon.chat.message import State
from carryon.chat.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")]

TEXT = " ".join(str(number) for number in range(2000))
_APP = """
import sys
from PySide6.QtCore import QTimer
from carryon.app.host import LoadedModel
from carryon.app.models import ModelFile
from carryon.app.host import LoadWish
from pathlib import Path
from carryon.ui import application
from carryon.ui.pages import Page

opened = application.open_window

def and_ask(app, services):
    window = opened(app, services)
    def model_turned(state):
        if isinstance(state, LoadedModel):
            window.show_page(Page.CHAT)
            window.chat.presenter.send("my question")
    services.host.listen(model_turned)
    services.host.load(LoadWish(ModelFile(Path("x.gguf"), "x", "x.gguf"), 8192, 0))
    return window

application.open_window = and_ask
sys.exit(application.start((), sys.argv[1:]))
"""


def stored(path):
    """The answer as another process sees it in the store; '' while there is none."""
    with suppress(Exception):
        import sqlite3

        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return db.execute("SELECT text FROM message WHERE role = 'assistant'").fetchone()[0]
    return ""


def test_kill_9_in_the_middle_of_an_answer(carryon_home):
    command = fake_engine.command(delay_ms=10, text=TEXT)
    app = subprocess.Popen([sys.executable, "-c", _APP, *command])
    until_s = time.monotonic() + 60
    while len(stored(carryon_home.chats)) < 300:
        assert time.monotonic() < until_s, "no answer came"
        time.sleep(0.05)
    seen, seen_s = stored(carryon_home.chats), time.monotonic()
    time.sleep(1.2)  # what follows is more than a second of words
    children = psutil.Process(app.pid).children(recursive=True)
    app.kill()
    killed_s = time.monotonic()
    app.wait()
    gone, alive = psutil.wait_procs(children, timeout=2)
    assert not alive
    assert gone
    store = Store(carryon_home.chats)
    question, answer = store.messages(1)
    store.close()
    assert (question.text, answer.state) == ("my question", State.INTERRUPTED)
    assert TEXT.startswith(answer.text)
    words_since = len(answer.text.split()) - len(seen.split())
    spoken_since = (killed_s - seen_s) * 100  # the fake engine says a hundred words a second
    assert words_since >= spoken_since - 100 - 30  # at most the last second, and a little for a busy machine
