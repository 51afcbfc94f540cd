"""What a fake Hub holds: the bytes of files, repositories with their commits, and rules about what goes wrong."""

import hashlib
import re
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

LFS_THRESHOLD_BYTES = 10 * 1024 * 1024
LFS_ENDINGS = (".gguf", ".safetensors", ".bin", ".pt", ".pth", ".onnx", ".msgpack", ".h5")
_BLOCK_BYTES = 1 << 20


@lru_cache(maxsize=32)
def _block(seed, index):
    """One MiB: a digest over and over. Cheap, and different from its neighbours."""
    return memoryview(hashlib.sha256(struct.pack("<QQ", seed, index)).digest() * (_BLOCK_BYTES // 32))


class Blob:
    """The bytes of one file: real ones, those of a file on disk, or a stream of `size` bytes that needs no memory."""

    def __init__(self, data=None, *, size=0, seed=0, lfs=None, name="", file=None):
        self.data, self.seed, self.file, self._sha256 = data, seed, file, None
        self.size = len(data) if data is not None else file.stat().st_size if file else size
        self.lfs = lfs if lfs is not None else self.size >= LFS_THRESHOLD_BYTES or name.lower().endswith(LFS_ENDINGS)
        named = data if data is not None else str(file or seed).encode()
        self.sha1 = hashlib.sha1(b"blob %d\0" % self.size + named).hexdigest()

    def read(self, start, n_bytes):
        """Bytes from `start`, fewer at the end."""
        if self.data is not None:
            return self.data[start : start + n_bytes]
        if self.file:
            with self.file.open("rb") as file:
                file.seek(start)
                return file.read(n_bytes)
        pieces, at, end = [], start, min(start + n_bytes, self.size)
        while at < end:
            index, offset = divmod(at, _BLOCK_BYTES)
            pieces.append(_block(self.seed, index)[offset : offset + (end - at)])
            at += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def sha256(self):
        if self._sha256 is None:
            digest = hashlib.sha256()
            for at in range(0, max(self.size, 1), _BLOCK_BYTES):
                digest.update(self.read(at, _BLOCK_BYTES))
            self._sha256 = digest.hexdigest()
        return self._sha256

    @property
    def etag(self):
        return self.sha256 if self.lfs else self.sha1


@dataclass
class Repo:
    """A repository: its commits, the branches and tags that name them, and who may read it."""

    repo_id: str
    meta: dict[str, Any] = field(default_factory=dict)
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)  # branch or tag -> commit
    gated: str | bool = False
    private: bool = False

    def commit(self, files, branch="main"):
        """Adds a commit of these files (bytes or blobs) and returns its name."""
        blobs = {path: one if isinstance(one, Blob) else Blob(one, name=path) for path, one in files.items()}
        content = sorted((path, blob.size, blob.seed) for path, blob in blobs.items())
        name = hashlib.sha1(repr((self.repo_id, len(self.commits), content)).encode()).hexdigest()
        self.commits[name] = blobs
        self.refs[branch] = name
        return name

    def resolve(self, revision):
        """The commit that a branch, a tag or a commit means; None where there is none."""
        if revision in self.refs:
            return self.refs[revision]
        return revision if revision in self.commits else None


@dataclass
class Fault:
    """A rule: requests that match it go wrong in this way."""

    kind: str
    path: re.Pattern[str]
    method: str | None = None
    times: int = -1  # -1: always
    skip: int = 0  # lets this many matching requests pass first
    opts: dict[str, Any] = field(default_factory=dict)
    hits: int = 0

    def take(self, method, path):
        """Whether this request goes wrong; counts it if so."""
        if (self.method and self.method != method) or not self.path.search(path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times == 0:
            return False
        self.times -= self.times > 0
        self.hits += 1
        return True
