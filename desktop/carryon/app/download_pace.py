"""How fast a download is: smoothed over the last seconds, honest about what is not known yet."""

from collections import deque

_WINDOW_S = 5.0
_TOO_SHORT_S = 1.0  # a speed of half a second is a guess


class Pace:
    """Is told how many bytes are here and when; times are in seconds of any clock that only goes forward."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now_s: float, done_bytes: int) -> None:
        """This many bytes are here now. Fewer than before: it began again, and so does the measuring."""
        if self._seen and done_bytes < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now_s, done_bytes))
        while len(self._seen) > 2 and self._seen[1][0] <= now_s - _WINDOW_S:
            self._seen.popleft()

    def restart(self) -> None:
        """After a wait: what was measured before it says nothing."""
        self._seen.clear()

    @property
    def bytes_per_s(self) -> float | None:
        """Over the last seconds; None while that is too short."""
        if not self._seen:
            return None
        (first_s, first_bytes), (last_s, last_bytes) = self._seen[0], self._seen[-1]
        length_s = last_s - first_s
        return (last_bytes - first_bytes) / length_s if length_s >= _TOO_SHORT_S else None

    def left_s(self, left_bytes: int) -> float | None:
        """How long the rest takes at this speed; None where nothing comes."""
        speed = self.bytes_per_s
        return left_bytes / speed if speed else None
