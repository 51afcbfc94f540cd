"""The values of a conversation; identity and storage live in the store."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class State(StrEnum):
    """How far a message is."""

    WHOLE = "whole"
    STREAMING = "streaming"  # being written now
    STOPPED = "stopped"  # the person stopped it
    CUT_LENGTH = "cut_length"  # max_tokens reached
    CUT_CONTEXT = "cut_context"  # the context is full
    FAILED = "failed"  # the engine failed; what was written is kept
    INTERRUPTED = "interrupted"  # the app ended while it was written; found at the next start


@dataclass(frozen=True)
class Figures:
    """What an answer cost. Times in milliseconds, counts in tokens; prompt_n counts only newly decoded ones."""

    prompt_n: int
    prompt_ms: float
    predicted_n: int
    predicted_ms: float
    cached_n: int
    first_token_ms: float | None = None

    @property
    def tokens_per_s(self) -> float | None:
        return self.predicted_n / self.predicted_ms * 1000 if self.predicted_ms > 0 and self.predicted_n else None

    @property
    def prompt_tokens_per_s(self) -> float | None:
        return self.prompt_n / self.prompt_ms * 1000 if self.prompt_ms > 0 and self.prompt_n else None


@dataclass(frozen=True)
class Message:
    """One message as the store holds it. `created_s` is Unix time."""

    id: int
    conversation_id: int
    role: Role
    text: str
    state: State
    created_s: float
    model_name: str | None = None
    figures: Figures | None = None


@dataclass(frozen=True)
class Conversation:
    """A conversation as the list shows it; times are Unix times."""

    id: int
    title: str
    created_s: float
    updated_s: float
