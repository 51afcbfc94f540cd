"""What the presenter tells the page: values and the methods that take them; knows nothing of Qt."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from carryon.app.host import ModelState
from carryon.base.errors import AppError
from carryon.chat.message import Conversation, Message, State
from carryon.ui.chat.context_use import ContextUse


class Step(Enum):
    """What a person can do next."""

    LOAD_AGAIN = "load_again"
    LOAD_GUIDE = "load_guide"
    CHOOSE_MODEL = "choose_model"
    LOAD_LONGER = "load_longer"
    NEW_CHAT = "new_chat"
    EDIT_QUESTION = "edit_question"
    TRY_AGAIN = "try_again"


@dataclass(frozen=True)
class Problem:
    """Something went wrong, and the steps that help, the likeliest first."""

    error: AppError
    steps: tuple[Step, ...]


class Hint(Enum):
    """What the composer says above the text."""

    NONE = "none"
    NEEDS_MODEL = "needs_model"  # the text is sent when a model is ready, and none is on its way
    WAITS_FOR_MODEL = "waits_for_model"
    EDITING = "editing"


@dataclass(frozen=True)
class ChatList:
    """The conversations as the list shows them."""

    conversations: tuple[Conversation, ...] = ()
    search: str = ""
    current_id: int | None = None
    answering: frozenset[int] = frozenset()


class View(Protocol):
    """The page as the presenter sees it; called on the main thread only."""

    def show_list(self, chats: ChatList) -> None: ...
    def show_messages(self, messages: tuple[Message, ...]) -> None: ...
    def add_words(self, message_id: int, words: str) -> None: ...
    def change_message(self, message: Message) -> None: ...
    def show_reading(self, done: int, total: int) -> None: ...
    def show_answering(self, is_answering: bool) -> None: ...
    def show_draft(self, text: str) -> None: ...
    def show_hint(self, hint: Hint) -> None: ...
    def show_problem(self, problem: Problem | None) -> None: ...
    def show_model(self, state: ModelState) -> None: ...
    def show_context_use(self, use: ContextUse) -> None: ...
    def load_dialog(self) -> None: ...
    def notice(self, text: str, undo: Callable[[], None] | None) -> None: ...
    def announce(self, state: State) -> None: ...
