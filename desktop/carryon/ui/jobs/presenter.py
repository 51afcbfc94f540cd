"""What the ring, the popover and the page of downloads show, and what their buttons do. No Qt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from carryon.app.download_list import (
    Download,
    DownloadWish,
    FailedDownload,
    Finished,
    Paused,
    Queued,
    Running,
    Verifying,
    WaitingForNetwork,
)
from carryon.ui.jobs import texts


class Action(Enum):
    """What can be done with a download; the value is the word on its button."""

    USE = texts.USE
    SHOW = texts.SHOW
    RESUME = texts.RESUME
    RETRY = texts.RETRY
    PAUSE = texts.PAUSE
    CANCEL = texts.CANCEL
    FORGET = texts.FORGET


class Sign(Enum):
    """How a download or all of them are; each has an icon of its own, so that colour is not the only sign."""

    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    FAILED = "failed"
    FINISHED = "finished"


@dataclass(frozen=True)
class Row:
    """A download as a row shows it."""

    download: Download
    title: str
    words: str
    reason: str  # why it failed
    detail: str  # the next step, or what else should be known
    fraction: float | None  # None: no bar
    sign: Sign
    actions: tuple[Action, ...]

    @property
    def id(self) -> str:
        return self.download.id


@dataclass(frozen=True)
class Ring:
    """All downloads in one small sign. `fraction` is None where nothing goes on."""

    sign: Sign
    fraction: float | None
    count: int  # of those that go on by themselves
    words: str


@dataclass(frozen=True)
class Bulk:
    """Which of the buttons for all downloads have something to do."""

    can_pause: bool = False
    can_resume: bool = False
    can_clear: bool = False


class Queue(Protocol):
    """What the window asks of app/downloads.py."""

    @property
    def now(self) -> tuple[Download, ...]: ...

    def listen(self, listener: Callable[[tuple[Download, ...]], None]) -> None: ...

    def add(self, wish: DownloadWish) -> str: ...

    def pause(self, id: str) -> None: ...

    def resume(self, id: str) -> None: ...

    def retry(self, id: str) -> None: ...

    def cancel(self, id: str, keeps_part: bool) -> None: ...

    def forget(self, id: str) -> None: ...

    def forget_finished(self) -> None: ...

    def pause_all(self) -> None: ...

    def resume_all(self) -> None: ...


class View(Protocol):
    """What the presenter needs of a list of downloads."""

    def show_rows(self, rows: tuple[Row, ...], bulk: Bulk) -> None: ...

    def ask_cancel(self, download: Download) -> None: ...

    def use(self, path: Path) -> None: ...

    def show_folder(self, path: Path) -> None: ...


class JobsPresenter:
    """Draws the list for one view; every change comes from the queue itself."""

    def __init__(self, queue: Queue, view: View) -> None:
        self._queue, self._view = queue, view
        queue.listen(self._show)

    def act(self, download: Download, action: Action) -> None:
        """What the button of a row does."""
        match action:
            case Action.PAUSE:
                self._queue.pause(download.id)
            case Action.RESUME:
                self._queue.resume(download.id)
            case Action.RETRY:
                self._queue.retry(download.id)
            case Action.CANCEL if download.done_bytes:
                self._view.ask_cancel(download)
            case Action.CANCEL:
                self._queue.cancel(download.id, keeps_part=False)
            case Action.FORGET:
                self._queue.forget(download.id)
            case Action.USE:
                self._view.use(model_path(download))
            case Action.SHOW:
                self._view.show_folder(model_path(download))

    def cancel(self, download: Download, *, keeps_part: bool) -> None:
        """After the person has answered."""
        self._queue.cancel(download.id, keeps_part)

    def pause_all(self) -> None:
        self._queue.pause_all()

    def resume_all(self) -> None:
        self._queue.resume_all()

    def clear(self) -> None:
        """Takes the finished ones off the list."""
        self._queue.forget_finished()

    def _show(self, downloads: tuple[Download, ...]) -> None:
        self._view.show_rows(tuple(map(row_of, downloads)), bulk_of(downloads))


def row_of(download: Download) -> Row:
    """A download in words and buttons."""
    is_measured = not isinstance(download.state, Finished)
    return Row(
        download, download.wish.title, texts.state_words(download), texts.reason_words(download),
        texts.detail_words(download), download.fraction if is_measured else None, sign_of(download),
        actions_of(download),
    )  # fmt: skip


def actions_of(download: Download) -> tuple[Action, ...]:
    """What can be done with it as it is."""
    match download.state:
        case Finished():
            usable = (Action.USE,) if _is_model(download) else ()
            return (*usable, Action.SHOW, Action.FORGET)
        case FailedDownload():
            return (Action.RETRY, Action.CANCEL)
        case Paused():
            return (Action.RESUME, Action.CANCEL)
        case _:
            return (Action.PAUSE, Action.CANCEL)


def sign_of(download: Download) -> Sign:
    """How it is."""
    match download.state:
        case Running() | Verifying():
            return Sign.RUNNING
        case Queued() | WaitingForNetwork():
            return Sign.WAITING
        case Paused():
            return Sign.PAUSED
        case FailedDownload():
            return Sign.FAILED
        case Finished():
            return Sign.FINISHED


def bulk_of(downloads: Sequence[Download]) -> Bulk:
    """What can be done with all of them."""
    return Bulk(
        any(one.is_active for one in downloads),
        any(isinstance(one.state, Paused) for one in downloads),
        any(isinstance(one.state, Finished) for one in downloads),
    )


def ring_of(downloads: Sequence[Download]) -> Ring | None:
    """All of them together; None where the list is empty."""
    if not downloads:
        return None
    active = [one for one in downloads if one.is_active]
    if not active:
        return Ring(_calm_sign(downloads), None, 0, texts.calm_words(downloads))
    total_bytes = sum(one.total_bytes for one in active)
    done_bytes = sum(one.done_bytes for one in active)
    fraction = done_bytes / total_bytes if total_bytes else 0.0
    if all(isinstance(one.state, WaitingForNetwork) for one in active):
        return Ring(Sign.WAITING, fraction, len(active), texts.waiting_words(active))
    speed = _speed(active)
    left_s = (total_bytes - done_bytes) / speed if speed else None
    return Ring(Sign.RUNNING, fraction, len(active), texts.ring_words(active, fraction, speed, left_s))


def ended_words(before: Sequence[Download], now: Sequence[Download]) -> tuple[str, ...]:
    """What to say of those that came to an end between two lists: a person may look elsewhere."""
    went_on = {one.id for one in before if one.is_active}
    ended = [one for one in now if one.id in went_on]
    finished = [texts.finished_words(one) for one in ended if isinstance(one.state, Finished)]
    return (*finished, *(texts.failed_words(one) for one in ended if isinstance(one.state, FailedDownload)))


def model_path(download: Download) -> Path:
    """The file that the set is opened by: the first model of it, else its first file."""
    wish = download.wish
    models = [one for one in wish.files if _is_model_name(one.path)]
    return wish.target((models or list(wish.files))[0])


def _is_model(download: Download) -> bool:
    return any(_is_model_name(one.path) for one in download.wish.files)


def _is_model_name(path: str) -> bool:
    name = path.rsplit("/", 1)[-1].lower()
    return name.endswith(".gguf") and not name.startswith("mmproj")


def _speed(active: Sequence[Download]) -> float | None:
    speeds = [one.state.bytes_per_s for one in active if isinstance(one.state, Running)]
    known = [one for one in speeds if one is not None]
    return sum(known) if known else None


def _calm_sign(downloads: Sequence[Download]) -> Sign:
    signs = [sign_of(one) for one in downloads]
    return next((one for one in (Sign.FAILED, Sign.PAUSED) if one in signs), Sign.FINISHED)
