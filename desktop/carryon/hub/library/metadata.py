"""Everything that a GGUF file says about itself, as lines to read and to search."""

from dataclasses import dataclass
from pathlib import Path

from carryon.gguf.cursor import shown
from carryon.gguf.header import Array, Header, Scalar, read_header

_LONGEST_VALUE = 20_000  # a chat template is worth reading whole
_MOST_ITEMS = 64


@dataclass(frozen=True)
class MetadataLine:
    """One field: its name, its type and its value as text."""

    key: str
    kind: str
    value: str


def read_metadata(path: Path) -> tuple[MetadataLine, ...]:
    """The fields of a file, in its own order. Raises BadFile."""
    return metadata_of(read_header(path))


def metadata_of(header: Header) -> tuple[MetadataLine, ...]:
    """The same of a header that was read."""
    lists = [_of_list(key, length, header.arrays.get(key)) for key, length in header.array_lengths.items()]
    return (*(_of_value(key, value) for key, value in header.fields.items()), *lists)


def _of_value(key: str, value: Scalar) -> MetadataLine:
    return MetadataLine(shown(key, 200), _kind(value), _text(value))


def _of_list(key: str, length: int, items: Array | None) -> MetadataLine:
    kind = f"list of {length:,}"
    if items is None:
        return MetadataLine(shown(key, 200), kind, "…")
    more = ", …" if length > _MOST_ITEMS else ""
    return MetadataLine(shown(key, 200), kind, ", ".join(map(_text, items[:_MOST_ITEMS])) + more)


def _kind(value: Scalar) -> str:
    names = {bool: "yes or no", int: "number", float: "number", str: "text"}
    return names[type(value)]


def _text(value: Scalar) -> str:
    """Lines stay lines; what no screen shows is replaced."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return "\n".join(shown(line, _LONGEST_VALUE) for line in str(value)[:_LONGEST_VALUE].split("\n"))
