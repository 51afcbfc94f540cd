"""Headers of files on the Hub, kept on disk by the sha256 of the file: the same question is asked once."""

import hashlib
import json
import logging
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from carryon.base.errors import AppError
from carryon.base.files import write_whole
from carryon.gguf.header import Header
from carryon.gguf.tensors import TensorInfo
from carryon.hub.repo import Repo, RepoFile

log = logging.getLogger(__name__)
_LARGEST_BYTES = 64 << 20  # of all of them together; one takes some 20 kB
_LARGEST_ENTRY_BYTES = 32 << 20  # unpacked
_VERSION = 1


class HeaderCache:
    """A folder that may be deleted at any time; what is not readable in it counts as absent."""

    def __init__(self, folder: Path, largest_bytes: int = _LARGEST_BYTES) -> None:
        self._folder, self._largest_bytes = folder, largest_bytes

    def kept(self, repo: Repo, file: RepoFile) -> Header | None:
        """The header of this very file; None where it was never read."""
        try:
            packed = self._place(repo, file).read_bytes()
            unpacker = zlib.decompressobj()
            text = unpacker.decompress(packed, _LARGEST_ENTRY_BYTES)
            return _header(json.loads(text), file) if unpacker.eof else None
        except (OSError, ValueError, TypeError, KeyError, zlib.error, RecursionError):
            return None

    def keep(self, repo: Repo, file: RepoFile, header: Header) -> None:
        """Keeps it; a disk that is full keeps nothing, and that is no error."""
        packed = zlib.compress(json.dumps(_told(header)).encode(), 6)
        try:
            write_whole(self._place(repo, file), packed)
            self._make_room()
        except (AppError, OSError):
            log.warning("a header could not be kept", exc_info=True)

    def _place(self, repo: Repo, file: RepoFile) -> Path:
        named = file.sha256 or hashlib.sha256(f"{repo.repo_id}@{repo.commit}/{file.path}".encode()).hexdigest()
        return self._folder / f"{named}.z"

    def _make_room(self) -> None:
        """The oldest go first."""
        kept = [(one, one.stat()) for one in self._folder.glob("*.z")]
        kept.sort(key=lambda pair: pair[1].st_mtime, reverse=True)
        total_bytes = 0
        for path, status in kept:
            total_bytes += status.st_size
            if total_bytes > self._largest_bytes:
                path.unlink(missing_ok=True)


def _told(header: Header) -> dict[str, Any]:
    tensors = [[one.name, one.shape, one.type_id, one.size_bytes, one.offset_bytes] for one in header.tensors]
    return {
        "carryon": _VERSION, "version": header.version, "fields": header.fields, "arrays": header.arrays,
        "lengths": header.array_lengths, "tensors": tensors, "start": header.data_start_bytes,
        "size": header.size_bytes, "name": header.file_name,
    }  # fmt: skip


def _header(told: dict[str, Any], file: RepoFile) -> Header | None:
    """None for what another version has written, or for a file of another size."""
    if told["carryon"] != _VERSION or told["size"] != file.size_bytes:
        return None
    return Header(
        str(told["name"]), int(told["version"]), {str(key): _scalar(one) for key, one in told["fields"].items()},
        {str(key): tuple(map(_scalar, one)) for key, one in told["arrays"].items()},
        {str(key): _whole(one) for key, one in told["lengths"].items()},
        tuple(map(_tensor, told["tensors"])), _whole(told["start"]), _whole(told["size"]),
    )  # fmt: skip


def _tensor(told: Sequence[Any]) -> TensorInfo:
    name, shape, type_id, size_bytes, offset_bytes = told
    return TensorInfo(str(name), tuple(map(_whole, shape)), _whole(type_id), _whole(size_bytes), _whole(offset_bytes))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


def _scalar(value: Any) -> int | float | bool | str:
    if not isinstance(value, int | float | str):
        raise TypeError(value)
    return value
