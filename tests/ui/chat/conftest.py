"""The chat page on a fake engine that speaks over real HTTP."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt

from carryon.app.host import LoadedModel, LoadingModel, LoadWish
from carryon.app.models import ModelFile, guide
from carryon.app.services import build
from carryon.chat.message import Role, State
from carryon.ui.bridge import MainThread
from carryon.ui.chat.page import ChatPage

WAIT_MS = 20_000


class Chat:
    """What a person does at the page, and what they see."""

    def __init__(self, services, qtbot):
        self.services, self.qtbot = services, qtbot
        self.page = ChatPage(services)
        qtbot.addWidget(self.page)
        self.page.resize(1000, 700)
        self.page.show()
        self.presenter = self.page.presenter
        self.transcript = self.page.transcript
        self.composer = self.page.composer

    def until(self, is_so):
        self.qtbot.waitUntil(lambda: bool(is_so()), timeout=WAIT_MS)

    def load(self, *, is_guide=False, n_ctx=4096, n_gpu_layers=0):
        file = guide() if is_guide else ModelFile(Path("/models/fake.gguf"), "Fake", "/models/fake.gguf")
        self.services.host.load(LoadWish(file, n_ctx, n_gpu_layers))
        self.until(lambda: not isinstance(self.services.host.state, LoadingModel))
        return isinstance(self.services.host.state, LoadedModel)

    def type(self, text):
        self.composer.focus()
        self.composer.set_text(text)

    def send(self, text):
        """Types and presses Enter; returns when the question is stored."""
        self.type(text)
        self.qtbot.keyClick(self.composer.field, Qt.Key.Key_Return)
        self.until(lambda: self.composer.text == "" and self.questions()[-1:] == [text])

    def ask(self, text):
        """The same, and waits for the whole answer."""
        self.send(text)
        self.until(lambda: not self.presenter.is_answering)

    def questions(self):
        return [one.text for one in self.presenter.messages if one.role is Role.USER]

    @property
    def last(self):
        """The last message as a widget."""
        return self.transcript.views()[-1]

    @property
    def seen(self):
        """What stands in the last message."""
        return self.last.text.toPlainText()

    def long_conversation(self, n_messages=200):
        """Stored, not yet shown."""
        conversation = self.services.store.begin("A long conversation")
        for number in range(n_messages):
            role = Role.ASSISTANT if number % 2 else Role.USER
            words = f"Message {number}. " + "Some words of it. " * (number % 7 * 10 + 1)
            self.services.store.add(conversation.id, role, words, State.WHOLE)
        return conversation.id


@pytest.fixture
def chat(make_services, qtbot):
    """Makes a page; options are those of the fake engine."""

    def make(services=None, **engine):
        return Chat(services or make_services(**engine), qtbot)

    return make


@pytest.fixture
def real_services(carryon_home, qapp):
    """With the engine that people get."""
    bridge = MainThread()
    services = build(carryon_home, bridge.post)
    yield services
    services.end()
    bridge.close()
