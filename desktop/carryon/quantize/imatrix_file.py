"""Importance matrices on the disk: llama.cpp's GGUF form, read strictly and written; its older binary form, read.

The GGUF form is that of tools/imatrix/imatrix.cpp and common/imatrix-loader.cpp of llama.cpp 0c1e57098: for each
matrix NAME the sums of squares of what was multiplied with each column (NAME.in_sum2) and of how many vectors
(NAME.counts, one for all or one for each expert).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import BadFile
from carryon.base.files import disk_errors
from carryon.gguf.cursor import quoted
from carryon.gguf.header import MAGIC, Header, read_header
from carryon.gguf.quants import GGML_TYPES_BY_NAME
from carryon.gguf.tensors import TensorInfo

Floats = NDArray[np.float32]
KIND = "imatrix"
TEXT_SUM = "carryon.imatrix.text_sha256"
MODEL = "carryon.imatrix.model"
_SUMS, _COUNTS = ".in_sum2", ".counts"
_F32 = GGML_TYPES_BY_NAME["F32"].type_id
_ALIGNMENT = 32
_U32, _TEXT, _ARRAY = 4, 8, 9  # gguf_metadata_value_type of ggml/docs/gguf.md
_MOST_LEGACY_ENTRIES, _LONGEST_LEGACY_NAME = 1 << 16, 1 << 10
_ANOTHER = "Choose a file that llama.cpp's imatrix tool or “carryon imatrix” made, or make one anew."


@dataclass(frozen=True)
class Entry:
    """What is known of one matrix: the sums of each of its parts (one, or one for each expert) in a row."""

    sums: Floats  # [n counts, n values]
    counts: Floats  # [n counts]

    @property
    def weights(self) -> Floats:
        """How much each column matters, all experts in one row; 1 for experts that no token was sent to."""
        counts = self.counts[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(counts > 0, self.sums / counts, np.float32(1)).astype(np.float32).ravel()

    @property
    def n_idle(self) -> int:
        """Experts that no token was sent to."""
        return int((self.counts == 0).sum())


@dataclass(frozen=True)
class Importance:
    """An importance matrix: entries by the name of the model's tensor."""

    entries: Mapping[str, Entry]
    datasets: tuple[str, ...] = ()
    n_chunks: int = 0
    chunk_tokens: int = 0
    text_sha256: str = ""  # of the text it was made from; '' where somebody else made it
    model: str = ""


def read_importance(path: Path) -> Importance:
    """Reads a file of either form. Raises BadFile that says what is wrong with it."""
    with disk_errors(path), path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return _legacy(path, file)
    return _modern(path, read_header(path, with_arrays=True))


def write_importance(out: BinaryIO, importance: Importance) -> None:
    """Writes the GGUF form."""
    texts = {TEXT_SUM: importance.text_sha256, MODEL: importance.model}
    fields = [
        _key("general.type", _TEXT) + _packed(KIND),
        _key("imatrix.datasets", _ARRAY) + _packed_list(importance.datasets),
        _key("imatrix.chunk_count", _U32) + struct.pack("<I", importance.n_chunks),
        _key("imatrix.chunk_size", _U32) + struct.pack("<I", importance.chunk_tokens),
        *(_key(key, _TEXT) + _packed(text) for key, text in texts.items() if text),
    ]
    tensors = list(_tensors(importance))
    infos, offset = [], 0
    for name, values in tensors:
        infos.append(_packed(name) + struct.pack("<IQQIQ", 2, values.shape[1], values.shape[0], _F32, offset))
        offset += values.nbytes + -values.nbytes % _ALIGNMENT
    head = MAGIC + struct.pack("<IQQ", 3, len(tensors), len(fields)) + b"".join([*fields, *infos])
    out.write(head + bytes(-len(head) % _ALIGNMENT))
    for _, values in tensors:
        out.write(np.ascontiguousarray(values, "<f4").data)
        out.write(bytes(-values.nbytes % _ALIGNMENT))


def _tensors(importance: Importance) -> Iterator[tuple[str, Floats]]:
    for name in sorted(importance.entries):
        entry = importance.entries[name]
        yield name + _SUMS, entry.sums
        yield name + _COUNTS, entry.counts[:, None]


def _modern(path: Path, header: Header) -> Importance:
    if header.fields.get("general.type", KIND) != KIND or "imatrix.chunk_count" not in header.fields:
        raise BadFile(f"{path.name} is a GGUF file, but no importance matrix.", _ANOTHER)
    if not header.is_whole:
        _refuse(path, "it ends before its last values do")
    tensors = {one.name: one for one in header.tensors}
    names = sorted({name.removesuffix(_SUMS).removesuffix(_COUNTS) for name in tensors})
    if not names:
        _refuse(path, "it holds no values")
    with disk_errors(path), path.open("rb") as file:
        if file.read(8) != MAGIC + struct.pack("<I", header.version):
            _refuse(path, "it was written on a machine of another byte order")
        entries = {name: _entry(path, file, header, tensors, name) for name in names}
    return Importance(
        entries, tuple(map(str, header.arrays.get("imatrix.datasets", ()))), _count(header, "imatrix.chunk_count"),
        _count(header, "imatrix.chunk_size"), str(header.fields.get(TEXT_SUM, "")), str(header.fields.get(MODEL, "")),
    )  # fmt: skip


def _entry(path: Path, file: BinaryIO, header: Header, tensors: Mapping[str, TensorInfo], name: str) -> Entry:
    sums, counts = tensors.get(name + _SUMS), tensors.get(name + _COUNTS)
    if sums is None or counts is None:
        _refuse(path, f"{quoted(name)} has no pair of sums and counts")
    if sums.type_id != _F32 or counts.type_id != _F32:
        _refuse(path, f"{quoted(name)} has values that are not of the type F32")
    if not counts.n_elements or not sums.n_elements or sums.n_elements % counts.n_elements:
        _refuse(path, f"{quoted(name)} has {sums.n_elements:,} sums and {counts.n_elements:,} counts")
    found = [_values(file, header.data_start_bytes + one.offset_bytes, one.n_elements) for one in (sums, counts)]
    return _checked(path, name, Entry(found[0].reshape(counts.n_elements, -1), found[1]))


def _checked(path: Path, name: str, entry: Entry) -> Entry:
    for values in (entry.sums, entry.counts):
        if not np.isfinite(values).all() or (values < 0).any():
            _refuse(path, f"{quoted(name)} has values that cannot be")
    return entry


def _count(header: Header, key: str) -> int:
    value = header.fields.get(key, 0)
    return value if isinstance(value, int) and 0 <= value < 1 << 31 else 0


def _legacy(path: Path, file: BinaryIO) -> Importance:
    """int32 n; n times: name, calls, values (means times calls); then the number of chunks and the text's name."""
    file.seek(0)
    size_bytes = path.stat().st_size
    n_entries = _int(path, file)
    if not 0 < n_entries <= _MOST_LEGACY_ENTRIES:
        raise BadFile(f"{path.name} is no importance matrix.", _ANOTHER)
    entries = {}
    for _ in range(n_entries):
        name = _legacy_text(path, file)
        n_calls, n_values = _int(path, file), _int(path, file)
        if n_values <= 0 or 4 * n_values > size_bytes - file.tell():
            _refuse(path, f"{quoted(name)} has an impossible number of values ({n_values:,})")
        values = _values(file, file.tell(), n_values)
        calls = np.array([max(n_calls, 1)], np.float32)
        entries[name] = _checked(path, name, Entry(values.reshape(1, -1), calls))
    if not file.read(1):  # the oldest ones end here
        return Importance(entries)
    file.seek(-1, 1)
    n_chunks = _int(path, file)
    return Importance(entries, (_legacy_text(path, file),), max(n_chunks, 0))


def _legacy_text(path: Path, file: BinaryIO) -> str:
    length = _int(path, file)
    if not 0 < length <= _LONGEST_LEGACY_NAME:
        _refuse(path, "it has a name of an impossible length")
    content = file.read(length)
    if len(content) < length:
        _refuse(path, "it ends inside a name")
    return content.decode("utf-8", "replace")


def _int(path: Path, file: BinaryIO) -> int:
    content = file.read(4)
    if len(content) < 4:
        _refuse(path, "it ends too early")
    return int(struct.unpack("<i", content)[0])


def _values(file: BinaryIO, start_bytes: int, count: int) -> Floats:
    """The caller has made sure that the file is long enough; it may have been cut since."""
    file.seek(start_bytes)
    values = np.frombuffer(file.read(4 * count), "<f4")
    if len(values) < count:
        raise BadFile("The importance matrix changed while it was read.", "Try again.")
    return values.astype(np.float32, copy=False)


def _refuse(path: Path, what: str) -> NoReturn:
    raise BadFile(f"The importance matrix {path.name} is damaged: {what}.", _ANOTHER)


def _key(name: str, kind: int) -> bytes:
    return _packed(name) + struct.pack("<I", kind)


def _packed(text: str) -> bytes:
    encoded = text.encode("utf-8", "replace")  # a file's name need not be Unicode
    return struct.pack("<Q", len(encoded)) + encoded


def _packed_list(texts: Any) -> bytes:
    return struct.pack("<IQ", _TEXT, len(texts)) + b"".join(map(_packed, texts))
