"""The trash for models: files move into a folder beside them, on the same disk, and can be put back.

models/.trash/20260920-181530-1/     trashed.json {"name", "when_s", "files": [{"from", "as"}]}, the files
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import BadFile, BadInput
from carryon.base.files import disk_errors, write_whole

TRASH = ".trash"
_LIST = "trashed.json"
_LARGEST_LIST_BYTES = 1 << 20


@dataclass(frozen=True)
class Trashed:
    """What went into the trash at once."""

    name: str
    folder: Path
    when_s: float
    files: tuple[tuple[Path, Path], ...]  # where each was, and where it is
    size_bytes: int = 0


class ModelTrash:
    """The trash of one models folder. `clock` tells the time in seconds since 1970."""

    def __init__(self, models: Path, clock: Callable[[], float] = time.time) -> None:
        self._models, self._root, self._clock = models, models / TRASH, clock

    def put(self, name: str, files: Sequence[Path]) -> Trashed:
        """Moves files here; either all of them or none. Raises BadFile."""
        folder = self._fresh_folder()
        moves = tuple((file, folder / f"{number}-{file.name}") for number, file in enumerate(files))
        made = Trashed(name, folder, self._clock(), moves, _size_bytes(files))
        _write_list(made)  # first: what is here can always be put back
        try:
            _move(moves)
        except BadFile:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        for file in files:
            _remove_empty(file.parent, self._models)
        return made

    def put_back(self, trashed: Trashed) -> None:
        """Moves the files to where they were. Raises BadInput where others lie there by now, BadFile."""
        for before, now in trashed.files:
            if before.exists():
                raise BadInput(f"{before} is there again.", "Move or rename that file, then put the other one back.")
            if not now.is_file():
                raise BadFile(
                    f"“{trashed.name}” is no longer in the trash.", "It was emptied since; get the model again."
                )
        for before, _ in trashed.files:
            with disk_errors(before):
                before.parent.mkdir(parents=True, exist_ok=True)
        _move(tuple((now, before) for before, now in trashed.files))
        shutil.rmtree(trashed.folder, ignore_errors=True)

    def content(self) -> tuple[Trashed, ...]:
        """What is in the trash, latest first."""
        if not self._root.is_dir():
            return ()
        found = [made for one in self._root.iterdir() if (made := _read_list(one, self._models))]
        return tuple(sorted(found, key=lambda one: -one.when_s))

    def empty(self) -> int:
        """Deletes what is in the trash for good and returns how many bytes that freed. Raises BadFile."""
        freed = sum(one.size_bytes for one in self.content())
        with disk_errors(self._root):
            if self._root.is_dir():
                shutil.rmtree(self._root)
        return freed

    def _fresh_folder(self) -> Path:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self._clock()))
        with disk_errors(self._root):
            number = 1
            while True:
                folder = self._root / f"{stamp}-{number}"
                with suppress(FileExistsError):
                    folder.mkdir(parents=True)
                    return folder
                number += 1


def _move(moves: Sequence[tuple[Path, Path]]) -> None:
    """All or none: what was moved goes back when one of them fails."""
    done: list[tuple[Path, Path]] = []
    try:
        for before, after in moves:
            with disk_errors(before):
                before.rename(after)
            done.append((before, after))
    except BadFile:
        for before, after in done:
            with suppress(OSError):
                after.rename(before)
        raise


def _write_list(made: Trashed) -> None:
    files = [{"from": str(before), "as": now.name} for before, now in made.files]
    told = {"name": made.name, "when_s": made.when_s, "files": files}
    write_whole(made.folder / _LIST, json.dumps(told, indent=2).encode())


def _read_list(folder: Path, models: Path) -> Trashed | None:
    """None where somebody has put something else, or a file that came from elsewhere."""
    try:
        with (folder / _LIST).open("rb") as file:
            told = json.loads(file.read(_LARGEST_LIST_BYTES))
        files = tuple((Path(str(one["from"])), folder / Path(str(one["as"])).name) for one in told["files"])
        if not all(models in Path(os.path.normpath(before)).parents for before, _ in files):
            return None
        size_bytes = _size_bytes([now for _, now in files])
        return Trashed(str(told["name"]), folder, float(told["when_s"]), files, size_bytes)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _size_bytes(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())


def _remove_empty(folder: Path, until: Path) -> None:
    """The folders of the owner and of the repository go with their last file."""
    with suppress(OSError):
        while folder != until and until in folder.parents:
            folder.rmdir()
            folder = folder.parent
