"""Reading numbers and texts one after the other out of a header, every step bounded by the bytes that the file has."""

import struct
from dataclasses import dataclass
from typing import BinaryIO, NoReturn, Protocol

from carryon.base.errors import BadFile
from carryon.base.units import bytes_text

FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
WIDTHS = {kind: struct.calcsize("<" + code) for kind, code in FORMATS.items()}
DAMAGED_HINT = "Download the file again."
LARGEST_HEADER_BYTES = 1 << 28  # the largest known ones, with a whole tokenizer.json in a field, have some 30 MB
_WINDOW_BYTES = 1 << 20  # a header of 6 MB takes six reads; a larger window costs memory and gains nothing


def shown(name: str, longest: int = 60) -> str:
    """A text out of a file as one line that can be shown: cut when long, without what no screen shows."""
    short = name if len(name) <= longest else f"{name[: longest - 1]}…"
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in short)


def quoted(name: str) -> str:
    """“llama.block_count”, fit for a sentence."""
    return f"“{shown(name)}”"


class PrefixEnds(Exception):
    """The first bytes of a file end before its header does. `needed_bytes`: so many would go at least one step on."""

    def __init__(self, needed_bytes: int) -> None:
        super().__init__(f"{needed_bytes} bytes needed")
        self.needed_bytes = needed_bytes


class Source(Protocol):
    """The bytes of a file; `size_bytes` is the whole file's size, whatever part of it is here."""

    @property
    def size_bytes(self) -> int: ...

    @property
    def here_bytes(self) -> int: ...

    def read(self, offset: int, at_least: int, at_most: int) -> bytes: ...


@dataclass(frozen=True)
class WholeFile:
    """An open file. It may end early when somebody else is writing it."""

    file: BinaryIO
    size_bytes: int

    @property
    def here_bytes(self) -> int:
        return self.size_bytes

    def read(self, offset: int, at_least: int, at_most: int) -> bytes:
        """Up to `at_most` bytes from `offset`."""
        self.file.seek(offset)
        return self.file.read(max(at_least, at_most))


@dataclass(frozen=True)
class Prefix:
    """The first bytes of a file that is somewhere else, such as a range request brings them."""

    content: bytes
    size_bytes: int

    @property
    def here_bytes(self) -> int:
        return len(self.content)

    def read(self, offset: int, at_least: int, at_most: int) -> bytes:
        """Up to `at_most` bytes from `offset`. Raises PrefixEnds when fewer than `at_least` of them are here."""
        if offset + at_least > len(self.content):
            raise PrefixEnds(offset + at_least)
        return self.content[offset : offset + at_most]


class Cursor:
    """A place in a header that only moves forward, and can say where it is when something is wrong there."""

    def __init__(self, source: Source, file_name: str) -> None:
        self.size_bytes = source.size_bytes
        self.order = "<"
        self.place = "its first bytes"  # what is being read, in the words of a person
        self._source, self._file_name = source, file_name
        self._window, self._window_offset, self._at = b"", 0, 0

    @property
    def offset(self) -> int:
        """Bytes from the start of the file."""
        return self._window_offset + self._at

    @property
    def left_bytes(self) -> int:
        return self.size_bytes - self.offset

    def take(self, count: int) -> bytes:
        """The next bytes."""
        self._have(count)
        self._at += count
        return self._window[self._at - count : self._at]

    def number(self, code: str) -> int:
        """The next whole number, by its code in `struct`."""
        value: int = struct.unpack(self.order + code, self.take(struct.calcsize("<" + code)))[0]
        return value

    def numbers(self, kind: int, count: int) -> tuple[int | float | bool, ...]:
        """So many numbers of a GGUF value type. The caller has bounded `count`."""
        return struct.unpack(f"{self.order}{count}{FORMATS[kind]}", self.take(count * WIDTHS[kind]))

    def text(self, longest_bytes: int) -> str:
        """The next text with its length before it; bytes that are no UTF-8 become a replacement sign."""
        length = self.number("Q")
        if length > longest_bytes:
            self.damaged(f"a text of {length:,} bytes, where {longest_bytes:,} are the most")
        return self.take(length).decode("utf-8", "replace")

    def skip(self, count: int) -> None:
        """Steps over bytes without reading them."""
        self._allow(self.offset + count)
        self._move_to(self._at + count)

    def skip_texts(self, count: int) -> None:
        """Steps over texts: the one hot loop of a header (a vocabulary has 300,000 of them), so it is kept bare."""
        length_at = struct.Struct(self.order + "Q").unpack_from
        if self.offset + 8 * count > self._source.here_bytes:  # their lengths alone are more than there is
            self._have(8 * count)
        while count:
            self._have(8)
            window, at, last = self._window, self._at, len(self._window) - 8
            while at <= last and count:
                (length,) = length_at(window, at)
                at += 8 + length
                count -= 1
            self._allow(self._window_offset + at)
            self._move_to(at)

    def texts(self, count: int, most_bytes: int) -> tuple[str, ...]:
        """The next texts, of about so many bytes together at most."""
        texts: list[str] = []
        last = self.offset + most_bytes
        while len(texts) < count:
            texts += self._texts_in_window(count - len(texts))
            if self.offset > last:
                self.damaged("more text than any vocabulary")
            if len(texts) < count:
                texts.append(self.text(_WINDOW_BYTES))  # the one across the window's edge
        return tuple(texts)

    def damaged(self, what: str) -> NoReturn:
        """Raises BadFile: what is wrong, in which field or tensor, at which byte."""
        raise BadFile(f"{self._file_name} is damaged: {self.place} (byte {self.offset:,}) has {what}.", DAMAGED_HINT)

    def refused(self, what: str, hint: str) -> NoReturn:
        """Raises BadFile for a file that is not damaged, only not what it should be."""
        raise BadFile(f"{self._file_name} {what}.", hint)

    def cut(self) -> NoReturn:
        """Raises BadFile: the file ends before what it announces."""
        raise BadFile(
            f"{self._file_name} is damaged: it ends in the middle of its header, at byte {self.size_bytes:,},"
            f" inside {self.place}.", DAMAGED_HINT,
        )  # fmt: skip

    def _texts_in_window(self, count: int) -> list[str]:
        length_at, window, texts = struct.Struct(self.order + "Q").unpack_from, self._window, list[str]()
        end, at = len(window), self._at
        while len(texts) < count and at + 8 <= end:
            start = at + 8
            after = start + length_at(window, at)[0]
            if after > end:
                break
            texts.append(window[start:after].decode("utf-8", "replace"))
            at = after
        self._at = at
        return texts

    def _have(self, count: int) -> None:
        """Makes sure that the next bytes are in the window."""
        if len(self._window) - self._at >= count:
            return
        offset = self.offset
        self._allow(offset + count)
        self._window = self._source.read(offset, count, max(count, _WINDOW_BYTES))
        self._window_offset, self._at = offset, 0
        if len(self._window) < count:
            self.cut()

    def _allow(self, end: int) -> None:
        """Refuses a step to a place that the file does not have, or that no header reaches."""
        if end > self.size_bytes:
            self.cut()
        if end > LARGEST_HEADER_BYTES:
            self.damaged(f"a header of more than {bytes_text(LARGEST_HEADER_BYTES)}")

    def _move_to(self, at: int) -> None:
        """`at` counts from the start of the window and may lie beyond it."""
        if at <= len(self._window):
            self._at = at
        else:
            self._window, self._window_offset, self._at = b"", self._window_offset + at, 0
