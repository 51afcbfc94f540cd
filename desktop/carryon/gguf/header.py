"""A strict, bounded reader of GGUF headers: facts and tensor infos, nothing mapped, nothing trusted, no weight read.

Format: ggml/docs/gguf.md, versions 2 and 3, both byte orders. Every count and length is checked against the file's
size and a limit before anything is allocated, so a hostile file costs neither memory nor time. Token arrays are
stepped over unless asked for.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from carryon.base.errors import BadFile
from carryon.base.files import disk_errors
from carryon.base.units import bytes_text
from carryon.gguf.cursor import FORMATS, WIDTHS, Cursor, Prefix, PrefixEnds, Source, WholeFile, quoted
from carryon.gguf.quants import GGML_TYPES, file_type_name
from carryon.gguf.tensors import TensorInfo, read_tensors, refuse_overlaps

MAGIC = b"GGUF"
FIRST_BYTES = 1 << 16  # the first facts lie in these, in every file that the usual tools have written
_TEXT, _ARRAY = 8, 9
_MOST_FIELDS = 1 << 14  # models of today have some 50
_MOST_TENSORS = 1 << 16  # the largest models of today have some 2,000
_FIELD_BYTES, _TENSOR_BYTES = 13, 24  # no field and no tensor info is shorter
_LONGEST_NAME_BYTES = 1 << 10
_LONGEST_KEPT_TEXT_BYTES = 1 << 20  # a longer one (a whole tokenizer.json in a field) is stepped over
_MOST_KEPT_NUMBERS = 4096  # in a list: those of layers are kept (llama.cpp allows 512 layers), those of tokens are not
_MOST_ENTRIES = 1 << 21  # of all lists together: Gemma 3 has 262,208 tokens and 514,906 merges
_MOST_KEPT_TEXT_BYTES = 1 << 24  # of all texts together; Python may need four times as much for them
_MOST_NESTED_LISTS = 1 << 16
_LARGEST_ALIGNMENT = 1 << 20
_DEFAULT_ALIGNMENT = 32
_ANOTHER_FILE = "Choose a GGUF model. A download may be damaged: get it again; other formats must be converted first."

Scalar = int | float | bool | str
Array = tuple[Scalar, ...]


@dataclass(frozen=True)
class Header:
    """What a GGUF file says about itself."""

    file_name: str
    version: int
    fields: dict[str, Scalar]
    arrays: dict[str, Array]  # short arrays of numbers; the others only if asked for
    array_lengths: dict[str, int]  # of all arrays
    tensors: tuple[TensorInfo, ...]
    data_start_bytes: int
    size_bytes: int  # of the whole file

    @property
    def n_tensors(self) -> int:
        return len(self.tensors)

    @property
    def architecture(self) -> str:
        return str(self.fields.get("general.architecture", ""))

    @property
    def name(self) -> str:
        return str(self.fields.get("general.name", ""))

    @property
    def n_layers(self) -> int:
        return self._count("block_count")

    @property
    def n_ctx_train(self) -> int:
        """The context length the model was trained for, in tokens; 0 if the file does not say."""
        return self._count("context_length")

    @property
    def data_end_bytes(self) -> int | None:
        """Where the last tensor ends in the file; None when one has a type that is not known here."""
        if any(one.type_id not in GGML_TYPES for one in self.tensors):
            return None
        return self.data_start_bytes + max((one.end_bytes for one in self.tensors), default=0)

    @property
    def is_whole(self) -> bool:
        """False when the file ends before its last tensor does."""
        return self.data_end_bytes is None or self.data_end_bytes <= self.size_bytes

    def _count(self, name: str) -> int:
        value = self.fields.get(f"{self.architecture}.{name}", 0)
        return value if isinstance(value, int) and 0 <= value < 1 << 31 else 0


@dataclass(frozen=True)
class MoreNeeded:
    """The header goes on after the bytes that are here; with fewer than `at_least_bytes` it cannot be read."""

    at_least_bytes: int


@dataclass(frozen=True)
class FirstFacts:
    """What the first 64 KiB of a model say. None: not said, or not in these bytes."""

    architecture: str
    name: str
    quant: str  # "Q4_K_M", or "" where the file does not say
    n_layers: int | None
    n_heads: int | None
    n_kv_heads: int | None  # of the layer that has most
    n_embd: int | None
    n_ctx_train: int | None
    kind: str = ""  # general.type: "model", "adapter", "mmproj"
    licence: str = ""


def read_header(path: Path, *, with_arrays: bool = False) -> Header:
    """Reads the header of one GGUF file. Raises BadFile, saying what is wrong and where, when it is not a sound one."""
    with _opened(path) as file:
        return _header(WholeFile(file, path.stat().st_size), path.name, with_arrays)


def header_of(
    prefix: bytes, size_bytes: int, file_name: str = "The file", *, with_arrays: bool = False
) -> Header | MoreNeeded:
    """The header of a file of `size_bytes` of which only the first bytes are here. Raises BadFile."""
    try:
        return _header(Prefix(prefix, size_bytes), file_name, with_arrays)
    except PrefixEnds as end:
        return MoreNeeded(end.needed_bytes)


def begun_header(prefix: bytes, size_bytes: int, file_name: str = "The file") -> Header:
    """What the first bytes of a file say, without its tensors, which lie behind. Raises BadFile."""
    reader = _Reader(Prefix(prefix, size_bytes), file_name)
    with suppress(PrefixEnds):
        reader.start()
        reader.read_fields()
    return Header(
        file_name, reader.version, reader.fields, reader.arrays, reader.array_lengths, (), 0, size_bytes
    )  # fmt: skip


def first_facts(prefix: bytes, size_bytes: int, file_name: str = "The file") -> FirstFacts:
    """What the first bytes of a file say about its model. Raises BadFile when they are no GGUF."""
    reader = _Reader(Prefix(prefix, size_bytes), file_name)
    with suppress(PrefixEnds):
        reader.start()
        reader.read_fields()
    return _facts(reader)


def read_first_facts(path: Path) -> FirstFacts:
    """The same of a file on this disk, of which only the first 64 KiB are read. Raises BadFile."""
    with _opened(path) as file:
        return first_facts(file.read(FIRST_BYTES), path.stat().st_size, path.name)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A file and nothing else: opening a pipe would wait for ever, and a device has no end."""
    with disk_errors(path):  # whether it is there may not even be asked
        if path.is_dir():
            raise BadFile(f"{path} is a folder, not a model.", "Choose a GGUF file in it.")
        if path.exists() and not path.is_file():
            raise BadFile(f"{path} is not a file.", _ANOTHER_FILE)
    with disk_errors(path), path.open("rb") as file:
        yield file


def _header(source: Source, file_name: str, with_arrays: bool) -> Header:
    reader = _Reader(source, file_name, with_arrays)
    reader.start()
    reader.read_fields()
    return reader.header()


def _facts(reader: "_Reader") -> FirstFacts:
    architecture = reader.fields.get("general.architecture", "")

    def count(key: str) -> int | None:
        full = f"{architecture}.{key}"
        found = reader.arrays.get(full) or (reader.fields.get(full),)
        numbers = [one for one in found if isinstance(one, int) and 0 <= one < 1 << 31]
        return max(numbers) if numbers else None

    file_type = reader.fields.get("general.file_type")
    return FirstFacts(
        str(architecture), str(reader.fields.get("general.name", "")),
        file_type_name(file_type) if isinstance(file_type, int) else "",
        count("block_count"), count("attention.head_count"), count("attention.head_count_kv"),
        count("embedding_length"), count("context_length"),
        str(reader.fields.get("general.type", "")), str(reader.fields.get("general.license", "")),
    )  # fmt: skip


class _Reader:
    """One pass over a header; what was read so far is in its dictionaries."""

    def __init__(self, source: Source, file_name: str, with_arrays: bool = False) -> None:
        self.fields: dict[str, Scalar] = {}
        self.arrays: dict[str, Array] = {}
        self.array_lengths: dict[str, int] = {}
        self._cursor, self._file_name = Cursor(source, file_name), file_name
        self._with_arrays = with_arrays
        self._entries_left, self._text_bytes_left = _MOST_ENTRIES, _MOST_KEPT_TEXT_BYTES
        self._version = self._n_tensors = self._n_fields = 0

    @property
    def version(self) -> int:
        return self._version

    def start(self) -> None:
        """The magic, the version and the two counts."""
        cursor = self._cursor
        if cursor.size_bytes < len(MAGIC) or cursor.take(4) != MAGIC:
            cursor.refused("is not a GGUF file", _ANOTHER_FILE)
        self._read_version()
        self._n_tensors, self._n_fields = cursor.number("Q"), cursor.number("Q")
        self._check_count("tensors", self._n_tensors, _MOST_TENSORS, _TENSOR_BYTES)
        self._check_count("fields", self._n_fields, _MOST_FIELDS, _FIELD_BYTES)

    def read_fields(self) -> None:
        """The facts, one by one: what was read stays here when the bytes end."""
        cursor = self._cursor
        for index in range(self._n_fields):
            cursor.place = f"its field {index + 1} of {self._n_fields:,}"
            name = cursor.text(_LONGEST_NAME_BYTES)
            cursor.place = f"its field {quoted(name)}"
            if name in self.fields or name in self.array_lengths:
                cursor.damaged("a name that another field has already")
            self._value(name)

    def header(self) -> Header:
        """What follows the fields, and all of it together."""
        alignment = self._alignment()
        tensors = read_tensors(self._cursor, self._n_tensors, alignment)
        data_start = -(-self._cursor.offset // alignment) * alignment
        refuse_overlaps(tensors, self._file_name, data_start)
        return Header(
            self._file_name, self._version, self.fields, self.arrays, self.array_lengths, tensors, data_start,
            self._cursor.size_bytes,
        )  # fmt: skip

    def _read_version(self) -> None:
        cursor = self._cursor
        raw = cursor.take(4)
        (version,) = struct.unpack("<I", raw)
        if version & 0xFFFF == 0:  # written on a machine of the other byte order
            cursor.order, (version,) = ">", struct.unpack(">I", raw)
        if version not in (2, 3):
            cursor.refused(
                f"has GGUF version {version:,}, which is not known here", "Get a newer copy of the model or of Carryon."
            )
        self._version = version

    def _check_count(self, of_what: str, count: int, most: int, least_bytes: int) -> None:
        self._cursor.place = "its start"
        if most >= count > self._cursor.size_bytes // least_bytes:
            room = bytes_text(self._cursor.size_bytes)
            self._cursor.damaged(f"{count:,} {of_what}, more than a file of {room} has room for")
        if count > most:
            self._cursor.damaged(f"an impossible number of {of_what} ({count:,})")

    def _value(self, name: str) -> None:
        cursor = self._cursor
        kind = cursor.number("I")
        if kind == _ARRAY:
            self._array(name)
        elif kind == _TEXT:
            self._text(name)
        elif kind in FORMATS:
            (self.fields[name],) = cursor.numbers(kind, 1)
        else:
            cursor.damaged(f"an unknown type of value ({kind:,})")

    def _text(self, name: str) -> None:
        length = self._cursor.number("Q")
        if length > min(_LONGEST_KEPT_TEXT_BYTES, self._text_bytes_left):
            self._cursor.skip(length)
            return
        self._text_bytes_left -= length
        self.fields[name] = self._cursor.take(length).decode("utf-8", "replace")

    def _array(self, name: str) -> None:
        kind, count = self._cursor.number("I"), self._cursor.number("Q")
        self.array_lengths[name] = count
        if kind == _TEXT:
            self._texts(name, count)
        elif kind in FORMATS:
            self._numbers(name, kind, count)
        elif kind == _ARRAY:
            self._skip_nested(count)
        else:
            self._cursor.damaged(f"a list of an unknown type of value ({kind:,})")

    def _numbers(self, name: str, kind: int, count: int) -> None:
        if count * WIDTHS[kind] > self._cursor.left_bytes:
            self._too_long(count)
        if (self._with_arrays or count <= _MOST_KEPT_NUMBERS) and self._may_keep(count):
            self.arrays[name] = self._cursor.numbers(kind, count)
        else:
            self._cursor.skip(count * WIDTHS[kind])

    def _texts(self, name: str, count: int) -> None:
        if count * 8 > self._cursor.left_bytes or not self._may_keep(count):
            self._too_long(count)
        if self._with_arrays:
            before = self._cursor.offset
            self.arrays[name] = self._cursor.texts(count, self._text_bytes_left + 8 * count)
            self._text_bytes_left -= self._cursor.offset - before - 8 * count
        else:
            self._cursor.skip_texts(count)

    def _skip_nested(self, count: int) -> None:
        """A list of lists: gguf.md allows it, nothing known writes it, llama.cpp refuses it."""
        if count * 12 > self._cursor.left_bytes or count > _MOST_NESTED_LISTS:
            self._too_long(count)
        for _ in range(count):
            kind, length = self._cursor.number("I"), self._cursor.number("Q")
            if kind not in FORMATS:
                self._cursor.damaged(f"a list of lists of a type that is not known here ({kind:,})")
            self._cursor.skip(length * WIDTHS[kind])

    def _may_keep(self, count: int) -> bool:
        if count > self._entries_left:
            return False
        self._entries_left -= count
        return True

    def _too_long(self, count: int) -> None:
        self._cursor.damaged(f"an impossible length ({count:,} entries)")

    def _alignment(self) -> int:
        alignment = self.fields.get("general.alignment", _DEFAULT_ALIGNMENT)
        self._cursor.place = "its field “general.alignment”"
        if not isinstance(alignment, int) or not 0 < alignment <= _LARGEST_ALIGNMENT:
            self._cursor.damaged(f"an impossible value ({alignment})")
        return int(alignment)
