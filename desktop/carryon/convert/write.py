"""A GGUF file's bytes: header, settings, the list of tensors, then each tensor at a multiple of 32 bytes.

The format: github.com/ggml-org/ggml/blob/master/docs/gguf.md. gguf's own writer packs long arrays item by item
(half a second without a yield for a large vocabulary) and opens the file itself; here the caller owns the file.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gguf.constants import GGUF_DEFAULT_ALIGNMENT, GGUF_VERSION, GGUFValueType
from numpy.typing import NDArray

from carryon.convert.forms import GgmlType

Setting = bool | int | float | str | Sequence[str] | NDArray[Any]
ALIGNMENT = int(GGUF_DEFAULT_ALIGNMENT)

# Whole numbers are unsigned 32-bit, because llama.cpp asks for its sizes and ids in that type.
SCALARS: dict[type, tuple[int, str]] = {
    bool: (int(GGUFValueType.BOOL), "<?"),
    int: (int(GGUFValueType.UINT32), "<I"),
    float: (int(GGUFValueType.FLOAT32), "<f"),
}
ARRAYS = {
    "float32": int(GGUFValueType.FLOAT32),
    "int32": int(GGUFValueType.INT32),
    "uint8": int(GGUFValueType.UINT8),
    "bool": int(GGUFValueType.BOOL),
}
STRING, ARRAY = int(GGUFValueType.STRING), int(GGUFValueType.ARRAY)


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's line in the list; the shape has the slowest axis first, as in Python."""

    name: str
    shape: tuple[int, ...]
    form: GgmlType

    @property
    def size_bytes(self) -> int:
        n_values = 1
        for length in self.shape:
            n_values *= length
        return self.form.size_bytes(n_values)


def header_bytes(settings: Mapping[str, Setting], tensors: Sequence[TensorInfo]) -> bytes:
    """Everything before the first tensor's bytes, padded."""
    parts = [b"GGUF", struct.pack("<IQQ", int(GGUF_VERSION), len(tensors), len(settings))]
    for key, value in settings.items():
        parts += [_text(key), _value(value)]
    offset = 0
    for tensor in tensors:
        parts.append(_info(tensor, offset))
        offset += tensor.size_bytes + padding(tensor.size_bytes)
    head = b"".join(parts)
    return head + bytes(padding(len(head)))


def padding(size_bytes: int) -> int:
    """Bytes up to the next place where a tensor may start."""
    return -size_bytes % ALIGNMENT


def _text(value: str) -> bytes:
    encoded = value.encode("utf-8", "replace")  # a folder's name need not be Unicode
    return struct.pack("<Q", len(encoded)) + encoded


def _value(value: Setting) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _text(value)
    if type(value) in SCALARS:
        kind, layout = SCALARS[type(value)]
        return struct.pack("<I", kind) + struct.pack(layout, value)
    if isinstance(value, np.ndarray):
        return struct.pack("<IIQ", ARRAY, ARRAYS[value.dtype.name], len(value)) + value.tobytes()
    assert isinstance(value, Sequence)
    return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(map(_text, value))


def _info(tensor: TensorInfo, offset: int) -> bytes:
    shape = tensor.shape[::-1]  # GGUF has the fastest axis first
    return _text(tensor.name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, tensor.form, offset)
