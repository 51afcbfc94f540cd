"""Which bytes of an unfinished file are here: a small JSON beside it, true even after a power cut.

    model.gguf.part.json   {"version", "url", "etag", "sum", "size_bytes", "done": [[start, end], ...],
                            "mark_bytes", "marks": [...]}

A mark is the beginning of the sum of everything before it, as it was received: what the disk gives back later must sum
up to the same. Everything in it is checked when it is read: a record that makes no sense is no record.
"""

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from carryon.base.files import disk_errors, sync_folder

VERSION = 1
MARK_LETTERS = 16  # 64 bits: marks find damage, the whole sum is what proves a file
_LARGEST_BYTES = 4 << 20
_MARK = re.compile(rf"[0-9a-f]{{{MARK_LETTERS}}}")


@dataclass(frozen=True)
class Identity:
    """Which file it is: two downloads with the same identity are of the same bytes."""

    etag: str
    sum: str  # “sha256:…”, “git:…” or “”
    size_bytes: int


@dataclass(frozen=True)
class Record:
    """What is here of it."""

    identity: Identity
    done: tuple[tuple[int, int], ...] = ()  # from, up to
    mark_bytes: int = 0
    marks: tuple[str, ...] = ()

    @property
    def done_bytes(self) -> int:
        return sum(end - start for start, end in self.done)


def sidecar_file(target: Path) -> Path:
    """Where it is kept which bytes are here."""
    return target.with_name(target.name + ".part.json")


def keep(target: Path, record: Record, url: str) -> None:
    """Replaces the record in one step; the url is for people. Raises NoRoom and BadFile."""
    told = {"version": VERSION, "url": url.split("?")[0], **asdict(record.identity)}
    told |= {"done": record.done, "mark_bytes": record.mark_bytes, "marks": record.marks}
    path = sidecar_file(target)
    fresh = path.with_name(path.name + ".new")
    with disk_errors(path):
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(told).encode())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)


def kept(target: Path) -> Record | None:
    """The record beside this file; None where there is none that makes sense."""
    try:
        with sidecar_file(target).open("rb") as file:
            told = json.loads(file.read(_LARGEST_BYTES))
        return _record(told)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def forget(target: Path) -> None:
    """Removes the record."""
    path = sidecar_file(target)
    for one in (path, path.with_name(path.name + ".new")):
        with suppress(OSError):
            one.unlink()


def _record(told: dict[str, object]) -> Record | None:
    size_bytes, mark_bytes = told["size_bytes"], told["mark_bytes"]
    if told["version"] != VERSION or not isinstance(size_bytes, int) or not isinstance(mark_bytes, int):
        return None
    done = _ranges(told["done"], size_bytes)
    marks = told["marks"]
    if mark_bytes <= 0 or not isinstance(marks, list) or not all(map(_MARK.fullmatch, marks)):
        return None
    if done is None or len(marks) * mark_bytes > size_bytes:
        return None
    identity = Identity(str(told["etag"]), str(told["sum"]), size_bytes)
    return Record(identity, done, mark_bytes, tuple(marks))


def _ranges(told: object, size_bytes: int) -> tuple[tuple[int, int], ...] | None:
    """The ranges if they rise, do not touch and lie within the file."""
    if not isinstance(told, list):
        return None
    ranges, before = [], -1
    for start, end in told:
        if not isinstance(start, int) or not isinstance(end, int) or not before < start < end <= size_bytes:
            return None
        ranges.append((start, end))
        before = end
    return tuple(ranges)
