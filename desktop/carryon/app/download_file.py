"""The list of downloads on the disk: whole or not at all, read with patience, set aside where it is damaged."""

import json
import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carryon.app.download_list import (
    Download,
    DownloadState,
    DownloadWish,
    FailedDownload,
    Finished,
    Paused,
    Queued,
)
from carryon.base.errors import AppError, BadFile, BadInput, NoAccess, NoRoom, Offline, Unsupported
from carryon.base.files import write_whole
from carryon.hub.names import repo_id_of, safe_parts
from carryon.hub.repo import RepoFile

log = logging.getLogger(__name__)

_VERSION = 1
_LARGEST_BYTES = 1 << 24
_COMMIT, _SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{1,64}")
_ERRORS: dict[str, type[AppError]] = {
    one.__name__: one for one in (BadInput, BadFile, NoRoom, Unsupported, Offline, NoAccess)
}


@dataclass(frozen=True)
class Kept:
    """A download as it is remembered; `made` are the paths of those of its files that it brought here itself."""

    download: Download
    made: frozenset[str] = frozenset()


class DownloadFile:
    """Reads once, writes from any thread; a snapshot never replaces a later one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._latest = 0

    def read(self) -> tuple[Kept, ...]:
        """What was remembered; nothing where there is no file, or one that nobody can read."""
        try:
            with self._path.open("rb") as file:
                told = json.loads(file.read(_LARGEST_BYTES))
            return tuple(_readable(told["downloads"]))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            log.exception("the list of downloads is damaged and was set aside")
            self._set_aside()
            return ()

    def write(self, kept: Iterable[Kept], number: int) -> None:
        """Keeps the list as it was at its `number`th change. What cannot be kept is logged: downloads go on."""
        content = json.dumps({"version": _VERSION, "downloads": [_as_json(one) for one in kept]}, indent=1).encode()
        with self._lock:
            if number < self._latest:
                return
            self._latest = number
            try:
                write_whole(self._path, content)
            except AppError:
                log.warning("the list of downloads could not be kept", exc_info=True)

    def _set_aside(self) -> None:
        with suppress(OSError):
            self._path.replace(self._path.with_name(f"{self._path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"))


def _readable(told: list[Any]) -> Iterator[Kept]:
    """Those that can be read: one bad line does not take the others with it."""
    seen: set[str] = set()
    for one in told:
        try:
            kept = _kept(one)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, AppError):
            log.warning("a download in the list could not be read and is left out", exc_info=True)
            continue
        if kept.download.id not in seen:
            seen.add(kept.download.id)
            yield kept


def _as_json(kept: Kept) -> dict[str, Any]:
    one = kept.download
    wish = one.wish
    return {
        "id": one.id,
        **_state_as_json(one.state),
        "done_bytes": one.done_bytes,
        "notice": one.notice,
        "made": sorted(kept.made),
        "repo_id": wish.repo_id,
        "commit": wish.commit,
        "title": wish.title,
        "licence": wish.licence,
        "folder": str(wish.folder),
        "files": [{"path": file.path, "size_bytes": file.size_bytes, "sha256": file.sha256} for file in wish.files],
    }


def _state_as_json(state: DownloadState) -> dict[str, Any]:
    """What goes on by itself is queued after a restart, whatever it was doing."""
    match state:
        case Paused():
            return {"state": "paused"}
        case Finished():
            return {"state": "finished"}
        case FailedDownload(error):
            known = type(error).__name__ if type(error).__name__ in _ERRORS else ""
            return {"state": "failed", "error": {"kind": known, "message": error.message, "hint": error.hint}}
        case _:
            return {"state": "queued"}


def _kept(told: dict[str, Any]) -> Kept:
    wish = _wish(told)
    done_bytes = min(max(0, int(told.get("done_bytes", 0))), wish.total_bytes)
    made = frozenset(map(str, told.get("made", ()))) & {one.path for one in wish.files}
    return Kept(Download(_matching(_ID, told["id"]), wish, _state(told), done_bytes, str(told.get("notice", ""))), made)


def _state(told: dict[str, Any]) -> DownloadState:
    match told["state"]:
        case "paused":
            return Paused()
        case "finished":
            return Finished()
        case "failed":
            return FailedDownload(_error(told["error"]))
        case _:
            return Queued()


def _error(told: dict[str, Any]) -> AppError:
    return _ERRORS.get(str(told.get("kind")), AppError)(str(told["message"]), str(told.get("hint", "")))


def _wish(told: dict[str, Any]) -> DownloadWish:
    folder = Path(str(told["folder"]))
    files = tuple(_file(one) for one in told["files"])
    if not folder.is_absolute() or not files:
        raise ValueError("a download without files or without a place")
    return DownloadWish(
        repo_id_of(told["repo_id"]), _matching(_COMMIT, told["commit"]), str(told["title"]), files, folder,
        str(told.get("licence", "")),
    )  # fmt: skip


def _file(told: dict[str, Any]) -> RepoFile:
    """The list may have been written by anybody: names are as little trusted as those of the network."""
    sha256, size_bytes = told.get("sha256"), int(told["size_bytes"])
    if size_bytes < 0:
        raise ValueError("a file of less than nothing")
    path = "/".join(safe_parts(told["path"]))
    return RepoFile(path, size_bytes, None if sha256 is None else _matching(_SHA256, sha256))


def _matching(pattern: re.Pattern[str], told: str) -> str:
    if not pattern.fullmatch(told):
        raise ValueError(f"not as it should be: {pattern.pattern}")
    return told
