"""What the child process found out about one file, and how it says so."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """How far the answers of a file are from those of the base."""

    kl_divergence: float
    kl_error: float
    same_top: float
    rms_probability_change: float


@dataclass(frozen=True)
class Figures:
    """Everything about one file that takes running it."""

    perplexity: float
    perplexity_error: float
    n_tokens: int
    memory_bytes: int
    prefill_tokens_per_s: float | None = None
    decode_tokens_per_s: float | None = None
    comparison: Comparison | None = None  # None: it is the base


@dataclass(frozen=True)
class Answer:
    """What the child process says at its end; `models` in the order of the task."""

    models: tuple[Figures, ...]
    text_sha256: str
    engine_version: str
    notices: tuple[str, ...] = ()


def encode(answer: Answer) -> dict[str, Any]:
    """For the pipe."""
    return asdict(answer)


def decode(told: dict[str, Any]) -> Answer:
    """The same read by the parent."""
    models = tuple(_figures(one) for one in told["models"])
    return Answer(models, told["text_sha256"], told["engine_version"], tuple(told["notices"]))


def _figures(told: dict[str, Any]) -> Figures:
    compared = told["comparison"]
    return Figures(**{**told, "comparison": Comparison(**compared) if compared else None})
