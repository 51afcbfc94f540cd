"""What a person typed as the source of a model: a folder, a GGUF file, a repository."""

from pathlib import Path

from carryon.app.workshop_list import Source, SourceKind
from carryon.base.errors import BadInput
from carryon.hub.names import is_reference, reference_of

_HOW = "Name a folder that has config.json, a GGUF file, or “owner/name” on the Hub."


def source_of(text: str, adapter: Path | None = None) -> Source:
    """What is on the disk comes first, then the Hub: “owner/name[@revision]” or an address. Raises BadInput."""
    path = Path(text).expanduser()
    if path.is_dir():
        return Source(SourceKind.FOLDER, str(path.absolute()), adapter)
    if path.is_file():
        if path.suffix.lower() == ".gguf":
            return Source(SourceKind.GGUF, str(path.absolute()), adapter)
        raise BadInput(f"{path.name} is neither a model's folder nor a GGUF file.", _HOW)
    name, _, revision = text.partition("@") if "://" not in text else (text, "", "")
    if not is_reference(name) or name.lower().endswith(".gguf"):
        raise BadInput(f"There is no “{text}” on this disk, and it is no name of a repository.", _HOW)
    reference = reference_of(name)
    wanted = revision or (reference.revision if reference.revision != "main" else "")
    return Source(SourceKind.REPOSITORY, f"{reference.repo_id}@{wanted}" if wanted else reference.repo_id, adapter)
