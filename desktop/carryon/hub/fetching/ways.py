"""Who is on the way with what, and who is so slow that another should take it over. Arithmetic only."""

from dataclasses import dataclass
from typing import Protocol

from carryon.hub.fetching.pieces import Span

MUCH_SLOWER = 4.0  # a new connection costs something: only for a clear gain


class Fetching(Protocol):
    """A lane, as it is seen from here."""

    def call_off(self) -> None:
        """Asks it to leave the rest of its piece to others."""


@dataclass
class _Way:
    span: Span
    began_s: float
    at: int
    is_called_off: bool = False

    def left_s(self, now_s: float) -> float:
        """How long the rest will take at the speed so far."""
        came_bytes = self.at - self.span.start
        return (self.span.end - self.at) * (now_s - self.began_s) / came_bytes if came_bytes else float("inf")

    def bytes_per_s(self, now_s: float) -> float:
        return (self.at - self.span.start) / max(now_s - self.began_s, 1e-6)


class Ways:
    """All of them. Times are on the monotonic clock."""

    def __init__(self) -> None:
        self._ways: dict[Fetching, _Way] = {}
        self._speeds: dict[Fetching, float] = {}

    def __len__(self) -> int:
        return len(self._ways)

    def begin(self, lane: Fetching, span: Span, now_s: float) -> None:
        self._ways[lane] = _Way(span, now_s, span.start)

    def reach(self, lane: Fetching, at: int) -> None:
        """So far it is."""
        self._ways[lane].at = at

    def end(self, lane: Fetching, now_s: float) -> bool:
        """It comes back; whether it was called off."""
        way = self._ways.pop(lane)
        self._speeds[lane] = way.bytes_per_s(now_s)
        return way.is_called_off

    def call_off_slowest(self, free: Fetching, now_s: float, slow_s: float) -> None:
        """Calls off the one that keeps a free lane waiting, if that one would be there much earlier."""
        speed = self._speeds.get(free, 0.0)
        slow = [
            (way.left_s(now_s), lane)
            for lane, way in self._ways.items()
            if now_s - way.began_s > slow_s and way.bytes_per_s(now_s) * MUCH_SLOWER < speed and not way.is_called_off
        ]
        left_s, lane = max(slow, key=lambda one: one[0], default=(0.0, free))
        if left_s > slow_s:
            self._ways[lane].is_called_off = True
            lane.call_off()
