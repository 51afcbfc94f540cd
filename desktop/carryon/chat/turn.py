"""One turn of talk: the question is stored before it is sent, the answer while it streams."""

import time
from collections.abc import Generator
from dataclasses import dataclass

from carryon.chat.message import Figures, Message, Role, State
from carryon.chat.store import Store
from carryon.engine.client import Ending, EngineClient, Finished, PromptProgress, Sampling, TextDelta, Timings
from carryon.engine.client import Turn as WireTurn

SAVE_EVERY_S = 0.5  # a kill loses at most the last second
TELL_EVERY_S = 1 / 30
_STATES = {Ending.STOP: State.WHOLE, Ending.LENGTH: State.CUT_LENGTH, Ending.CONTEXT: State.CUT_CONTEXT}
_NOT_SENT = (State.FAILED, State.STREAMING)


@dataclass(frozen=True)
class Asked:
    """The question stands in the store and an empty answer waits for words."""

    question: Message
    answer: Message


@dataclass(frozen=True)
class Said:
    """More words of the answer, since the last news."""

    answer_id: int
    text: str


News = Asked | Said | PromptProgress


def ask(
    store: Store, client: EngineClient, conversation_id: int, text: str, model_name: str, sampling: Sampling
) -> Generator[News | None, None, Message]:
    """Work that stores a question, streams its answer and returns the answer as it was stored."""
    question = store.add(conversation_id, Role.USER, text)
    return (yield from answer(store, client, question, model_name, sampling))


def regenerate(
    store: Store, client: EngineClient, question: Message, model_name: str, sampling: Sampling
) -> Generator[News | None, None, Message]:
    """Work that answers a question anew; the old answer and what followed stay in the store as replaced."""
    later = [one for one in store.messages(question.conversation_id) if one.id > question.id]
    if later:
        store.replace_from(later[0].id)
    return (yield from answer(store, client, question, model_name, sampling))


def answer(
    store: Store, client: EngineClient, question: Message, model_name: str, sampling: Sampling
) -> Generator[News | None, None, Message]:
    """Work that answers a stored question. Closing it stops the engine and keeps what was said.

    Raises what the client raises, after the words so far are stored as FAILED, or as STOPPED if the engine was ended.
    """
    turns = wire_turns(store.messages(question.conversation_id))
    message = store.add(question.conversation_id, Role.ASSISTANT, "", State.STREAMING, model_name)
    pen = _Pen(store, message)
    yield Asked(question, message)
    try:
        for event in client.chat(turns, sampling):
            match event:
                case TextDelta(words):
                    yield pen.write(words)
                case Finished():
                    pen.end(_STATES[event.ending], event.timings)
                case PromptProgress() | None:
                    yield event or pen.tell()
    except GeneratorExit:
        pen.end(State.STOPPED)
        raise
    except Exception:
        pen.end(State.STOPPED if client.was_ended else State.FAILED)
        raise
    if words_left := pen.tell(at_once=True):
        yield words_left
    return store.message(message.id) or message


def wire_turns(messages: tuple[Message, ...]) -> tuple[WireTurn, ...]:
    """What the engine is told: roles that alternate, without answers that never came."""
    said = [one for one in messages if one.state not in _NOT_SENT and (one.text or one.role is Role.USER)]
    turns: list[WireTurn] = []
    for one in said:
        if turns and turns[-1].role == one.role:
            turns[-1] = WireTurn(one.role, f"{turns[-1].content}\n\n{one.text}")
        else:
            turns.append(WireTurn(one.role, one.text))
    return tuple(turns)


class _Pen:
    """Gathers words: into the store twice a second, to the listener thirty times."""

    def __init__(self, store: Store, message: Message) -> None:
        self._store, self._message = store, message
        self._words: list[str] = []
        self._untold: list[str] = []
        self._began_s = self._saved_s = time.monotonic()
        self._told_s = 0.0
        self._first_token_ms: float | None = None

    def write(self, words: str) -> Said | None:
        now_s = time.monotonic()
        if self._first_token_ms is None:
            self._first_token_ms = (now_s - self._began_s) * 1000
        self._words.append(words)
        self._untold.append(words)
        if now_s - self._saved_s >= SAVE_EVERY_S:
            self._saved_s = now_s
            self._store.update(self._message.id, self._text(), State.STREAMING)
        return self.tell()

    def tell(self, *, at_once: bool = False) -> Said | None:
        now_s = time.monotonic()
        if not self._untold or (now_s - self._told_s < TELL_EVERY_S and not at_once):
            return None
        self._told_s = now_s
        words, self._untold = "".join(self._untold), []
        return Said(self._message.id, words)

    def end(self, state: State, timings: Timings | None = None) -> None:
        self._store.update(self._message.id, self._text(), state, self._figures(timings))

    def _text(self) -> str:
        self._words = ["".join(self._words)]
        return self._words[0]

    def _figures(self, timings: Timings | None) -> Figures | None:
        if timings is None:
            return None
        return Figures(
            timings.prompt_n,
            timings.prompt_ms,
            timings.predicted_n,
            timings.predicted_ms,
            timings.cached_n,
            self._first_token_ms,
        )
