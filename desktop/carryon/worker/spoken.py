"""From token pieces to text that may be shown: whole characters only, and never a part of a stop string."""

import codecs
from collections.abc import Sequence


class Spoken:
    """Bytes in, text out. Holds back an unfinished character and whatever may still become a stop string."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = [stop.encode("utf-8", "replace") for stop in stops if stop]
        self._longest = max(map(len, self._stops), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = b""
        self.is_stopped = False

    def add(self, piece: bytes) -> str:
        """The text that is certain now; after a stop string was met, nothing more."""
        if self.is_stopped:
            return ""
        if not self._stops:
            return self._decoder.decode(piece)
        return self._past_stops(piece)

    def end(self) -> str:
        """What was held back, when nothing follows any more."""
        held = b"" if self.is_stopped else self._held
        self._held = b""
        return self._decoder.decode(held, final=True)

    def _past_stops(self, piece: bytes) -> str:
        self._held += piece
        met = min(((at + len(stop), at) for stop in self._stops if (at := self._held.find(stop)) >= 0), default=None)
        if met is not None:  # the one that was complete first, however the bytes were cut into pieces
            said, self._held, self.is_stopped = self._held[: met[1]], b"", True
            return self._decoder.decode(said)
        keep = self._may_become_a_stop()
        certain = len(self._held) - keep
        said, self._held = self._held[:certain], self._held[certain:]
        return self._decoder.decode(said)

    def _may_become_a_stop(self) -> int:
        """How many of the last bytes are the start of a stop string."""
        for size in range(min(self._longest - 1, len(self._held)), 0, -1):
            tail = self._held[-size:]
            if any(stop.startswith(tail) for stop in self._stops):
                return size
        return 0
