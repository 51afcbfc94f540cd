"""The list of conversations: reading, searching, renaming, trash; everything away from the main thread. No Qt."""

from collections.abc import Callable, Generator
from typing import TypeVar

from carryon.base.errors import AppError
from carryon.base.jobs import Done, Failed, Outcome, Runner
from carryon.chat.message import Conversation
from carryon.chat.store import Store

T = TypeVar("T")


class Listing:
    """The conversations outside the trash as they were last read; `changed` is called after every reading."""

    def __init__(self, store: Store, runner: Runner, changed: Callable[[], None], failed: Callable[[AppError], None]):
        self._store, self._runner, self._changed, self._failed = store, runner, changed, failed
        self.conversations: tuple[Conversation, ...] = ()
        self.sought = ""

    def refresh(self) -> None:
        """Reads the list again; of several readings only the one for the latest search counts."""
        sought = self.sought

        def read(conversations: tuple[Conversation, ...]) -> None:
            if sought == self.sought:
                self.conversations = conversations
                self._changed()

        self._run(lambda: self._store.conversations(sought), read)

    def search(self, text: str) -> None:
        """Lists only conversations that hold this text."""
        self.sought = text.strip()
        self.refresh()

    def rename(self, conversation_id: int, title: str) -> None:
        """Gives a conversation another title; an empty one changes nothing."""
        if title.strip():
            self._run(lambda: self._store.rename(conversation_id, title), lambda _: self.refresh())

    def move_to_trash(self, conversation_id: int, then: Callable[[], None]) -> None:
        """Takes a conversation off the list at once and calls `then` when that is on the disk."""
        self.conversations = tuple(one for one in self.conversations if one.id != conversation_id)
        self._changed()
        self._run(lambda: self._store.move_to_trash(conversation_id), lambda _: then())

    def restore(self, conversation_id: int, then: Callable[[], None]) -> None:
        """Takes a conversation out of the trash, reads the list and calls `then`."""

        def restored(_: None) -> None:
            self.refresh()
            then()

        self._run(lambda: self._store.restore(conversation_id), restored)

    def title_of(self, conversation_id: int) -> str | None:
        """Its title, if it is in the list."""
        return next((one.title for one in self.conversations if one.id == conversation_id), None)

    def neighbour_of(self, conversation_id: int) -> int | None:
        """The conversation after this one in the list, else the one before it, else none."""
        ids = [one.id for one in self.conversations]
        place = ids.index(conversation_id) if conversation_id in ids else len(ids)
        others = (*ids[place + 1 :], *ids[:place][::-1])
        return others[0] if others else None

    def _run(self, act: Callable[[], T], then: Callable[[T], None]) -> None:
        def working() -> Generator[None, None, T]:
            yield None
            return act()

        def ended(outcome: Outcome) -> None:
            match outcome:
                case Done(result):
                    then(result)
                case Failed(error):
                    self._failed(error)

        self._runner.start(working(), on_end=ended)
