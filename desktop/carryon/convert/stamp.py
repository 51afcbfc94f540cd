"""Whether a model's files are still those that a conversion began with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import BadFile
from carryon.base.files import disk_errors

READ = {".safetensors", ".bin", ".json", ".model", ".txt", ".jinja"}


@dataclass(frozen=True)
class Stamp:
    """Sizes and times of change of all the files that a conversion may read."""

    files: Mapping[Path, tuple[int, int]]

    def check(self) -> None:
        """Raises BadFile naming a file that has changed since, or is gone."""
        for file, known in self.files.items():
            if not file.is_file() or _sizes(file) != known:
                raise BadFile(
                    f"{file.name} was changed while it was being converted.",
                    "Wait until whatever writes it has finished, then convert again.",
                )


def stamp_of(*folders: Path) -> Stamp:
    """The files of these folders as they are now; a folder that is not there has none. Raises BadFile."""
    found = (file for folder in folders if folder.is_dir() for file in folder.iterdir())
    return Stamp({file: _sizes(file) for file in found if file.suffix in READ and file.is_file()})


def _sizes(file: Path) -> tuple[int, int]:
    with disk_errors(file):
        status = file.stat()
    return status.st_size, status.st_mtime_ns
