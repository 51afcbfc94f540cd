"""Models that lie on the disk more than once, told by their hashes, and the space that one copy of each would leave.

Only files of one size can be the same, only those with the same ends need to be read, and a hash that somebody knows
already (a download's origin, a blob's name) is not worked out again. Links to one file are one file.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from carryon.base.files import disk_errors
from carryon.base.jobs import Progress
from carryon.hub.library.entry import Entry
from carryon.hub.library.index import Index
from carryon.hub.library.walking import file_at

_BLOCK_BYTES = 1 << 20
_END_BYTES = 1 << 16
_HEARTBEAT_S = 0.1


@dataclass(frozen=True)
class Copies:
    """Entries with the same content; the first one is to stay."""

    entries: tuple[Entry, ...]
    wins_bytes: int  # if only one of them stayed


def finding_copies(entries: Iterable[Entry], index: Index) -> Generator[Progress | None, None, tuple[Copies, ...]]:
    """Compares what could be the same, reading as little as possible. The progress counts bytes to be hashed."""
    alike: list[list[Entry]] = []
    for group in _of_one_size(entries):
        yield None
        alike += _grouped(group, _ends)
    total = sum(_unknown_bytes(entry, index) for group in alike for entry in group)
    hashes: dict[Path, Hashable] = {}
    done = 0
    for entry in (one for group in alike for one in group):
        done = yield from _hashing(entry, index, hashes, done, total)
    same = [_copies(found) for group in alike for found in _grouped(group, lambda one: hashes.get(one.path))]
    return tuple(sorted(same, key=lambda one: -one.wins_bytes))


def _of_one_size(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Groups of entries that could be the same by the sizes of their files; one of several links to a file each."""
    by_sizes: dict[Hashable, dict[Hashable, Entry]] = defaultdict(dict)
    for entry in entries:
        sizes = _sizes(entry)
        if sizes and all(sizes):
            by_sizes[sizes].setdefault(_identity(entry.path), entry)
    return [list(group.values()) for group in by_sizes.values() if len(group) > 1]


def _sizes(entry: Entry) -> tuple[int, ...]:
    files = [file_at(part) for part in entry.parts]
    return tuple(file.size_bytes if file else 0 for file in files)


def _identity(path: Path) -> Hashable:
    """What all links to one file have in common."""
    try:
        told = path.stat()
    except OSError:
        return path
    return (told.st_dev, told.st_ino) if told.st_ino else path


def _grouped(group: Sequence[Entry], key: Callable[[Entry], Hashable]) -> list[list[Entry]]:
    """Those of a group that have the same key; None is no key."""
    by_key: dict[Hashable, list[Entry]] = defaultdict(list)
    for entry in group:
        if (own := key(entry)) is not None:
            by_key[own].append(entry)
    return [same for same in by_key.values() if len(same) > 1]


def _ends(entry: Entry) -> bytes | None:
    """The first and the last bytes of a model: other models of its size differ there."""
    try:
        with entry.path.open("rb") as first, entry.parts[-1].open("rb") as last:
            last.seek(max(0, entry.parts[-1].stat().st_size - _END_BYTES))
            return first.read(_END_BYTES) + last.read(_END_BYTES)
    except OSError:
        return None


def _unknown_bytes(entry: Entry, index: Index) -> int:
    """How much of it has to be read for its hash."""
    if entry.sha256:
        return 0
    files = [file for part in entry.parts if (file := file_at(part))]
    return sum(file.size_bytes for file in files if not index.sha256(file))


def _hashing(
    entry: Entry, index: Index, hashes: dict[Path, Hashable], done: int, total: int
) -> Generator[Progress | None, None, int]:
    """Puts the hashes of all its parts into `hashes`; a file that cannot be read has none. Returns the bytes done."""
    if entry.sha256:
        hashes[entry.path] = (entry.sha256,)
        return done
    found: list[str] = []
    for part in entry.parts:
        if not (file := file_at(part)):
            return done
        sha256 = index.sha256(file)
        if sha256 is None:
            sha256 = yield from hashing(part, done, total)
            index.keep_sha256(file, sha256)
            done += file.size_bytes
        found.append(sha256)
    hashes[entry.path] = tuple(found)
    return done


def hashing(path: Path, done: int = 0, total: int | None = None) -> Generator[Progress | None, None, str]:
    """The SHA-256 of a file. Raises BadFile when it cannot be read."""
    made, beat_s = hashlib.sha256(), time.monotonic()
    with disk_errors(path), path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            made.update(block)
            done += len(block)
            if time.monotonic() - beat_s > _HEARTBEAT_S:
                yield Progress(done, total, path.name)
                beat_s = time.monotonic()
    return made.hexdigest()


def _copies(same: Sequence[Entry]) -> Copies:
    """What another program keeps stays before what Carryon can put into its trash."""
    ordered = sorted(same, key=lambda one: (one.is_own, str(one.path)))
    return Copies(tuple(ordered), (len(ordered) - 1) * ordered[0].size_bytes)
