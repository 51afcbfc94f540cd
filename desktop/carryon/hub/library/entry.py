"""A model of the library as a value: its files, what is known of them, where they came from."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from carryon.base.errors import AppError, BadFile
from carryon.hub.library.shelves import Shelf
from carryon.hub.origin import Origin


class Kind(StrEnum):
    """What a GGUF file is for."""

    MODEL = "model"
    PROJECTOR = "projector"  # lets a model see or hear
    ADAPTER = "adapter"  # a LoRA, loaded with the model it was trained for
    OTHER = "other"  # a vocabulary, an importance matrix


@dataclass(frozen=True)
class Trouble:
    """Why a file cannot be used and what to do, as it is kept."""

    message: str
    hint: str = ""

    @property
    def error(self) -> AppError:
        return BadFile(self.message, self.hint)


@dataclass(frozen=True)
class Known:
    """What a model's files say about it. None and "": not said, or not looked for yet."""

    kind: Kind = Kind.MODEL
    architecture: str = ""
    title: str = ""  # general.name, which anybody may have written
    quant: str = ""
    n_ctx_train: int | None = None
    n_params: int | None = None
    has_template: bool | None = None
    licence: str = ""
    trouble: Trouble | None = None
    is_checked: bool = False  # by the headers of all its files; else by the first bytes of the first one


@dataclass(frozen=True)
class Entry:
    """One model, in one file or several; or a projector or an adapter by itself."""

    name: str
    shelf: Shelf
    parts: tuple[Path, ...]  # the first one holds the metadata
    size_bytes: int  # of all parts
    modified_s: float
    known: Known
    origin: Origin | None = None  # where it was proved: a download of ours, the Hugging Face cache
    repo_id: str = ""  # "owner/name" where it is known or follows from its folders
    sha256: str | None = None  # as promised by the program that keeps it; of a model in one file
    projectors: tuple[Path, ...] = ()  # those that belong to it
    other_names: tuple[str, ...] = ()  # of the same files
    last_used_s: float | None = None

    @property
    def path(self) -> Path:
        """What the model is opened by."""
        return self.parts[0]

    @property
    def is_own(self) -> bool:
        """Whether Carryon may rename and delete it."""
        return self.shelf.is_own

    @property
    def is_broken(self) -> bool:
        return self.known.trouble is not None

    @property
    def is_usable(self) -> bool:
        """Whether one can chat with it, as far as is known."""
        return self.known.kind is Kind.MODEL and not self.is_broken
