"""The trade-off of a model's quants as plain values: what is lost, against size and speed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carryon.evaluate.result import Measured


@dataclass(frozen=True)
class Point:
    """One file in the chart."""

    path: Path
    quant: str  # what stands beside it; the file's name where the quant is unknown
    size_bytes: int
    loss: float  # KL divergence from the base in nats a token; 0 for the base
    tokens_per_s: float | None  # of writing
    is_base: bool
    is_on_front: bool  # no other is both smaller and nearer to the base


def points(measured: Sequence[Measured]) -> tuple[Point, ...]:
    """The base and what was compared with it, the largest first. What was compared with nothing counts as a base."""
    pairs = [(one.size_bytes, _loss(one)) for one in measured]
    made = [
        Point(
            one.path, one.quant or one.path.stem, one.size_bytes, _loss(one), one.decode_tokens_per_s, one.is_base,
            not any(_beats(other, pair) for other in pairs),
        )
        for one, pair in zip(measured, pairs, strict=True)
    ]  # fmt: skip
    return tuple(sorted(made, key=lambda one: (-one.size_bytes, one.loss)))


def _loss(measured: Measured) -> float:
    """Rounding can make it a hair less than nothing."""
    return max(measured.kl_divergence or 0.0, 0.0)


def _beats(one: tuple[int, float], other: tuple[int, float]) -> bool:
    """At least as good in both, and better in one."""
    return one != other and one[0] <= other[0] and one[1] <= other[1]
