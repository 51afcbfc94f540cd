"""A repository on the Hub as values: its files, its quants, who may read it."""

from dataclasses import dataclass
from enum import Enum


class Gate(Enum):
    """Who may download the files."""

    OPEN = "open"
    AUTOMATIC = "automatic"  # log in and accept the conditions
    MANUAL = "manual"  # log in, ask, and wait for the owner


class Sort(Enum):
    """The order of what was found, best first."""

    TRENDING = "trending"
    DOWNLOADS = "downloads"
    LIKES = "likes"
    RECENT = "recent"


class Format(Enum):
    """What a repository holds."""

    GGUF = "gguf"
    SAFETENSORS = "safetensors"


@dataclass(frozen=True)
class RepoFile:
    """One file of a repository. `sha256` is None for small files, which the Hub names by their git hash alone."""

    path: str
    size_bytes: int
    sha256: str | None = None


@dataclass(frozen=True)
class QuantFiles:
    """One quant of a repository: one file, or the parts of a split one in their order."""

    quant: str  # "Q4_K_M"; "" where the name does not say
    files: tuple[RepoFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self.files)

    @property
    def first(self) -> RepoFile:
        """The file that holds the metadata, and that a split model is opened by."""
        return self.files[0]


@dataclass(frozen=True)
class FoundModel:
    """A line of a search's answer. None is what the Hub did not say."""

    repo_id: str
    formats: frozenset[Format]
    downloads: int | None = None
    likes: int | None = None
    updated: str = ""  # ISO 8601
    task: str = ""  # "text-generation"
    licence: str = ""
    gate: Gate = Gate.OPEN
    architecture: str = ""
    n_params: int | None = None
    n_ctx_train: int | None = None
    base_model: str = ""  # "owner/name" of what it was made from

    @property
    def owner(self) -> str:
        return self.repo_id.split("/")[0]

    @property
    def name(self) -> str:
        return self.repo_id.split("/")[-1]


@dataclass(frozen=True)
class Repo:
    """A repository at one commit. `files` are only those with safe names; `n_unsafe` says how many were left out."""

    found: FoundModel
    commit: str  # 40 hexadecimal digits: everything is fetched by it, so that no two versions mix
    files: tuple[RepoFile, ...]
    n_unsafe: int = 0

    @property
    def repo_id(self) -> str:
        return self.found.repo_id
