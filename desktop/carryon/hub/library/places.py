"""What a file's place says: its name, the repository it is of, its hash. Each program has its own order."""

import re
from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import BadInput
from carryon.gguf.cursor import shown
from carryon.hub.library.shelves import Program, Shelf
from carryon.hub.library.walking import FoundFile, small_text
from carryon.hub.names import repo_id_of
from carryon.hub.origin import Origin, read_origin

_PART = re.compile(r"-\d{5}-of-\d{5}$")
_SHA256, _COMMIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
_LARGEST_YML_BYTES, _LONGEST_NAME = 1 << 16, 200
_YML_NAME = re.compile(r"^name:\s*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """What follows from where a file lies."""

    name: str
    repo_id: str = ""
    origin: Origin | None = None
    sha256: str | None = None


def place_of(file: FoundFile, shelf: Shelf) -> Place:
    """What the shelf's own order says about a file, which is the first part of its model."""
    parts = file.path.relative_to(shelf.root).parts
    match shelf.program:
        case Program.HUGGING_FACE:
            return _in_cache(file, parts)
        case Program.JAN:
            return Place(_jan_name(file.path), _of_folders(parts))
        case Program.CARRYON | Program.LM_STUDIO:
            return _in_folders(file, parts)
        case _:
            return _in_folders(file, ())


def plain_name(path: Path) -> str:
    """A file's name as it can be shown, without what numbers its parts."""
    return shown(_PART.sub("", path.stem), _LONGEST_NAME)


def _in_folders(file: FoundFile, parts: tuple[str, ...]) -> Place:
    """owner/name/file, as Carryon and LM Studio keep it. An origin of another size is of another file."""
    origin = read_origin(file.path)
    if origin is None or origin.size_bytes != file.size_bytes:
        return Place(plain_name(file.path), _of_folders(parts))
    return Place(plain_name(file.path), origin.repo_id, origin, origin.sha256)


def _in_cache(file: FoundFile, parts: tuple[str, ...]) -> Place:
    """models--owner--name/snapshots/<commit>/file, a link to blobs/<sha256>; on Windows it may be the file itself."""
    repo_id = "/".join(parts[0].removeprefix("models--").split("--", 1))
    named = _SHA256.fullmatch(file.link.name) if file.link else None
    sha256, commit = named[0] if named else None, parts[2]
    origin = None
    if _COMMIT.fullmatch(commit) and _is_repo_id(repo_id):
        origin = Origin(repo_id, "/".join(parts[3:]), commit, sha256, file.size_bytes)
    return Place(plain_name(file.path), repo_id if _is_repo_id(repo_id) else "", origin, sha256)


def _of_folders(parts: tuple[str, ...]) -> str:
    repo_id = "/".join(parts[:2])
    return repo_id if len(parts) > 2 and _is_repo_id(repo_id) else ""


def _is_repo_id(text: str) -> bool:
    try:
        repo_id_of(text)
    except BadInput:
        return False
    return True


def _jan_name(path: Path) -> str:
    """Jan calls every file “model.gguf”; its name stands in model.yml beside it, else its folder has it."""
    found = _YML_NAME.search(small_text(path.with_name("model.yml"), _LARGEST_YML_BYTES))
    if found:
        return shown(found[1], _LONGEST_NAME)
    return shown(path.parent.name, _LONGEST_NAME) if path.stem.lower() == "model" else plain_name(path)
