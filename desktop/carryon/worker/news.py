"""What the engine thread tells the HTTP thread about one answer, and the outbox that carries it across."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum


class Finish(StrEnum):
    """Why an answer ended, in OpenAI's words plus one of ours."""

    STOP = "stop"            # the model ended it, or a stop string
    LENGTH = "length"        # max_tokens, or the context is full
    CANCELLED = "cancelled"  # whoever asked has gone


@dataclass(frozen=True)
class PromptProgress:
    """How many of the prompt's tokens the engine has read."""

    done: int
    total: int


@dataclass(frozen=True)
class Text:
    """The next words."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The end of an answer and its figures; `n_prompt` counts new tokens only, `n_cached` those that were reused."""

    finish: Finish
    is_context_full: bool
    n_prompt: int
    n_cached: int
    n_predicted: int
    prompt_ms: float
    predicted_ms: float


@dataclass(frozen=True)
class Broken:
    """The engine could not go on; the message is a sentence for a person."""

    message: str


News = PromptProgress | Text | Ended | Broken


@dataclass
class Outbox:
    """News from the engine thread (`put`) to one coroutine (`take`), in order."""

    loop: asyncio.AbstractEventLoop
    _news: deque[News] = field(default_factory=deque)
    _waiter: "asyncio.Future[None] | None" = None

    def put(self, news: News) -> None:
        """From any thread."""
        self._news.append(news)
        try:
            self.loop.call_soon_threadsafe(self.wake)
        except RuntimeError:
            return  # the loop has ended: nobody reads any more

    async def take(self, patience_s: float) -> list[News]:
        """What has come; waits for something, but no longer than this: then the list is empty."""
        if not self._news:
            self._waiter = self.loop.create_future()
            timer = self.loop.call_later(patience_s, self.wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        return [self._news.popleft() for _ in range(len(self._news))]

    def wake(self) -> None:
        """On the loop's own thread."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
