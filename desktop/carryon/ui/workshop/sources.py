"""What a person typed, chose or dropped, as a source of the workshop; and how much room a disk has. No Qt."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from carryon.app.workshop_list import Source, SourceKind
from carryon.base.errors import AppError, BadFile, BadInput
from carryon.gguf.mix import QUANTS
from carryon.hub.library.entry import Entry
from carryon.hub.names import reference_of, repo_id_of
from carryon.ui.workshop.form import ModelHere

_SPLIT_PART = re.compile(r"-(\d{5})-of-\d{5}\.gguf$")
_HOW = "Type “owner/name” of a repository, or choose a folder that has config.json, or a GGUF file."
_UNQUANTIZED = ("F32", "F16", "BF16")
_PATH_SIGNS = ("/", "\\", "~", ".")


def source_of_text(text: str) -> Source:
    """A repository “owner/name[@revision]” or its address, a folder, or a file. Raises BadInput and BadFile."""
    plain = text.strip().strip("<>“”\"'")
    if not plain:
        raise BadInput("Nothing is typed.", _HOW)
    path = Path(plain).expanduser()
    if path.exists():
        return source_of_path(path)
    if plain.startswith(_PATH_SIGNS) or re.match(r"[A-Za-z]:[\\/]", plain):
        raise BadFile(f"There is no “{plain}” on this disk.", _HOW)
    return _repository(plain)


def source_of_path(path: Path) -> Source:
    """A folder of Hugging Face or a GGUF file. Raises BadFile."""
    path = path.expanduser().absolute()
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() == ".gguf" and path.is_file():
        return Source(SourceKind.GGUF, str(_first_part(path)))
    if path.name == "config.json" or path.suffix == ".safetensors":  # a part of what is meant
        return _folder(path.parent)
    raise BadFile(f"“{path.name}” is neither a folder of a model nor a GGUF file.", _HOW)


def free_bytes_at(folder: Path) -> int | None:
    """The free bytes of the disk on which a folder is or would be; None where that cannot be told."""
    for one in (folder, *folder.parents):
        try:
            return shutil.disk_usage(one).free
        except OSError:
            continue
    return None


def name_for(source: Source) -> str:
    """What the files are called: of “Smol-Q8_0.gguf” no “Smol-Q8_0-Q4_K_M.gguf” shall be made."""
    plain = _SPLIT_PART.sub(".gguf", f"{source.name}.gguf").removesuffix(".gguf")
    start, _, end = plain.rpartition("-" if "-" in plain else ".")
    is_quant = end.upper() in QUANTS or end.upper() in _UNQUANTIZED
    return start if source.kind is SourceKind.GGUF and start and is_quant else plain


def models_in(folder: Path) -> frozenset[str]:
    """The names of the GGUF files in a folder, which need not be there."""
    try:
        return frozenset(one.name for one in folder.iterdir() if one.suffix.lower() == ".gguf")
    except OSError:
        return frozenset()


def models_of(entries: Sequence[Entry]) -> tuple[ModelHere, ...]:
    """The GGUF files of the library that something can be made of, by their names."""
    usable = sorted((one for one in entries if one.is_usable), key=lambda one: one.name.lower())
    return tuple(ModelHere(one.path, one.name, one.known.quant, one.size_bytes) for one in usable)


def _folder(path: Path) -> Source:
    if (path / "config.json").is_file():
        return Source(SourceKind.FOLDER, str(path))
    files = sorted(one for one in path.glob("*.gguf") if one.is_file())
    if len(files) == 1:
        return Source(SourceKind.GGUF, str(files[0]))
    if (path / "adapter_config.json").is_file():
        raise BadFile(
            f"“{path.name}” is a LoRA adapter, not a model.",
            "Choose the model it was trained for here, and the adapter below, under “Merge a LoRA adapter”.",
        )
    raise BadFile(f"“{path.name}” has no config.json, so it is no model folder of Hugging Face.", _HOW)


def _first_part(path: Path) -> Path:
    """A split model is opened by its first part."""
    found = _SPLIT_PART.search(path.name)
    return path.with_name(_SPLIT_PART.sub(lambda one: one[0].replace(one[1], "00001", 1), path.name)) if found else path


def _repository(plain: str) -> Source:
    try:
        if "://" in plain:
            reference = reference_of(plain)
            revision = "" if reference.revision == "main" else f"@{reference.revision}"
            return Source(SourceKind.REPOSITORY, f"{reference.repo_id}{revision}")
        name, _, revision = plain.partition("@")
        repo_id_of(name.strip("/"))
    except AppError as error:
        raise BadInput(error.message, _HOW) from error
    return Source(SourceKind.REPOSITORY, f"{name.strip('/')}@{revision}" if revision else name.strip("/"))
