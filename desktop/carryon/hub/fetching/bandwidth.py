"""How fast downloads may be, all together."""

import threading
import time

_BURST_S = 0.25  # what may come at once: enough for a smooth stream, too little to notice


class Bandwidth:
    """A limit that all connections share. It may change while they run; None is no limit."""

    def __init__(self, bytes_per_s: float | None = None) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_at_s = 0.0  # when all that was taken so far has had its time
        self._lock = threading.Lock()

    @property
    def bytes_per_s(self) -> float | None:
        return self._bytes_per_s

    @bytes_per_s.setter
    def bytes_per_s(self, bytes_per_s: float | None) -> None:
        with self._lock:
            self._bytes_per_s, self._free_at_s = bytes_per_s, 0.0

    def taken(self, n_bytes: int) -> float:
        """Notes that so many bytes came; how many seconds the one who took them should wait before the next."""
        with self._lock:
            if not self._bytes_per_s:
                return 0.0
            now_s = time.monotonic()
            self._free_at_s = max(self._free_at_s, now_s - _BURST_S) + n_bytes / self._bytes_per_s
            return max(0.0, self._free_at_s - now_s)
