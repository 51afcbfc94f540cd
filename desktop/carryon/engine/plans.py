"""The engine's plans, kept on disk: by the header, the parameters, the devices and the engine they were made with."""

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from carryon.base.errors import AppError
from carryon.base.files import write_whole
from carryon.engine.protocol import DeviceKind, DeviceMemory, LoadRequest, Planned, decode_answer, encode_answer
from carryon.gguf.header import read_header
from carryon.gguf.split import parts_of
from carryon.hardware.machine import EngineDevice, EngineDevices

MOST_FILES = 1000  # a plan takes one or two kilobytes
_LARGEST_BYTES = 1 << 16
_DIGEST = re.compile(rb"[0-9a-f]{40}")
_PLAN, _HEADER = ".plan.json", ".header"
# What a plan does not depend on: the server's side of a request, and mmap, which moves no byte elsewhere.
_IRRELEVANT = ("model_path", "n_threads", "use_mmap", "host", "port", "api_key", "model_name")


@dataclass(frozen=True)
class Plans:
    """A folder of plans. Damaged or foreign files in it are as good as none."""

    folder: Path

    def kept(self, request: LoadRequest, seen: EngineDevices) -> Planned | None:
        """The plan that was made for this before, with this engine and these devices; some hundred microseconds."""
        key = self._key(request, seen.engine, seen.devices)
        with suppress(AppError, OSError):
            if key and isinstance(plan := decode_answer(_small(self.folder / (key + _PLAN))), Planned):
                return plan
        return None

    def keep(self, request: LoadRequest, plan: Planned) -> None:
        """Whole or not at all; a disk that is full costs only time later."""
        with suppress(AppError, OSError):
            if key := self._key(request, plan.engine, plan.memory):
                write_whole(self.folder / (key + _PLAN), encode_answer(plan))
                self._prune()

    def _key(self, request: LoadRequest, engine: str, devices: Iterable[EngineDevice | DeviceMemory]) -> str | None:
        """None where a plan cannot be repeated: other machines change, and free memory decides a split that is open."""
        known = sorted((one.name, one.description, one.kind) for one in devices if one.kind is not DeviceKind.OTHER)
        n_gpus = len(request.gpus) or sum(kind is not DeviceKind.CPU for _, _, kind in known)
        if request.rpc_endpoints or (request.n_gpu_layers and n_gpus > 1 and not request.split):
            return None
        headers = self._headers(Path(request.model_path))
        parameters = {name: value for name, value in asdict(request).items() if name not in _IRRELEVANT}
        return _digest(json.dumps([headers, parameters, engine, known]).encode()) if headers else None

    def _headers(self, path: Path) -> list[str] | None:
        """A digest of each part's header; None if there is none to be had."""
        try:
            return [self._header(part) for part in parts_of(path)]
        except (AppError, OSError):
            return None

    def _header(self, path: Path) -> str:
        """Read once for as long as the file stays as it is; a copy of the file elsewhere has the same."""
        status = path.stat()
        identity = f"{path.absolute()}|{status.st_size}|{status.st_mtime_ns}|{status.st_ino}"
        note = self.folder / (_digest(os.fsencode(identity)) + _HEADER)
        with suppress(OSError):
            if _DIGEST.fullmatch(noted := _small(note)):
                return noted.decode()
        with path.open("rb") as file:
            digest = _digest(file.read(read_header(path).data_start_bytes))
        with suppress(AppError):
            write_whole(note, digest.encode())
        return digest

    def _prune(self) -> None:
        """The oldest go when there are too many."""
        files = [one for one in self.folder.iterdir() if one.name.endswith((_PLAN, _HEADER))]
        if len(files) > MOST_FILES:
            files.sort(key=lambda one: one.stat().st_mtime_ns)
            for old in files[: len(files) - MOST_FILES // 2]:
                old.unlink(missing_ok=True)


def _small(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST_BYTES)


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=20).hexdigest()
