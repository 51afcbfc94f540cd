"""What a person typed, chose or dropped as the source of a model: a folder, a GGUF file, a repository."""

import re
from dataclasses import replace
from pathlib import Path

from carryon.app.workshop_list import Source, SourceKind
from carryon.base.errors import AppError, BadFile, BadInput
from carryon.convert.provenance import Provenance
from carryon.hub.names import reference_of, repo_id_of
from carryon.hub.origin import read_origin

SPLIT_PART = re.compile(r"-(\d{5})-of-\d{5}\.gguf$")
_HOW = "Name a folder that has config.json, a GGUF file, or “owner/name” on the Hub."
_PATH_SIGNS = ("/", "\\", "~", ".")


def source_of(text: str, adapter: Path | None = None) -> Source:
    """What a command is asked about, perhaps with an adapter to merge. Raises BadInput and BadFile."""
    return replace(source_of_text(text), adapter=adapter)


def facts_of(source: Source) -> tuple[tuple[str, str], ...]:
    """What a file that is quantized from a downloaded one says of where that came from, beside what it says itself."""
    origin = read_origin(Path(source.place)) if source.kind is SourceKind.GGUF else None
    return tuple(Provenance(origin.repo_id, origin.commit).facts()) if origin else ()


def source_of_text(text: str) -> Source:
    """A repository “owner/name[@revision]” or its address, a folder, or a file. Raises BadInput and BadFile."""
    plain = text.strip().strip("<>“”\"'")
    if not plain:
        raise BadInput("Nothing is typed.", _HOW)
    path = Path(plain).expanduser()
    if path.exists():
        return source_of_path(path)
    is_path = plain.startswith(_PATH_SIGNS) or plain.lower().endswith(".gguf")
    if is_path or re.match(r"[A-Za-z]:[\\/]", plain):
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


def _folder(path: Path) -> Source:
    if (path / "config.json").is_file():
        return Source(SourceKind.FOLDER, str(path))
    files = sorted(one for one in path.glob("*.gguf") if one.is_file())
    if len(files) == 1:
        return Source(SourceKind.GGUF, str(files[0]))
    if (path / "adapter_config.json").is_file():
        raise BadFile(
            f"“{path.name}” is a LoRA adapter, not a model.",
            "Choose the model that it was trained for, and name the adapter as what shall be merged into it.",
        )
    raise BadFile(f"“{path.name}” has no config.json, so it is no model folder of Hugging Face.", _HOW)


def _first_part(path: Path) -> Path:
    """A split model is opened by its first part."""
    found = SPLIT_PART.search(path.name)
    return path.with_name(SPLIT_PART.sub(lambda one: one[0].replace(one[1], "00001", 1), path.name)) if found else path


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
