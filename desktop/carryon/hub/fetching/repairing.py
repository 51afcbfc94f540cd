"""Wrong bytes that came over the network: every range is fetched again and compared, until the sum is right."""

from collections.abc import Generator

from carryon.base.jobs import aside
from carryon.hub.connection import Answer, Connection, followed
from carryon.hub.fetching.news import News
from carryon.hub.fetching.part import Part
from carryon.hub.fetching.pieces import MIB
from carryon.hub.fetching.retrying import Patience, patiently
from carryon.hub.fetching.source import Source
from carryon.hub.fetching.summing import Digest, fresh_digest, is_right
from carryon.hub.wire import BadAnswer, Refused, hub_errors

_RANGE_BYTES = 8 * MIB
_EARLY_LOOKS = 4  # after so many ranges that were wrong the rest of the file is only looked at in the end


def repaired(source: Source, part: Part, patience: Patience) -> Generator[News | None, None, bool]:
    """Work: whether the file in the part is right now. It fetches every byte once more at most, wrong ones twice."""
    name, size_bytes = source.identity.sum, source.identity.size_bytes
    digest, n_wrong = fresh_digest(name, size_bytes), 0
    for start in range(0, size_bytes, _RANGE_BYTES):
        n_bytes = min(_RANGE_BYTES, size_bytes - start)
        here = yield from aside(lambda at=start, n=n_bytes: part.read(at, n))  # type: ignore[misc]
        right = yield from _agreed(source, here, start, patience)
        digest.update(right)
        if right == here:
            continue
        n_wrong += 1
        part.write(start, memoryview(right), 0)
        if n_wrong <= _EARLY_LOOKS and (yield from _ends_right(part, name, digest.copy(), start + n_bytes, size_bytes)):
            return True
    return is_right(digest, name)


def _agreed(source: Source, here: bytes, start: int, patience: Patience) -> Generator[News | None, None, bytes]:
    """The bytes of this range that came twice; those that are here, if no two agree."""
    again = yield from _fetched(source, start, len(here), patience)
    if again == here:
        return here
    third = yield from _fetched(source, start, len(here), patience)
    return third if third == again else here


def _ends_right(
    part: Part, name: str, digest: Digest, start: int, size_bytes: int
) -> Generator[News | None, None, bool]:
    """Whether the sum comes out right if what follows on the disk is."""
    for at in range(start, size_bytes, _RANGE_BYTES):
        digest.update(part.read(at, min(_RANGE_BYTES, size_bytes - at)))
        yield None
    return is_right(digest, name)


def _fetched(source: Source, start: int, n_bytes: int, patience: Patience) -> Generator[News | None, None, bytes]:
    return (yield from patiently(lambda connection: _range(source, connection, start, n_bytes), source.site, patience))


def _range(source: Source, connection: Connection, start: int, n_bytes: int) -> bytes:
    """These bytes, by the address in use or a new one."""
    located = source.located
    headers = {"Range": f"bytes={start}-{start + n_bytes - 1}"}
    with hub_errors(source.site, source.repo_id):
        try:
            answer = followed(connection, "GET", located.url, headers)
        except Refused as refused:
            if refused.status not in (401, 403, 404, 410) or source.is_own(located):
                raise
            source.renew(connection, located)
            answer = followed(connection, "GET", source.located.url, headers)
        whole = answer.status == 200 and answer.left_bytes == located.identity.size_bytes
        wanted = f"bytes {start}-{start + n_bytes - 1}/{located.identity.size_bytes}"
        if not whole and (answer.header("Content-Range") != wanted or answer.left_bytes != n_bytes):
            raise BadAnswer(f"{source.site.host} sends other bytes than were asked for.", "Try again later.")
        return _read(answer, start if whole else 0, n_bytes)


def _read(answer: Answer, passed_over: int, n_bytes: int) -> bytes:
    """So many bytes of the body after those that nobody wants."""
    buffer = memoryview(bytearray(min(n_bytes, MIB)))
    while passed_over:
        passed_over -= answer.readinto(buffer[:passed_over])
    found = bytearray()
    while len(found) < n_bytes:
        found += buffer[: answer.readinto(buffer[: n_bytes - len(found)])]
    return bytes(found)
