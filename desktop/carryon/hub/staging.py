"""A model's repository as a folder that looks whole and holds next to nothing: small files, and the headers of weights.

cache/preflight/x/config.json                        whole, like the tokenizer's files and the templates
cache/preflight/x/model-00001-of-00002.safetensors   its header, then nothing, in a sparse file of its true size
"""

import json
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from carryon.base.files import disk_errors, grow_sparse
from carryon.base.jobs import aside, drained
from carryon.hub.asking import reading_file, streaming_start
from carryon.hub.names import safe_parts
from carryon.hub.repo import Repo, RepoFile
from carryon.hub.site import Site

FIRST_BYTES = 1 << 15  # the header of a shard of a dozen layers has fewer
LARGEST_HEADER_BYTES = 100_000_000  # the format's own limit (github.com/huggingface/safetensors)
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_CARD = "README.md"  # a model file says its licence
_SMALL = (".json", ".txt", ".model", ".jinja", ".tiktoken")
_LARGE_JSON = frozenset(("tokenizer.json", "vocab.json", INDEX, "added_tokens.json"))
_FOLDERS = ("", "additional_chat_templates", "1_Pooling")
_LARGEST_BYTES, _LARGEST_OTHER_BYTES = 64_000_000, 8_000_000
_PICKLES = (".bin", ".pth", ".pt")
_AT_ONCE = 6


def small_files(files: Sequence[RepoFile]) -> tuple[RepoFile, ...]:
    """What a converter reads beside the weights: settings, tokenizer, templates."""
    return tuple(one for one in files if _is_small(one))


def weight_files(files: Sequence[RepoFile], index: bytes | None) -> tuple[RepoFile, ...]:
    """The files of weights that a model is loaded from: one, or those that the index names, or all there are.

    A second copy in another cut, such as consolidated.safetensors, is left out.
    """
    own = {one.path: one for one in files if one.path.endswith(".safetensors") and "/" not in one.path}
    if SINGLE in own:
        return (own[SINGLE],)
    named = _named_in(index)
    return tuple(one for path, one in sorted(own.items()) if not named or path in named)


def staging(site: Site, repo: Repo, folder: Path) -> Generator[None, None, tuple[RepoFile, ...]]:
    """Work that makes the folder and returns the files of weights. Raises Offline, NoAccess, BadFile and NoRoom."""
    small = small_files(repo.files)
    yield from _each(small, lambda one: _place(folder, one, drained(reading_file(site, repo, one, one.size_bytes))))
    index = folder / INDEX
    weights = weight_files(repo.files, index.read_bytes() if index.is_file() else None)
    yield from _each(weights, lambda one: _place(folder, one, read_start(site, repo, one)))
    for one in repo.files:
        if not weights and "/" not in one.path and one.path.endswith(_PICKLES):
            _place(folder, one, b"")
    return weights


def read_start(site: Site, repo: Repo, file: RepoFile) -> bytes:
    """The header of a file of weights, in one request or two. Raises Offline, NoAccess and BadFile."""
    start = drained(reading_file(site, repo, file, FIRST_BYTES))
    n_bytes = 8 + int.from_bytes(start[:8], "little")
    if n_bytes <= len(start) or n_bytes > min(file.size_bytes, LARGEST_HEADER_BYTES):
        return start[:n_bytes]
    content = bytearray()
    with closing(streaming_start(site, repo, file, n_bytes)) as stream:
        for piece in stream:
            content += piece or b""
    return bytes(content)


def _is_small(file: RepoFile) -> bool:
    folder, _, name = file.path.rpartition("/")
    most_bytes = _LARGEST_BYTES if name in _LARGE_JSON else _LARGEST_OTHER_BYTES
    is_read = name.endswith(_SMALL) or file.path == _CARD
    return folder in _FOLDERS and is_read and file.size_bytes <= most_bytes


def _named_in(index: bytes | None) -> frozenset[str]:
    """The files that an index names; which of them are missing is the converter's to say."""
    with suppress(ValueError, RecursionError, AttributeError):
        places: Any = json.loads(index or b"{}").get("weight_map")
        return frozenset(map(str, places.values()))
    return frozenset()


def _each(files: Sequence[RepoFile], take: Callable[[RepoFile], None]) -> Generator[None, None, None]:
    """Calls for every file, a few at once; the first error ends it."""
    left, is_closed = deque(files), False

    def work() -> None:
        while not is_closed:
            try:
                one = left.popleft()
            except IndexError:
                return
            take(one)

    lanes = [aside(work) for _ in range(min(_AT_ONCE, len(files)))]
    try:
        for lane in lanes:
            with suppress(StopIteration):  # it may have nothing to do already
                next(lane)
            yield None
        for lane in lanes:
            yield from lane
    finally:
        is_closed = True


def _place(folder: Path, file: RepoFile, content: bytes) -> None:
    target = folder.joinpath(*safe_parts(file.path))
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            out.write(content)
            grow_sparse(out, file.size_bytes)
