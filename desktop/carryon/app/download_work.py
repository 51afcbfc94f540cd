"""The work of one download: its files one after the other, told as states a few times a second."""

import time
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from carryon.app.download_list import DownloadState, DownloadWish, Running, Verifying, WaitingForNetwork
from carryon.app.download_pace import Pace
from carryon.app.hub_access import OFFLINE_HINT, HubAccess
from carryon.base.errors import Offline
from carryon.base.jobs import Progress, aside
from carryon.base.settings import SettingsFile
from carryon.hub.fetching.bandwidth import Bandwidth
from carryon.hub.origin import read_origin
from carryon.hub.repo import RepoFile
from carryon.hub.site import Site

_EVERY_S = 0.2
_HEARTBEAT_S = 0.1


@dataclass(frozen=True)
class Step:
    """How a download is now; `done_bytes` of the whole set. A notice stays until there is another."""

    state: DownloadState
    done_bytes: int
    notice: str = ""


@dataclass(frozen=True)
class Fetched:
    """A file of the set was brought here and is whole."""

    path: str  # in the repository


@dataclass(frozen=True)
class Terms:
    """What holds for all downloads: how the Hub is reached, and the limit that they share."""

    access: HubAccess
    settings: SettingsFile
    bandwidth: Bandwidth = field(default_factory=Bandwidth)

    def hold(self) -> None:
        """Lets the limit of the settings count from now on."""
        limit = self.settings.now.download_limit_bytes_per_s
        if self.bandwidth.bytes_per_s != limit:
            self.bandwidth.bytes_per_s = limit


def fetching(wish: DownloadWish, terms: Terms) -> Generator[Step | Fetched | None, None, None]:
    """Brings every file here. Waits without end where the network is gone or switched off.

    Closing it keeps what is here. Raises NoAccess, NoRoom, BadFile and BadInput.
    """
    teller = _Teller(wish)
    yield teller.news()
    for file in wish.files:
        if not is_here(wish, file):
            yield from _fetching_file(wish, file, terms, teller)
            yield Fetched(file.path)
        teller.finish(file)


def discarding(wish: DownloadWish, made: frozenset[str]) -> Generator[None, None, None]:
    """Removes the unfinished files of a set, and those of the whole ones that it brought here itself."""
    from carryon.hub.fetching.download import discard
    from carryon.hub.origin import origin_file

    for file in wish.files:
        yield None
        target = wish.target(file)
        discard(target)
        if file.path in made:
            origin_file(target).unlink(missing_ok=True)
            target.unlink(missing_ok=True)


def is_here(wish: DownloadWish, file: RepoFile) -> bool:
    """Whether this very file lies in its place, as far as its size and what was noted of it tell."""
    target = wish.target(file)
    origin = read_origin(target)
    if origin is None or (origin.path, origin.size_bytes) != (file.path, file.size_bytes):
        return False
    is_same = origin.sha256 == file.sha256 if file.sha256 else origin.commit == wish.commit
    return is_same and _size(target) == file.size_bytes


def is_all_here(wish: DownloadWish) -> bool:
    """Whether nothing is left to do."""
    return all(is_here(wish, one) for one in wish.files)


def here_bytes(wish: DownloadWish) -> int:
    """How much of the set is on the disk, whole files and parts."""
    return sum(_here_bytes(wish, one) for one in wish.files)


def room_missing_for(wish: DownloadWish, others: Iterable[DownloadWish]) -> int:
    """How many bytes are missing on the disk for this set beside the others that are still on their way to it."""
    from carryon.hub.fetching.download import room_missing

    disk = _disk(wish.folder)
    rivals = [one for one in others if _disk(one.folder) == disk]
    targets = {one.target(file): (one, file) for one in (wish, *rivals) for file in one.files}
    wanted_bytes = sum(file.size_bytes - _here_bytes(one, file) for one, file in targets.values())
    own_bytes = wish.total_bytes - here_bytes(wish)
    return room_missing(wish.folder, wanted_bytes) if own_bytes else 0


class _Teller:
    """Knows how much of the set is here, how fast it comes, and when it is time to say so."""

    def __init__(self, wish: DownloadWish) -> None:
        self._wish = wish
        self._bytes = {one.path: _here_bytes(wish, one) for one in wish.files}
        self._pace = Pace()
        self._state: DownloadState = Running()
        self._since_s = time.monotonic()
        self._told: type[DownloadState] | None = None
        self._told_s = 0.0
        self._notice = ""

    def note(self, file: RepoFile, done_bytes: int) -> None:
        """So much of this file is here."""
        self._bytes[file.path] = min(done_bytes, file.size_bytes)

    def finish(self, file: RepoFile) -> None:
        """All of it is."""
        self._bytes[file.path] = file.size_bytes

    def turn(self, state: DownloadState) -> None:
        """From now on it is in this state; speed and waiting time are worked out when it is told."""
        self._state, self._since_s = state, time.monotonic()

    def say(self, notice: str) -> None:
        """Will be told with the next state."""
        self._notice = notice

    def news(self) -> Step | None:
        """How it is now; None where the last news are too fresh. A notice and another kind of state are always told."""
        now_s = time.monotonic()
        kind = type(self._state)
        if kind is self._told and now_s - self._told_s < _EVERY_S and not self._notice:
            return None
        self._told, self._told_s = kind, now_s
        notice, self._notice = self._notice, ""
        return Step(self._state_now(now_s), self._done_bytes, notice)

    @property
    def _done_bytes(self) -> int:
        return sum(self._bytes.values())

    def _state_now(self, now_s: float) -> DownloadState:
        match self._state:
            case Running():
                self._pace.note(now_s, self._done_bytes)
                left_bytes = self._wish.total_bytes - self._done_bytes
                return Running(self._pace.bytes_per_s, self._pace.left_s(left_bytes))
            case WaitingForNetwork(why, again_in_s):
                self._pace.restart()
                return WaitingForNetwork(why, max(0.0, again_in_s - (now_s - self._since_s)))
            case other:
                self._pace.restart()
                return other


def _fetching_file(
    wish: DownloadWish, file: RepoFile, terms: Terms, teller: _Teller
) -> Generator[Step | None, None, None]:
    """As often as it was interrupted by the Offline switch, it begins again where it was."""
    is_whole = False
    while not is_whole:
        yield from _waiting_until_online(terms, teller)
        site = yield from aside(terms.access.site)  # the system's keyring may ask for a password
        is_whole = yield from _fetching_while_online(wish, file, site, terms, teller)


def _waiting_until_online(terms: Terms, teller: _Teller) -> Generator[Step | None, None, None]:
    why = Offline("Carryon is switched to offline.", OFFLINE_HINT)
    while terms.access.is_offline:
        teller.turn(WaitingForNetwork(why, 0.0))
        yield teller.news()
        time.sleep(_HEARTBEAT_S)
    teller.turn(Running())


def _fetching_while_online(
    wish: DownloadWish, file: RepoFile, site: Site, terms: Terms, teller: _Teller
) -> Generator[Step | None, None, bool]:
    """True when the file is whole, False when the network was switched off meanwhile."""
    from carryon.hub.fetching.download import Checking, Fetch, Retrying, StartedOver, downloading

    fetch = Fetch(site, wish.repo_id, wish.commit, file, wish.target(file), wish.licence)
    n_connections = terms.settings.now.connections_per_download
    with closing(downloading(fetch, n_connections=n_connections, bandwidth=terms.bandwidth)) as work:
        for news in work:
            terms.hold()
            if terms.access.is_offline:
                return False
            match news:
                case Progress(done):
                    teller.note(file, done)
                    teller.turn(Running())
                case Retrying(why, again_in_s):
                    teller.turn(WaitingForNetwork(why, again_in_s))
                case Checking():
                    teller.turn(Verifying())
                case StartedOver(why):
                    teller.say(why)
            yield teller.news()
    return True


def _here_bytes(wish: DownloadWish, file: RepoFile) -> int:
    from carryon.hub.fetching.download import part_bytes

    if is_here(wish, file):
        return file.size_bytes
    return min(part_bytes(wish.target(file)), file.size_bytes)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _disk(folder: Path) -> int | None:
    """The device of the nearest folder that exists; None where nobody can say."""
    for one in (folder, *folder.parents):
        try:
            return one.stat().st_dev
        except OSError:
            continue
    return None
