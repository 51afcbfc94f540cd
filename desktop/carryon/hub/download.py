"""One file of a repository, from the Hub to its place on the disk: whole, verified, or not there at all.

models/owner/name/model.gguf.part         what is here so far; sparse
models/owner/name/model.gguf.part.json    which bytes of it (sidecar.py)
models/owner/name/model.gguf              the whole file, renamed from the part when its sum is right
"""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import AppError
from carryon.base.jobs import Progress
from carryon.hub.bandwidth import Bandwidth
from carryon.hub.repo import RepoFile
from carryon.hub.site import Site

__all__ = ["Bandwidth", "Checking", "Fetch", "News", "Retrying", "StartedOver", "downloading"]


@dataclass(frozen=True)
class Fetch:
    """What is wanted, and where it goes."""

    site: Site
    repo_id: str
    commit: str
    file: RepoFile
    target: Path
    licence: str = ""  # for the origin beside the file


@dataclass(frozen=True)
class Retrying:
    """Nothing comes at the moment; it tries again by itself."""

    why: AppError
    again_in_s: float


@dataclass(frozen=True)
class Checking:
    """What is on the disk is read and compared; nothing more has to come, unless some of it is wrong."""


@dataclass(frozen=True)
class StartedOver:
    """What was here is of no use any more; the sentence says why."""

    why: str


News = Progress | Retrying | Checking | StartedOver


def downloading(
    fetch: Fetch, *, n_connections: int = 4, bandwidth: Bandwidth | None = None
) -> Generator[News | None, None, Path]:
    """Work: fetches the file and returns its path. Closing it keeps what is here; starting it again goes on from there.

    A network that is gone is waited for without end. Raises NoAccess, NoRoom, BadFile and BadInput: what waiting
    cannot cure.
    """
    raise NotImplementedError
    yield


def part_file(target: Path) -> Path:
    """Where the bytes are until the file is whole."""
    return target.with_name(target.name + ".part")


def sidecar_file(target: Path) -> Path:
    """Where it is kept which bytes are here."""
    return target.with_name(target.name + ".part.json")


def part_bytes(target: Path) -> int:
    """How much of an unfinished file is here."""
    raise NotImplementedError


def discard(target: Path) -> None:
    """Removes an unfinished file; a whole one stays."""
    raise NotImplementedError


def room_missing(folder: Path, wanted_bytes: int) -> int:
    """How many bytes must be freed before so many more fit on the folder's disk with some to spare; 0 if they do."""
    raise NotImplementedError
