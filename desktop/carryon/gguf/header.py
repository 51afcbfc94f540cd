"""A bounded reader of GGUF headers: the scalar facts and the tensors' extent, nothing mapped, nothing trusted.

Format: ggml/docs/gguf.md. Every count and length is checked against the file's size before anything is read,
so a hostile file costs neither memory nor time. Arrays (a vocabulary) are stepped over.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from carryon.base.errors import BadFile
from carryon.base.files import disk_errors

MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_LONGEST_STRING = 1 << 20
_MOST_ENTRIES = 1 << 20
_MOST_DIMENSIONS = 4
_DEFAULT_ALIGNMENT = 32
_ANOTHER_FILE = "Choose a GGUF model. A download may be damaged: get it again; other formats must be converted first."
# Bytes and elements of one block by ggml type (ggml.h, ggml-common.h of llama.cpp 0c1e57098).
_BLOCKS = {
    0: (4, 1), 1: (2, 1), 2: (18, 32), 3: (20, 32), 6: (22, 32), 7: (24, 32), 8: (34, 32), 9: (36, 32),
    10: (84, 256), 11: (110, 256), 12: (144, 256), 13: (176, 256), 14: (210, 256), 15: (292, 256),
    16: (66, 256), 17: (74, 256), 18: (98, 256), 19: (50, 256), 20: (18, 32), 21: (110, 256), 22: (82, 256),
    23: (136, 256), 24: (1, 1), 25: (2, 1), 26: (4, 1), 27: (8, 1), 28: (8, 1), 29: (56, 256), 30: (2, 1),
    34: (54, 256), 35: (66, 256), 39: (17, 32), 40: (36, 64),
}  # fmt: skip

Scalar = int | float | bool | str


@dataclass(frozen=True)
class Header:
    """What a GGUF file says about itself. `data_end_bytes` is None when a tensor has a type unknown here."""

    version: int
    n_tensors: int
    fields: dict[str, Scalar]
    size_bytes: int
    data_end_bytes: int | None

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
    def is_whole(self) -> bool:
        """False when the file ends before its last tensor does."""
        return self.data_end_bytes is None or self.data_end_bytes <= self.size_bytes

    def _count(self, name: str) -> int:
        value = self.fields.get(f"{self.architecture}.{name}", 0)
        return value if isinstance(value, int) and 0 <= value < 1 << 31 else 0


def read_header(path: Path) -> Header:
    """Reads the header of one GGUF file. Raises BadFile, saying what is wrong, when it is not a sound one."""
    with disk_errors(path), path.open("rb") as file:
        size_bytes = path.stat().st_size
        return _Reader(file, path, size_bytes).header()


class _Reader:
    """One pass over a header, every step bounded by the bytes that are left."""

    def __init__(self, file: BinaryIO, path: Path, size_bytes: int) -> None:
        self._file, self._path, self._size_bytes = file, path, size_bytes
        self._order = "<"

    def header(self) -> Header:
        if self._take(4) != MAGIC:
            raise self._not_gguf()
        version = self._version()
        n_tensors, n_fields = self._number("Q"), self._number("Q")
        if max(n_tensors, n_fields) > _MOST_ENTRIES:
            raise self._damaged("its counts are impossible")
        fields = dict(field for _ in range(n_fields) if (field := self._field()) is not None)
        extent = self._tensors_extent(n_tensors)
        alignment = fields.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
            raise self._damaged("its alignment is impossible")
        start = -(-self._file.tell() // alignment) * alignment
        return Header(version, n_tensors, fields, self._size_bytes, None if extent is None else start + extent)

    def _version(self) -> int:
        raw = self._take(4)
        version = int(struct.unpack("<I", raw)[0])
        if version & 0xFFFF == 0:
            self._order, version = ">", struct.unpack(">I", raw)[0]
        if version not in (2, 3):
            raise self._bad(
                f"has GGUF version {version}, which is not known here", "Get a newer copy of the model or of Carryon."
            )
        return version

    def _field(self) -> tuple[str, Scalar] | None:
        name, kind = self._string(), self._number("I")
        if kind == _ARRAY:
            self._skip_array(depth=0)
            return None
        if kind == _STRING:
            return name, self._string()
        return name, self._scalar(kind)

    def _scalar(self, kind: int) -> Scalar:
        if kind not in _FORMATS:
            raise self._damaged("a field has an unknown type")
        value: Scalar = struct.unpack(self._order + _FORMATS[kind], self._take(struct.calcsize(_FORMATS[kind])))[0]
        return value

    def _skip_array(self, depth: int) -> None:
        kind, count = self._number("I"), self._number("Q")
        if depth > 2 or count > self._size_bytes:
            raise self._damaged("an array is longer than the file")
        if kind in _FORMATS:
            self._skip(count * struct.calcsize(_FORMATS[kind]))
        elif kind == _STRING:
            for _ in range(count):
                self._skip(self._number("Q"))
        elif kind == _ARRAY:
            for _ in range(count):
                self._skip_array(depth + 1)
        else:
            raise self._damaged("an array has an unknown type")

    def _tensors_extent(self, n_tensors: int) -> int | None:
        """Bytes from the start of the data to the end of the last tensor."""
        ends = [self._tensor_end() for _ in range(n_tensors)]
        known = [end for end in ends if end is not None]
        return None if len(known) < len(ends) else max(known, default=0)

    def _tensor_end(self) -> int | None:
        self._string()
        n_dimensions = self._number("I")
        if n_dimensions > _MOST_DIMENSIONS:
            raise self._damaged("a tensor has too many dimensions")
        n_elements = 1
        for _ in range(n_dimensions):
            n_elements *= self._number("Q")
        kind, offset = self._number("I"), self._number("Q")
        if kind not in _BLOCKS:
            return None
        block_bytes, block_elements = _BLOCKS[kind]
        return offset + n_elements * block_bytes // block_elements

    def _string(self) -> str:
        length = self._number("Q")
        if length > _LONGEST_STRING:
            raise self._damaged("a text is too long")
        return self._take(length).decode("utf-8", "replace")

    def _number(self, code: str) -> int:
        return int(struct.unpack(self._order + code, self._take(struct.calcsize(code)))[0])

    def _take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise self._cut()
        return data

    def _skip(self, count: int) -> None:
        if count > self._size_bytes - self._file.tell():
            raise self._cut()
        self._file.seek(count, 1)

    def _cut(self) -> BadFile:
        if self._size_bytes < len(MAGIC):
            return self._not_gguf()
        return self._damaged("it ends in the middle of its header")

    def _not_gguf(self) -> BadFile:
        return self._bad("is not a GGUF file", _ANOTHER_FILE)

    def _damaged(self, what: str) -> BadFile:
        return self._bad(f"is damaged: {what}", "Download the file again.")

    def _bad(self, what: str, hint: str) -> BadFile:
        return BadFile(f"{self._path.name} {what}.", hint)
