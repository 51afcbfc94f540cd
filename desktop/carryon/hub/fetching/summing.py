"""The sum of a file while its bytes come in any order: from memory near the front, from the disk what was here."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from carryon.hub.fetching.pieces import MIB, Pieces, Span, mark_bytes_of
from carryon.hub.fetching.sidecar import MARK_LETTERS

WINDOW_BYTES = 32 * MIB  # how far before the front bytes are fetched, and so how many wait in memory
STEP_BYTES = MIB


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: memoryview | bytes, /) -> None: ...
    def hexdigest(self) -> str: ...
    def copy(self) -> "Digest": ...


def sum_name(sha256: str | None, etag: str) -> str:
    """By what a file is proved: “sha256:…”, or “git:…” of small files, which the Hub names by that; else “”."""
    if sha256:
        return f"sha256:{sha256}"
    return {64: f"sha256:{etag}", 40: f"git:{etag}"}.get(len(etag), "")


def fresh_digest(name: str, size_bytes: int) -> Digest:
    """A sum of this kind, of nothing yet. Git sums a file with its length before it."""
    if name.startswith("git:"):
        return hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
    return hashlib.sha256()


def is_right(digest: Digest, name: str) -> bool:
    """Whether the sum of the whole is the one that was told; where none was, nobody can say that it is wrong."""
    return not name or digest.hexdigest() == name.partition(":")[2]


@dataclass(frozen=True)
class Block:
    """Bytes in memory; only the first so many of the buffer count."""

    buffer: memoryview
    n_bytes: int


class RunningSum:
    """The sum up to the front. One thread at a time calls it, but for `add`, which takes long and needs no lock."""

    def __init__(self, name: str, size_bytes: int, marks: tuple[str, ...] = ()) -> None:
        self._name, self._size_bytes = name, size_bytes
        self._digest = fresh_digest(name, size_bytes)
        self._mark_bytes = mark_bytes_of(size_bytes)
        self._marks = list(marks)
        self._at_mark = self._digest.copy()  # the sum at the last mark, to go back to
        self._doubted: set[int] = set()
        self._blocks: dict[int, Block] = {}
        self.front = 0
        self.reads_disk = False  # whether it catches up with what was here before

    @property
    def marks(self) -> tuple[str, ...]:
        return tuple(self._marks)

    @property
    def mark_bytes(self) -> int:
        return self._mark_bytes

    @property
    def is_at_end(self) -> bool:
        return self.front == self._size_bytes

    @property
    def is_right(self) -> bool:
        return is_right(self._digest, self._name)

    @property
    def fetched_before(self) -> int:
        """Up to where bytes may be fetched: near the front, so that none is read again, but while it catches up."""
        return self._size_bytes if self.reads_disk else self.front + WINDOW_BYTES

    def wants(self, at: int) -> bool:
        """Whether bytes from here on should wait in memory."""
        return self.front <= at < self.front + WINDOW_BYTES + STEP_BYTES

    def offer(self, at: int, block: Block) -> None:
        """Bytes that came."""
        self._blocks[at] = block

    def in_memory(self) -> Block | None:
        """The bytes at the front, if they are here."""
        block = self._blocks.pop(self.front, None)
        self.reads_disk = self.reads_disk and block is None
        return block

    def on_disk(self, pieces: Pieces) -> Span | None:
        """The bytes at the front that are on the disk and not in memory."""
        end = min([pieces.here_until(self.front), *(at for at in self._blocks if at >= self.front)])
        if not self.is_at_end:
            end = min(end, pieces.piece_end(self.front), self.front + STEP_BYTES)
        self.reads_disk = end > self.front
        return Span(self.front, end) if self.reads_disk else None

    def add(self, data: memoryview | bytes) -> None:
        """Sums the bytes at the front."""
        self._digest.update(data)

    def advance(self, n_bytes: int) -> Span | None:
        """Moves the front behind what was added. Returns bytes that are not as they were received: they are lost."""
        self.front += n_bytes
        if self.front % self._mark_bytes:
            return None
        index = self.front // self._mark_bytes - 1
        mark = self._digest.hexdigest()[:MARK_LETTERS]
        if index < len(self._marks) and self._marks[index] != mark and index not in self._doubted:
            return self._damaged(index)
        if self._marks[index : index + 1] != [mark]:  # a second time: then it is the mark that is wrong
            self._marks[index:] = [mark]
        self._at_mark = self._digest.copy()
        return None

    def _damaged(self, index: int) -> Span:
        """Goes back to the mark before."""
        self._doubted.add(index)
        span = Span(index * self._mark_bytes, self.front)
        self._digest = self._at_mark.copy()
        self.front = span.start
        return span
