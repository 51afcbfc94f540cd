"""What is known of a conversation beside the store: draft, answer under way, problem; and the work that asks. No Qt."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

from carryon.app.host import LoadWish
from carryon.base.jobs import Job
from carryon.chat.message import Conversation, Message, State
from carryon.chat.store import Store
from carryon.chat.turn import ask
from carryon.engine.client import EngineClient, Sampling
from carryon.ui.chat.view import Problem


@dataclass(frozen=True)
class Begun:
    """A conversation was made for a first question."""

    conversation: Conversation


@dataclass
class Answer:
    """An answer that is being written; its message is None until the question is stored."""

    text: str  # the draft that it answers; "" where an old question is answered again
    edited: Message | None = None  # the question that is replaced
    job: Job | None = None
    message: Message | None = None
    words: list[str] = field(default_factory=list)
    is_stopped: bool = False

    def now(self) -> Message | None:
        """The message as far as it is known here, ahead of the store."""
        if self.message is None:
            return None
        state = State.STOPPED if self.is_stopped else State.STREAMING
        return replace(self.message, text="".join(self.words), state=state)


@dataclass
class Chat:
    """What is known of a conversation beside the store: it lives as long as the window."""

    id: int | None = None
    draft: str = ""
    edited: Message | None = None  # the question that the draft replaces
    is_waiting: bool = False  # the draft is to be sent when a model is ready
    answer: Answer | None = None
    problem: Problem | None = None

    @property
    def is_answering(self) -> bool:
        return self.answer is not None and not self.answer.is_stopped


def asking(
    store: Store, client: EngineClient, conversation_id: int | None, answer: Answer, wish: LoadWish
) -> Generator[Any, None, Message]:
    """Work that asks, in a new conversation if there is none yet."""
    if conversation_id is None:
        begun = store.begin(answer.text)
        conversation_id = begun.id
        yield Begun(begun)
    elif answer.edited:
        store.replace_from(answer.edited.id)
    return (yield from ask(store, client, conversation_id, answer.text, wish.file.name, sampling_for(wish)))


def sampling_for(wish: LoadWish) -> Sampling:
    """The guide is trained to be right with its likeliest word; every other model has its own defaults."""
    return Sampling(temperature=0.0) if wish.file.is_guide else Sampling()
