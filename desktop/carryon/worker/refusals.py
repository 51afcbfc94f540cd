"""Why a model cannot be loaded, worked out from its file and from what the engine logged."""

import ctypes
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from carryon.engine.protocol import Reason, Refused
from carryon.worker.capi import symbol
from carryon.worker.engine_log import EngineLog, Level

_MAGIC = b"GGUF"
_DETAIL_LINES = 6
_NO_ARCHITECTURE = re.compile(r"unknown model architecture: '([^']*)'")
_CUT_SHORT = re.compile(r"not within the file bounds|unexpectedly reached end of file|read error", re.I)
_HEADER_ENDS = re.compile(r"gguf_init_from_\w+: (.*)")
_MISSING_PART = re.compile(r"failed to load GGUF split from (\S+)|failed to open GGUF file '([^']+)'")
# from ggml-alloc.c, ggml-backend.cpp and ggml-cuda.cu; the most telling first
_NO_MEMORY = (
    re.compile(r"failed to allocate (?P<device>\S+) buffer of size (?P<bytes>\d+)"),
    re.compile(r"allocating (?P<mib>[\d.]+) MiB on device (?P<device>\S+?):"),
    re.compile(r"failed to allocate buffer of size (?P<bytes>\d+)"),
    re.compile(r"failed to allocate output buffer of size (?P<mib>[\d.]+) MiB"),
)
_NO_MEMORY_AT_ALL = re.compile(r"failed to allocate|out of memory|bad_alloc", re.I)
_NO_FLASH_ATTENTION = re.compile(r"flash attention.*not supported, set to disabled|flash_attn is not compatible", re.I)
# from llama_init_from_model of llama-context.cpp
_BAD_SETTING = re.compile(r"quantized V cache|V cache quantization|K cache type|V cache type", re.I)
_BAD_HEADS = re.compile(r"cache type (?P<kv_type>\w+) with block size (?P<block>\d+) does not divide \w+=(?P<head>\d+)")


class LoadRefused(Exception):
    """The model cannot be loaded; carries the event that says why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


class _GgufParameters(ctypes.Structure):
    """gguf_init_params of gguf.h."""

    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p))


def refusal_of_file(path: Path) -> Refused | None:
    """What is wrong with the file before the engine even looks at it; None if nothing is."""
    if not path.is_file():
        facts = {"path": str(path), "is_folder": path.is_dir()}
        return Refused(Reason.MISSING_FILE, f"{path} is not a file", facts)
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        return Refused(Reason.MISSING_FILE, f"{path}: {error.strerror}", {"path": str(path)})
    if len(start) < len(_MAGIC) and _MAGIC.startswith(start):
        return _truncated(path, f"{len(start)} bytes long")
    return None if start == _MAGIC else Refused(Reason.NOT_GGUF, f"it starts with {start!r}")


def refusal_of_load(files: Sequence[Path], log: EngineLog) -> Refused:
    """Why llama.cpp gave no model or no context of these files."""
    lines = [line.text for line in log.lines if line.level >= Level.WARN and line.text]
    detail = "\n".join(lines[-_DETAIL_LINES:])
    said = "\n".join(lines)
    if unknown := _NO_ARCHITECTURE.search(said):
        return Refused(Reason.UNSUPPORTED_ARCHITECTURE, detail, {"architecture": unknown[1]})
    if missing := _missing_part(said, files):
        return Refused(Reason.MISSING_FILE, detail, {"path": missing})
    if _is_cut_short(said, files):
        return _truncated(next(filter(_lacks_its_end, files), files[0]), detail)
    if _NO_MEMORY_AT_ALL.search(said):
        return Refused(Reason.OUT_OF_MEMORY, detail, _wanted(said))
    if _BAD_SETTING.search(said):
        return Refused(Reason.BAD_REQUEST, detail, _cache_facts(said))
    return Refused(Reason.BAD_MODEL if said else Reason.UNKNOWN, detail)


def says_no_flash_attention(lines: Iterable[str]) -> bool:
    """Whether the engine logged that it does without: then the working memory is a multiple."""
    return any(_NO_FLASH_ATTENTION.search(line) for line in lines)


def whole_size_bytes(path: Path) -> int | None:
    """How long the header says that the file is; None if the header itself is damaged."""
    header = symbol("gguf_init_from_file", ctypes.c_void_p, ctypes.c_char_p, _GgufParameters)(
        os.fsencode(path), _GgufParameters(True, None)
    )
    if not header:
        return None
    count = symbol("gguf_get_n_tensors", ctypes.c_int64, ctypes.c_void_p)(header)
    start = symbol("gguf_get_data_offset", ctypes.c_size_t, ctypes.c_void_p)(header)
    offset = symbol("gguf_get_tensor_offset", ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int64)
    size = symbol("gguf_get_tensor_size", ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int64)
    whole = start + max((offset(header, index) + size(header, index) for index in range(count)), default=0)
    symbol("gguf_free", None, ctypes.c_void_p)(header)
    return int(whole)


def _is_cut_short(said: str, files: Sequence[Path]) -> bool:
    """Shorter than its header says, or ended within the header: then the first complaint is that it cannot be read."""
    if _CUT_SHORT.search(said):
        return True
    header = _HEADER_ENDS.search(said)
    return header is not None and header[1].startswith("failed to read") and all(path.stat().st_size for path in files)


def _lacks_its_end(path: Path) -> bool:
    whole = whole_size_bytes(path)
    return whole is None or whole > path.stat().st_size


def _truncated(path: Path, detail: str) -> Refused:
    """A header that cannot be read at all has no expected size."""
    facts: dict[str, Any] = {"expected_bytes": whole_size_bytes(path), "actual_bytes": path.stat().st_size}
    return Refused(Reason.TRUNCATED, detail, facts)


def _missing_part(said: str, files: Sequence[Path]) -> str | None:
    """A model in several files lacks one of them."""
    names = [match[1] or match[2] for match in _MISSING_PART.finditer(said)]
    return next((name for name in names if Path(name) not in files and not Path(name).exists()), None)


def _cache_facts(said: str) -> dict[str, Any]:
    """Why the KV cache cannot be kept in this way: by the size of the heads, else for want of flash attention."""
    if heads := _BAD_HEADS.search(said):
        return {"kv_type": heads["kv_type"], "block": int(heads["block"]), "head_length": int(heads["head"])}
    return {"kv_type": None}


def _wanted(said: str) -> dict[str, Any]:
    for match in filter(None, (pattern.search(said) for pattern in _NO_MEMORY)):
        found = match.groupdict()
        wanted = int(found["bytes"]) if found.get("bytes") else round(float(found["mib"]) * 1024 * 1024)
        return {"device": found.get("device") or "CPU", "wanted_bytes": wanted}
    return {"device": None, "wanted_bytes": None}
