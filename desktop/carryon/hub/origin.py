"""Where a model file came from: a small JSON beside it, written when the download is whole.

    models/owner/name/model-Q4_K_M.gguf
    models/owner/name/model-Q4_K_M.gguf.origin.json     {"repo_id", "path", "commit", "sha256", "size_bytes", "licence"}
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from carryon.base.files import write_whole

SUFFIX = ".origin.json"
_LARGEST_BYTES = 1 << 16
_COMMIT, _SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Origin:
    """A file's identity on the Hub."""

    repo_id: str
    path: str  # in the repository
    commit: str
    sha256: str | None
    size_bytes: int
    licence: str = ""


def origin_file(model: Path) -> Path:
    """Where the origin of this model file is kept."""
    return model.with_name(model.name + SUFFIX)


def write_origin(model: Path, origin: Origin) -> None:
    """Keeps it beside the file. Raises NoRoom and BadFile."""
    write_whole(origin_file(model), json.dumps(asdict(origin), indent=2).encode())


def read_origin(model: Path) -> Origin | None:
    """What is known of this file; None where nothing is, or where somebody has written nonsense there."""
    try:
        with origin_file(model).open("rb") as file:
            told = json.loads(file.read(_LARGEST_BYTES))
        return _origin(told)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _origin(told: dict[str, object]) -> Origin | None:
    commit, sha256, size_bytes = str(told["commit"]), told.get("sha256"), told["size_bytes"]
    if not _COMMIT.fullmatch(commit) or not isinstance(size_bytes, int):
        return None
    if sha256 is not None and not _SHA256.fullmatch(str(sha256)):
        return None
    return Origin(
        str(told["repo_id"]), str(told["path"]), commit, None if sha256 is None else str(sha256), size_bytes,
        str(told.get("licence", "")),
    )  # fmt: skip
