"""One file of a repository, from the Hub to its place on the disk: whole, verified, or not there at all.

    models/owner/name/model.gguf.part         what is here so far; sparse
    models/owner/name/model.gguf.part.json    which bytes of it (sidecar.py)
    models/owner/name/model.gguf.part.lock    while a process works on it
    models/owner/name/model.gguf              the whole file, renamed from the part when its sum is right

Lanes fetch pieces near the front of the file (lane.py), which is summed as it moves on (summing.py).
"""

import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

from carryon.base.errors import BadFile
from carryon.base.files import disk_errors, sync_folder
from carryon.base.jobs import Progress, aside
from carryon.base.units import bytes_text
from carryon.hub.fetching import sidecar
from carryon.hub.fetching.bandwidth import Bandwidth
from carryon.hub.fetching.file_lock import FileLock
from carryon.hub.fetching.lane import Lane
from carryon.hub.fetching.news import Checking, Fetch, News, Retrying, StartedOver
from carryon.hub.fetching.part import Part, check_place, no_room, part_file, room_missing
from carryon.hub.fetching.pieces import MIB, mark_bytes_of
from carryon.hub.fetching.repairing import repaired
from carryon.hub.fetching.retrying import PATIENT, Patience, patiently
from carryon.hub.fetching.sidecar import Identity, Record, sidecar_file
from carryon.hub.fetching.source import Changed, Located, Source, locate
from carryon.hub.fetching.summing import fresh_digest, is_right
from carryon.hub.fetching.transfer import Transfer
from carryon.hub.origin import Origin, read_origin, write_origin

__all__ = [
    "PATIENT", "Bandwidth", "Checking", "Fetch", "News", "Patience", "Retrying", "StartedOver", "discard",
    "downloading", "part_bytes", "part_file", "room_missing", "sidecar_file",
]  # fmt: skip

N_CONNECTIONS = 4
_STEP_S = 0.1
_MOST_CHANGES = 3  # of the file on the Hub while it is downloaded
_CHANGED = "The file changed on the Hub, so its download began again."
_UNKNOWN = "What was here of the file could not be used, so its download began again."

Telling = Generator[News | None, None, None]


def downloading(
    fetch: Fetch,
    *,
    n_connections: int = N_CONNECTIONS,
    bandwidth: Bandwidth | None = None,
    patience: Patience = PATIENT,
) -> Generator[News | None, None, Path]:
    """Work: fetches the file and returns its path. Closing it keeps what is here; starting it again goes on from there.

    A network that is gone is waited for without end, another process that fetches the same file too.
    Raises NoAccess, NoRoom, BadFile and BadInput: what waiting cannot cure.
    """
    check_place(fetch.target, fetch.file.path)
    lock = FileLock(fetch.target.with_name(fetch.target.name + ".part.lock"))
    while not lock.take():
        time.sleep(_STEP_S)
        yield None
    try:
        if not (yield from _is_whole(fetch)):
            yield from _brought(fetch, n_connections, bandwidth or Bandwidth(), patience)
        discard(fetch.target)
        return fetch.target
    finally:
        lock.release()


def part_bytes(target: Path) -> int:
    """How much of an unfinished file is here."""
    record = sidecar.kept(target) if part_file(target).is_file() else None
    return record.done_bytes if record else 0


def discard(target: Path) -> None:
    """Removes an unfinished file; a whole one stays."""
    with suppress(OSError):
        part_file(target).unlink()
    sidecar.forget(target)


def _is_whole(fetch: Fetch) -> Generator[News | None, None, bool]:
    """Whether the very file is here already: by its origin, or else by its sum."""
    target, file = fetch.target, fetch.file
    if not target.is_file() or target.stat().st_size != file.size_bytes:
        return False
    known = read_origin(target)
    if known is not None and known.path == file.path and known.size_bytes == file.size_bytes:
        return known.sha256 == file.sha256 if file.sha256 else known.commit == fetch.commit
    if file.sha256 is None:
        return False
    yield Checking()
    is_same = yield from _sums_to(target, f"sha256:{file.sha256}", file.size_bytes)
    if is_same:
        _write_origin(fetch, file.sha256)
    return is_same


def _sums_to(path: Path, name: str, size_bytes: int) -> Generator[None, None, bool]:
    digest = fresh_digest(name, size_bytes)
    with disk_errors(path), path.open("rb") as file:
        while data := file.read(8 * MIB):
            digest.update(data)
            yield None
    return is_right(digest, name)


def _brought(fetch: Fetch, n_connections: int, bandwidth: Bandwidth, patience: Patience) -> Telling:
    """Fetches the file and puts it in its place, from the beginning again when it changes on the Hub meanwhile."""
    for _ in range(_MOST_CHANGES):
        located = yield from patiently(
            lambda connection: locate(connection, fetch.site, fetch.repo_id, fetch.commit, fetch.file),
            fetch.site,
            patience,
        )
        try:
            yield from _brought_from(fetch, located, n_connections, bandwidth, patience)
            return
        except Changed:
            discard(fetch.target)
            yield StartedOver(_CHANGED)
    raise BadFile(f"{fetch.file.path} keeps changing on {fetch.site.host}.", "Try again later.")


def _brought_from(
    fetch: Fetch, located: Located, n_connections: int, bandwidth: Bandwidth, patience: Patience
) -> Telling:
    source = Source(fetch.site, fetch.repo_id, fetch.commit, fetch.file, located)
    size_bytes = located.identity.size_bytes
    part = Part(fetch.target, size_bytes)
    try:
        record, lost = _here(fetch.target, part, located.identity)
        if lost:
            yield StartedOver(lost)
        _check_room(part, size_bytes - record.done_bytes)
        transfer = Transfer(fetch.target, source, part, record, bandwidth, patience)
        yield from _moved(transfer, n_connections)
        if not transfer.sum.is_right:
            yield Checking()
            if not (yield from repaired(source, part, patience)):
                raise _never_right(fetch)
        yield from aside(part.sync)
    finally:
        part.close()
    with disk_errors(fetch.target):
        part.path.replace(fetch.target)
        sync_folder(fetch.target.parent)
    _write_origin(fetch, _sha256(located.identity))


def _here(target: Path, part: Part, identity: Identity) -> tuple[Record, str]:
    """What of this file is here; with a reason where something is and cannot be used."""
    was_bytes = part.path.stat().st_size
    record = sidecar.kept(target)
    fits = (
        record is not None and record.identity == identity and record.mark_bytes == mark_bytes_of(identity.size_bytes)
    )
    if record is not None and fits and was_bytes == identity.size_bytes:
        return record, ""
    part.empty()
    sidecar.forget(target)
    lost = "" if not was_bytes else _UNKNOWN if record is None or record.identity == identity else _CHANGED
    return Record(identity), lost


def _check_room(part: Part, left_bytes: int) -> None:
    if room_missing(part.path.parent, left_bytes, reserve_bytes=0):
        raise no_room(part.path, left_bytes)


def _moved(transfer: Transfer, n_connections: int) -> Telling:
    """Runs the transfer until all is here and summed, and tells how it goes."""
    lanes = [Lane(transfer) for _ in range(max(1, min(n_connections, transfer.pieces.n_pieces)))]
    try:
        transfer.start([lane.run for lane in lanes])
        yield from _watched(transfer)
    finally:
        transfer.end(lambda: _aborted(lanes))
    if transfer.error is not None:
        raise transfer.error


def _watched(transfer: Transfer) -> Telling:
    """News of a running transfer, at most ten a second."""
    told: News | None = None
    while not transfer.over.wait(_STEP_S):
        news = _news(transfer)
        is_new = news != told and not (
            isinstance(news, Retrying) and isinstance(told, Retrying) and news.why is told.why
        )
        yield news if is_new else None
        told = news
    yield Progress(transfer.pieces.done_bytes, transfer.pieces.size_bytes)


def _news(transfer: Transfer) -> News:
    waiting = transfer.waiting()
    if waiting is not None:
        why, until_s = waiting
        return Retrying(why, max(0.0, until_s - time.monotonic()))
    if transfer.is_checking:
        return Checking()
    return Progress(transfer.pieces.done_bytes, transfer.pieces.size_bytes)


def _aborted(lanes: list[Lane]) -> bool:
    """Wakes all lanes; whether one of them waits for a connection, which cannot be woken from."""
    for lane in lanes:
        lane.abort()
    return any(lane.is_connecting for lane in lanes)


def _never_right(fetch: Fetch) -> BadFile:
    discard(fetch.target)
    return BadFile(
        f"{fetch.file.path} is not the file that {fetch.site.host} promised: its sum is wrong, though all "
        f"{bytes_text(fetch.file.size_bytes)} came twice.",
        "Something on the way changes it, or the Hub is wrong: try another network, or another file.",
    )


def _sha256(identity: Identity) -> str | None:
    kind, _, digits = identity.sum.partition(":")
    return digits if kind == "sha256" else None


def _write_origin(fetch: Fetch, sha256: str | None) -> None:
    told = Origin(fetch.repo_id, fetch.file.path, fetch.commit, sha256, fetch.file.size_bytes, fetch.licence)
    write_origin(fetch.target, told)
