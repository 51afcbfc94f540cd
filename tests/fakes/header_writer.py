"""Writes GGUF headers byte by byte, sound or not: written by the format's description alone, so it can be an oracle.

The tail is sparse: a few kilobytes on disk, the true size in the directory. Never load such a file for real with mmap
off: its zeros would fill the memory.
"""

import struct
from dataclasses import dataclass

from carryon.gguf.quants import GGML_TYPES_BY_NAME

ALIGNMENT = 32
_KINDS = {"u8": 0, "i8": 1, "u16": 2, "i16": 3, "u32": 4, "i32": 5, "f32": 6, "bool": 7, "str": 8, "list": 9,
          "u64": 10, "i64": 11, "f64": 12}  # fmt: skip
_CODES = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f", "bool": "?", "u64": "Q",
          "i64": "q", "f64": "d"}  # fmt: skip


@dataclass(frozen=True)
class Typed:
    """A value whose type in the file is not the usual one of its Python type."""

    kind: str
    value: object


@dataclass(frozen=True)
class HeaderWriter:
    """One byte order and one version of the format."""

    order: str = "<"
    version: int = 3
    alignment: int = ALIGNMENT

    def header(self, fields, tensors):
        """The bytes before the tensors' data; `tensors` are (name, shape, type name, or a number that is none)."""
        start = b"GGUF" + self._pack("I", self.version) + self._pack("QQ", len(tensors), len(fields))
        body = b"".join(self._text(name) + self._field(value) for name, value in fields.items())
        infos, offset = b"", 0
        for name, shape, type_name in tensors:
            type_id = type_name if isinstance(type_name, int) else GGML_TYPES_BY_NAME[type_name].type_id
            infos += self.tensor_info(name, shape, type_id, offset)
            offset += self._padded(size_bytes(shape, type_name))
        whole = start + body + infos
        return whole + bytes(-len(whole) % self.alignment)

    def tensor_info(self, name, shape, type_id, offset):
        """One entry of the list of tensors."""
        extents = b"".join(self._pack("Q", extent) for extent in shape)
        return self._text(name) + self._pack("I", len(shape)) + extents + self._pack("IQ", type_id, offset)

    def write(self, path, fields, tensors):
        """The header and a sparse tail of the true size; returns the path."""
        with path.open("wb") as file:
            file.write(self.header(fields, tensors))
            file.truncate(file.tell() + sum(self._padded(size_bytes(shape, kind)) for _, shape, kind in tensors))
        return path

    def _field(self, value):
        kind, value = (value.kind, value.value) if isinstance(value, Typed) else (_kind_of(value), value)
        if isinstance(value, list | tuple):
            return self._pack("I", _KINDS["list"]) + self._list(kind, value)
        return self._pack("I", _KINDS[kind]) + self._value(kind, value)

    def _list(self, kind, values):
        return self._pack("IQ", _KINDS[kind], len(values)) + b"".join(self._value(kind, one) for one in values)

    def _value(self, kind, value):
        return self._text(value) if kind == "str" else self._pack(_CODES[kind], value)

    def _text(self, text):
        content = text if isinstance(text, bytes) else text.encode()
        return self._pack("Q", len(content)) + content

    def _pack(self, codes, *values):
        return struct.pack(self.order + codes, *values)

    def _padded(self, count):
        return -(-count // self.alignment) * self.alignment


def size_bytes(shape, type_name):
    """Bytes of a tensor without padding; ggml's types store whole rows only."""
    if isinstance(type_name, int):
        return 0
    kind, count = GGML_TYPES_BY_NAME[type_name], 1
    assert shape[0] % kind.block_elements == 0, f"{type_name} cannot store rows of {shape[0]}"
    for extent in shape:
        count *= extent
    return kind.size_bytes(count)


def _kind_of(value):
    if isinstance(value, list | tuple):
        return _kind_of(value[0]) if value else "i32"
    kinds = {bool: "bool", str: "str", float: "f32", int: "u32"}
    return kinds[type(value)]
