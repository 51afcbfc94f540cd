"""A download as the window and the commands see it: what is wanted, how far it is, what becomes of it."""

from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import AppError
from carryon.hub.names import safe_parts
from carryon.hub.repo import RepoFile


@dataclass(frozen=True)
class DownloadWish:
    """Files of one repository at one commit that belong together: the parts of a quant, a model and its projector."""

    repo_id: str
    commit: str
    title: str  # "Qwen3-8B-GGUF · Q4_K_M"
    files: tuple[RepoFile, ...]
    folder: Path  # files keep their place in the repository below it
    licence: str = ""

    @property
    def total_bytes(self) -> int:
        return sum(one.size_bytes for one in self.files)

    def target(self, file: RepoFile) -> Path:
        """Where this file of the repository will lie. Raises BadFile for a name that could leave the folder."""
        return self.folder.joinpath(*safe_parts(file.path))


@dataclass(frozen=True)
class Queued:
    """It waits for its turn."""


@dataclass(frozen=True)
class Running:
    """Bytes are coming. None: too early to say."""

    bytes_per_s: float | None = None
    left_s: float | None = None


@dataclass(frozen=True)
class Paused:
    """A person stopped it; what is here stays."""


@dataclass(frozen=True)
class WaitingForNetwork:
    """It tries again by itself."""

    why: AppError
    again_in_s: float


@dataclass(frozen=True)
class Verifying:
    """All bytes are here and are being compared with the Hub's sums, or those from before a restart are."""


@dataclass(frozen=True)
class Finished:
    """Every file is whole and in its place."""


@dataclass(frozen=True)
class FailedDownload:
    """It cannot go on by itself; the error says what to do."""

    error: AppError


DownloadState = Queued | Running | Paused | WaitingForNetwork | Verifying | Finished | FailedDownload


@dataclass(frozen=True)
class Download:
    """One line of the list of downloads."""

    id: str
    wish: DownloadWish
    state: DownloadState
    done_bytes: int = 0
    notice: str = ""  # what happened on the way and should be known: "The file changed on the Hub, so it began again."

    @property
    def total_bytes(self) -> int:
        return self.wish.total_bytes

    @property
    def fraction(self) -> float:
        return self.done_bytes / self.total_bytes if self.total_bytes else 0.0

    @property
    def is_active(self) -> bool:
        """Whether it goes on by itself."""
        return isinstance(self.state, Queued | Running | WaitingForNetwork | Verifying)
