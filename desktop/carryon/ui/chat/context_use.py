"""How much of the context a conversation takes: from the last answer's figures, tokens of what came after it added."""

from collections.abc import Sequence
from dataclasses import dataclass

from carryon.chat.message import Message, State


@dataclass(frozen=True)
class ContextUse:
    """Counts in tokens; None is what nobody measured."""

    n_prompt: int | None = None
    n_used: int | None = None
    n_ctx: int | None = None
    is_estimate: bool = False

    @property
    def fraction(self) -> float | None:
        if self.n_used is None or not self.n_ctx:
            return None
        return min(1.0, (self.n_used + (self.n_prompt or 0)) / self.n_ctx)


def measured(messages: Sequence[Message]) -> tuple[int, str]:
    """The tokens that the last measured answer left in the context, and the text after it that was never counted."""
    for index in range(len(messages) - 1, -1, -1):
        figures = messages[index].figures
        if figures:
            return figures.prompt_n + figures.cached_n + figures.predicted_n, _sent(messages[index + 1 :])
    return 0, _sent(messages)


def _sent(messages: Sequence[Message]) -> str:
    """What of these messages goes to the engine: not the answers that failed."""
    return "\n".join(one.text for one in messages if one.state is not State.FAILED)
