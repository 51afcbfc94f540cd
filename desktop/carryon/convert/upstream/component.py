"""The converter's files inside the engine's own source distribution, and the folder that keeps them."""

import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import BadFile
from carryon.base.files import disk_errors
from carryon.base.units import bytes_text

VERSION = "0.3.36"  # of llama-cpp-python, the one that pyproject.toml pins: its converter writes what its engine reads
PROJECT = "llama-cpp-python"
KEPT_BYTES = 2_600_000  # what stays of it, about
SCRIPT = "convert_hf_to_gguf.py"
SPLITTING = "CARRYON_SPLITTING"  # the variable that tells the process how a tokenizer cuts text

_ROOT = f"llama_cpp_python-{VERSION}/vendor/llama.cpp/"
_FILES = frozenset((SCRIPT, "convert_lora_to_gguf.py", "LICENSE"))
_FOLDERS = ("conversion/", "gguf-py/gguf/", "models/templates/")


@dataclass(frozen=True)
class Archive:
    """A source distribution that is known to the byte."""

    name: str
    sha256: str
    size_bytes: int
    n_files: int  # of those that are needed


PINNED = Archive(
    f"llama_cpp_python-{VERSION}.tar.gz",
    "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e",
    76_589_250,
    186,
)


def fetching_words() -> str:
    """'It is fetched once: 76.6 MB, of which 2.6 MB are kept.'"""
    return f"It is fetched once: {bytes_text(PINNED.size_bytes)}, of which {bytes_text(KEPT_BYTES)} are kept."


@dataclass(frozen=True)
class Component:
    """The unpacked converter."""

    folder: Path

    @property
    def script(self) -> Path:
        return self.folder / SCRIPT


def place(cache: Path) -> Path:
    """Where the converter of this version is kept, below the cache of this home."""
    return cache / "converters" / VERSION


def kept(cache: Path) -> Component | None:
    """The converter, if it was fetched before. A folder appears whole or not at all."""
    folder = place(cache)
    return Component(folder) if (folder / SCRIPT).is_file() else None


def unpacking(file: Path, cache: Path, archive: Archive = PINNED) -> Generator[None, None, Component]:
    """Work that takes the needed files out of the archive's file; nothing of it is run. Raises BadFile."""
    target = place(cache)
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
        try:
            yield from _taken_out(file, fresh, archive.n_files)
            shutil.rmtree(target, ignore_errors=True)
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return Component(target)


def _taken_out(file: Path, folder: Path, n_files: int) -> Generator[None, None, None]:
    count = 0
    try:
        with tarfile.open(file, "r:gz") as source:
            for member in source:
                name = member.name.removeprefix(_ROOT)
                if member.isfile() and member.name.startswith(_ROOT) and _is_needed(name):
                    member.name = name
                    source.extract(member, folder, filter="data")
                    count += 1
                yield None
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's, not gzip's
            raise
        raise BadFile(f"{file.name} is damaged.", "Fetch the converter again.") from error
    if count != n_files:
        raise BadFile(f"{file.name} does not hold llama.cpp's converter.", "Fetch the converter again.")


def _is_needed(name: str) -> bool:
    return name in _FILES or name.startswith(_FOLDERS)
