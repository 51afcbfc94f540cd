"""Unfinished files: beside their target under a name of their own, and gone unless they got the target's name."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from carryon.base.errors import BadInput
from carryon.base.files import disk_errors, sync_folder

_SUFFIX = ".quantizing.part"  # a download of the same name has its own


def part_of(target: Path) -> Path:
    """The unfinished file: what a kill or a power cut may leave, to be deleted at any time when nothing runs."""
    return target.with_name(target.name + _SUFFIX)


@contextmanager
def fresh_part(target: Path) -> Iterator[Path]:
    """An empty file that nobody else had, gone at the end unless it was renamed. Raises BadInput, BadFile, NoRoom."""
    part = part_of(target)
    with disk_errors(target):
        if target.is_dir():
            raise BadInput(f"{target} is a folder.", "Name the file that shall be made.")
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)  # never written through a link that somebody laid there
        part.open("xb").close()
    try:
        yield part
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def give_name(part: Path, target: Path) -> None:
    """The last step: an older file of this name is replaced in one go."""
    with disk_errors(target):
        part.replace(target)
        sync_folder(target.absolute().parent)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what the process needs meanwhile: it may be killed, we tidy up."""
    with tempfile.TemporaryDirectory(prefix="carryon-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
