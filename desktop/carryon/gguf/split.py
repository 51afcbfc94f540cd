"""A model in several files (`big-00001-of-00005.gguf`) is one model, whichever of its parts is named."""

import re
from collections.abc import Sequence
from pathlib import Path

from carryon.base.errors import BadFile
from carryon.base.units import bytes_text
from carryon.gguf.cursor import DAMAGED_HINT, quoted
from carryon.gguf.header import Header, read_header

_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_MOST_PARTS = 1000


def parts_of(path: Path) -> tuple[Path, ...]:
    """The files that a model should have by its name, the first one first; `path` alone when its name says nothing."""
    named = _PART.fullmatch(path.name)
    if not named or not 1 <= int(named["number"]) <= int(named["count"]) <= _MOST_PARTS:
        return (path,)
    count, suffix = int(named["count"]), path.name[-len(".gguf") :]
    return tuple(path.with_name(f"{named['stem']}-{part:05}-of-{count:05}{suffix}") for part in range(1, count + 1))


def read_model(path: Path) -> tuple[Header, ...]:
    """The headers of all parts in their order. Raises BadFile that names a missing, foreign or cut part."""
    parts = parts_of(path)
    if len(parts) > 1 and path.is_file():
        _refuse_missing(parts)
    headers = tuple(read_header(part) for part in parts) if path.is_file() else (read_header(path),)
    _refuse_foreign(headers)
    for header in headers:
        _refuse_cut(header)
    return headers


def _refuse_missing(parts: Sequence[Path]) -> None:
    missing = [part.name for part in parts if not part.is_file()]
    if not missing:
        return
    others = f" and {len(missing) - 1} more of its {len(parts)} parts" if len(missing) > 1 else ""
    verb = "are" if others else "is"
    raise BadFile(f"{missing[0]}{others} {verb} missing in {parts[0].parent}.",
                  "Put all parts of the model into one folder, or download the missing ones.")  # fmt: skip


def _refuse_foreign(headers: Sequence[Header]) -> None:
    """Each part says which of how many it is (split.no, split.count): the engine trusts these, so they must be true."""
    for number, header in enumerate(headers):
        count, own = _said(header, "split.count", 1), _said(header, "split.no", number)
        if max(count, 1) != len(headers):
            raise BadFile(f"{header.file_name} says that it is one of {count} parts, but its name does not.",
                          "Give the file back its name, with “-00001-of-00005” and so on at its end.")  # fmt: skip
        if own != number:
            raise BadFile(f"{header.file_name} is part {own + 1} by what it says, and part {number + 1} by its name.",
                          "Give the file back its name, or download it again.")  # fmt: skip
    promised, found = _said(headers[0], "split.tensors.count", 0), sum(header.n_tensors for header in headers)
    if len(headers) > 1 and promised and promised != found:
        raise BadFile(f"{headers[0].file_name} announces {promised:,} tensors, but its parts have {found:,}.",
                      "The parts are of different models: download them again.")  # fmt: skip


def _refuse_cut(header: Header) -> None:
    if header.is_whole:
        return
    last = max(header.tensors, key=lambda one: one.end_bytes)
    needed = header.data_start_bytes + last.end_bytes
    raise BadFile(
        f"{header.file_name} is not whole: it ends before its tensor {quoted(last.name)} does,"
        f" after {bytes_text(header.size_bytes)} of {bytes_text(needed)}.", DAMAGED_HINT,
    )  # fmt: skip


def _said(header: Header, key: str, default: int) -> int:
    value = header.fields.get(key, default)
    return value if isinstance(value, int) else default
