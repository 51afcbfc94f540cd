"""Which bytes of a file are here, which are on their way, and which are fetched next. Arithmetic only."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

MIB = 1 << 20
_LARGEST_PIECE_BYTES = 8 * MIB
_MOST_MARKS = 1024


def piece_bytes_of(size_bytes: int) -> int:
    """How much is asked for at once: little enough that four fit in memory, much enough that asking costs nothing."""
    return max(MIB, min(_LARGEST_PIECE_BYTES, size_bytes // 16 // MIB * MIB))


def mark_bytes_of(size_bytes: int) -> int:
    """How far marks are apart (sidecar.py): whole pieces, and never many of them."""
    piece_bytes = piece_bytes_of(size_bytes)
    n_pieces = -(-size_bytes // piece_bytes)
    return piece_bytes * max(1, -(-n_pieces // _MOST_MARKS))


@dataclass(frozen=True)
class Span:
    """Bytes from `start` up to `end`."""

    start: int
    end: int


class Pieces:
    """A file in pieces of one length. Each comes from its start to its end; the pieces come in any order."""

    def __init__(self, size_bytes: int, done: Iterable[tuple[int, int]] = ()) -> None:
        self.size_bytes, self.piece_bytes = size_bytes, piece_bytes_of(size_bytes)
        edges = [*range(0, size_bytes, self.piece_bytes), size_bytes]
        self._spans = [Span(start, end) for start, end in pairwise(edges)]
        self._reached = [span.start for span in self._spans]  # the first byte of each piece that is not here
        self._taken: set[int] = set()
        self._first = 0  # no piece before this one misses a byte
        self.done_bytes = 0
        for start, end in done:
            self._recall(start, end)

    @property
    def n_pieces(self) -> int:
        return len(self._spans)

    @property
    def is_complete(self) -> bool:
        return self.done_bytes == self.size_bytes

    def take(self, before: int) -> Span | None:
        """What to fetch next: the rest of the first piece that nobody fetches and that begins before this byte."""
        while self._first < len(self._spans) and self._is_done(self._first):
            self._first += 1
        for index in range(self._first, len(self._spans)):
            if self._spans[index].start >= before:
                return None
            if index not in self._taken and not self._is_done(index):
                self._taken.add(index)
                return Span(self._reached[index], self._spans[index].end)
        return None

    def take_all(self) -> Span | None:
        """Everything from the first byte to the last, for a source that gives no less; None while others fetch."""
        if self._taken:
            return None
        self._taken.update(range(len(self._spans)))
        return Span(0, self.size_bytes)

    def give_back(self, span: Span) -> None:
        """Nobody fetches it any more; what came of it stays."""
        self._taken.difference_update(range(span.start // self.piece_bytes, -(-span.end // self.piece_bytes)))

    def landed(self, at: int, n_bytes: int) -> None:
        """These bytes of one piece are on the disk, and follow on those before them."""
        index = at // self.piece_bytes
        gained = max(0, at + n_bytes - self._reached[index]) if at <= self._reached[index] else 0
        self._reached[index] += gained
        self.done_bytes += gained

    def lose(self, start: int, end: int) -> None:
        """The pieces that these bytes lie in are to be fetched again."""
        for index in range(start // self.piece_bytes, -(-end // self.piece_bytes)):
            self.done_bytes -= self._reached[index] - self._spans[index].start
            self._reached[index] = self._spans[index].start
            self._first = min(self._first, index)

    def here_until(self, at: int) -> int:
        """Up to where the bytes from `at` on are here, within its piece; `at` itself where that one is missing."""
        return at if at >= self.size_bytes else max(at, self._reached[at // self.piece_bytes])

    def piece_end(self, at: int) -> int:
        """Where the piece with this byte ends."""
        return self._spans[at // self.piece_bytes].end

    def done(self) -> tuple[tuple[int, int], ...]:
        """What is here, as rising ranges that do not touch."""
        ranges: list[tuple[int, int]] = []
        for span, reached in zip(self._spans, self._reached, strict=True):
            if reached == span.start:
                continue
            if ranges and ranges[-1][1] == span.start:
                ranges[-1] = (ranges[-1][0], reached)
            else:
                ranges.append((span.start, reached))
        return tuple(ranges)

    def _recall(self, start: int, end: int) -> None:
        """Bytes that were here before; those that do not begin a piece are of no use."""
        first = -(-start // self.piece_bytes)
        for index in range(first, len(self._spans)):
            if self._spans[index].start >= end:
                return
            self.landed(self._spans[index].start, min(end, self._spans[index].end) - self._spans[index].start)

    def _is_done(self, index: int) -> bool:
        return self._reached[index] == self._spans[index].end
