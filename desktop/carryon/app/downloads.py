"""The queue of downloads: what waits, what runs, what became of it; kept on the disk, told five times a second."""

import hashlib
import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from pathlib import Path

from carryon.app.download_file import DownloadFile, Kept
from carryon.app.download_list import (
    Download,
    DownloadState,
    DownloadWish,
    FailedDownload,
    Finished,
    Paused,
    Queued,
    Running,
)
from carryon.app.download_work import (
    Fetched,
    Step,
    Terms,
    discarding,
    fetching,
    here_bytes,
    is_all_here,
    room_missing_for,
)
from carryon.app.hub_access import HubAccess
from carryon.base.errors import AppError, NoRoom
from carryon.base.jobs import Cancelled, Done, Failed, Job, Lane, Outcome, Runner
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile
from carryon.base.units import bytes_text

UPDATE_S = 0.2  # five a second are as many as a person can follow (DESIGN.md)
_HEARTBEAT_S = 0.05

Listener = Callable[[tuple[Download, ...]], None]


class _Leaving(Enum):
    """What becomes of a line that a person took off the list, as soon as nothing works for it any more."""

    NOT = auto()
    KEEPS_PART = auto()
    DELETES = auto()


@dataclass
class _Line:
    """A line of the list and what works for it."""

    download: Download
    made: frozenset[str] = frozenset()
    job: Job | None = None
    turn: int = 0  # news of an earlier turn count no more
    leaving: _Leaving = _Leaving.NOT

    @property
    def targets(self) -> frozenset[Path]:
        wish = self.download.wish
        return frozenset(map(wish.target, wish.files))

    @property
    def is_listed(self) -> bool:
        return self.leaving is _Leaving.NOT

    @property
    def is_active(self) -> bool:
        return self.is_listed and self.download.is_active


class Downloads:
    """Lives on the main thread, listeners too; files come in by jobs of the lane DOWNLOAD.

    The window and `carryon get` may want the same file: the downloader's lock on it lets one of them through.
    """

    def __init__(self, home: Home, settings: SettingsFile, runner: Runner, access: HubAccess) -> None:
        self._settings, self._runner = settings, runner
        self._terms = Terms(access, settings)
        self._file = DownloadFile(home.root / "downloads.json")
        self._lines = {one.download.id: _Line(one.download, one.made) for one in self._file.read()}
        self._listeners: list[Listener] = []
        self._has_begun = False
        self._n_changes = 0
        self._writer: Job | None = None
        self._told_s: float | None = None
        self._teller: Job | None = None

    @property
    def now(self) -> tuple[Download, ...]:
        """The list as it is, in the order in which it was asked for."""
        return tuple(one.download for one in self._lines.values() if one.is_listed)

    def listen(self, listener: Listener) -> None:
        """Calls `listener` once now, and then with every change, at most five times a second."""
        self._listeners.append(listener)
        self._told_s = time.monotonic()
        listener(self.now)

    def begin(self) -> None:
        """Goes on with what an earlier run of the app left; nothing runs before. For after the first frame."""
        self._has_begun = True
        unfinished = [one.download for one in self._lines.values() if not isinstance(one.download.state, Finished)]
        if unfinished:
            self._runner.start(_measuring(unfinished), self._measured, lane=Lane.DOWNLOAD)
        self._turn_over()

    def add(self, wish: DownloadWish) -> str:
        """Queues these files and returns the id of their line: the one that is there already, if there is one."""
        id = id_of(wish)
        line = self._lines.setdefault(id, _Line(Download(id, wish, Paused())))
        if not line.is_active:
            line.leaving = _Leaving.NOT
            self._queue(line)
        return id

    def pause(self, id: str) -> None:
        """Stops it; what is here stays."""
        line = self._lines.get(id)
        if line and line.is_active:
            self._stop(line, Paused())
            self._turn_over()

    def resume(self, id: str) -> None:
        """Goes on where it stopped, when it is its turn."""
        line = self._lines.get(id)
        if line and line.is_listed and isinstance(line.download.state, Paused | FailedDownload):
            self._queue(line)

    def retry(self, id: str) -> None:
        """Another try after a failure; what is here is used."""
        self.resume(id)

    def cancel(self, id: str, keeps_part: bool) -> None:
        """Takes it off the list. Without `keeps_part` what it brought here goes too; what was here before it stays."""
        line = self._lines.get(id)
        if line is None or isinstance(line.download.state, Finished):
            return
        self._stop(line, Paused())
        line.leaving = _Leaving.KEEPS_PART if keeps_part else _Leaving.DELETES
        if line.job is None:
            self._leave(line)
        self._turn_over()

    def forget(self, id: str) -> None:
        """Takes one that has ended off the list; its files stay."""
        line = self._lines.get(id)
        if line and isinstance(line.download.state, Finished | FailedDownload):
            del self._lines[id]
            self._turn_over()

    def forget_finished(self) -> None:
        """The same for all that are finished."""
        for one in self.now:
            if isinstance(one.state, Finished):
                self.forget(one.id)

    def pause_all(self) -> None:
        """Every one that goes on by itself."""
        for one in self.now:
            self.pause(one.id)

    def resume_all(self) -> None:
        """Every one that a person stopped."""
        for one in self.now:
            if isinstance(one.state, Paused):
                self.resume(one.id)

    def end(self) -> None:
        """Keeps the list as it is; for the end of the app, when its jobs have ended."""
        self._has_begun = False
        self._listeners.clear()
        self._file.write(self._snapshot(), self._n_changes + 1)

    def _measured(self, found: tuple[str, int]) -> None:
        """What is really here of one from before the start: after a kill the disk knows better than the list."""
        id, done_bytes = found
        line = self._lines.get(id)
        if line and isinstance(line.download.state, Queued | Paused | FailedDownload):
            line.download = replace(line.download, done_bytes=done_bytes)
            self._tell_soon()

    def _queue(self, line: _Line) -> None:
        """Into the queue, unless all of it is here, or there is no room for it beside all that comes before."""
        line.download = replace(line.download, notice="")
        try:
            if line.job is None and is_all_here(line.download.wish):
                self._set(line, Finished(), line.download.total_bytes)
            else:
                self._check_room(line)
                self._set(line, Queued())
        except AppError as error:
            self._set(line, FailedDownload(error))
        self._turn_over()

    def _check_room(self, line: _Line) -> None:
        wish = line.download.wish
        others = [one.download.wish for one in self._lines.values() if one is not line and one.is_active]
        if missing_bytes := room_missing_for(wish, others):
            raise NoRoom(
                f"{bytes_text(missing_bytes)} are missing on the disk that holds {wish.folder}.",
                "Free some space there, or cancel another download, and try again.",
            )

    def _turn_over(self) -> None:
        """After every change: whose turn it is begins, the list is kept and told."""
        self._start_next()
        self._keep()
        self._tell_soon()

    def _start_next(self) -> None:
        if not self._has_begun:
            return
        busy = [one for one in self._lines.values() if one.job]
        for line in self._lines.values():
            if len(busy) >= self._settings.now.downloads_at_once:
                return
            is_waiting = line.is_listed and isinstance(line.download.state, Queued) and not line.job
            if is_waiting and not any(line.targets & one.targets for one in busy):  # a file is fetched once
                busy.append(line)
                self._start(line)

    def _start(self, line: _Line) -> None:
        line.turn += 1
        line.download = replace(line.download, state=Running())
        line.job = self._runner.start(
            fetching(line.download.wish, self._terms),
            on_news=partial(self._heard, line, line.turn),
            on_end=partial(self._ended, line, line.turn),
            lane=Lane.DOWNLOAD,
        )

    def _heard(self, line: _Line, turn: int, news: Step | Fetched) -> None:
        match news:
            case Fetched(path):  # also of a turn that was stopped: it is on the disk
                line.made |= {path}
                self._keep()
            case Step(state, done_bytes, notice) if turn == line.turn:
                is_other = type(state) is not type(line.download.state)
                line.download = replace(line.download, notice=notice or line.download.notice)
                self._set(line, state, done_bytes)
                if is_other:
                    self._keep()
                self._tell_soon()
                self._start_next()  # the settings may allow one more by now

    def _ended(self, line: _Line, turn: int, outcome: Outcome) -> None:
        line.job = None
        if not line.is_listed:
            self._leave(line)
        elif turn == line.turn:
            self._conclude(line, outcome)
        self._turn_over()

    def _conclude(self, line: _Line, outcome: Outcome) -> None:
        match outcome:
            case Done():
                self._set(line, Finished(), line.download.total_bytes)
            case Failed(error):
                self._set(line, FailedDownload(error))
            case Cancelled():  # the app ends: it goes on at the next start
                self._set(line, Queued())

    def _stop(self, line: _Line, state: DownloadState) -> None:
        line.turn += 1
        self._set(line, state)
        if line.job:
            line.job.cancel()

    def _leave(self, line: _Line) -> None:
        """What it brought here goes in a job of its own: many gigabytes take a while."""
        if line.leaving is _Leaving.DELETES:
            work = discarding(line.download.wish, line.made)
            line.made, line.leaving = frozenset(), _Leaving.KEEPS_PART
            line.job = self._runner.start(work, on_end=partial(self._ended, line, 0), lane=Lane.DOWNLOAD)
        else:
            del self._lines[line.download.id]

    def _set(self, line: _Line, state: DownloadState, done_bytes: int | None = None) -> None:
        done = line.download.done_bytes if done_bytes is None else done_bytes
        line.download = replace(line.download, state=state, done_bytes=done)

    def _snapshot(self) -> tuple[Kept, ...]:
        return tuple(Kept(one.download, one.made) for one in self._lines.values() if one.is_listed)

    def _keep(self) -> None:
        self._n_changes += 1
        self._write_behind()

    def _write_behind(self) -> None:
        """Writes the list in a job: a disk that is busy with a download must not hold up the window."""
        if self._writer is None and self._runner.is_open:
            work = self._writing(self._snapshot(), self._n_changes)
            self._writer = self._runner.start(work, on_end=self._written, lane=Lane.DOWNLOAD)

    def _writing(self, snapshot: tuple[Kept, ...], number: int) -> Generator[None, None, int]:
        yield None
        self._file.write(snapshot, number)
        return number

    def _written(self, outcome: Outcome) -> None:
        self._writer = None
        if isinstance(outcome, Done) and outcome.result < self._n_changes:
            self._write_behind()

    def _tell_soon(self) -> None:
        """Now, or at the end of the pause that listeners are owed."""
        if self._teller or not self._runner.is_open:
            return
        wait_s = 0.0 if self._told_s is None else self._told_s + UPDATE_S - time.monotonic()
        if wait_s <= 0:
            self._tell()
        else:
            self._teller = self._runner.start(_waiting(wait_s), on_end=self._waited, lane=Lane.DOWNLOAD)

    def _waited(self, _outcome: Outcome) -> None:
        self._teller = None
        self._tell()

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        for listener in tuple(self._listeners):
            listener(self.now)


def id_of(wish: DownloadWish) -> str:
    """The same for the same files in the same place."""
    files = [(one.path, one.size_bytes, one.sha256 or wish.commit) for one in wish.files]
    return hashlib.sha256(json.dumps([wish.repo_id, str(wish.folder), files]).encode()).hexdigest()[:20]


def _measuring(downloads: list[Download]) -> Generator[tuple[str, int] | None, None, None]:
    """How much of each is on the disk."""
    for one in downloads:
        yield None
        yield one.id, here_bytes(one.wish)


def _waiting(wait_s: float) -> Generator[None, None, None]:
    until_s = time.monotonic() + wait_s
    while (left_s := until_s - time.monotonic()) > 0:
        yield None
        time.sleep(min(left_s, _HEARTBEAT_S))
