"""What is wanted of a download, and what it tells while it runs."""

from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import AppError
from carryon.base.jobs import Progress
from carryon.hub.repo import RepoFile
from carryon.hub.site import Site


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
