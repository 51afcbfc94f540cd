"""The converting process: writes a GGUF file, with loops of ggml where they are faster, and tries it out at the end."""

import ctypes
import os
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # several threads multiply already where an adapter is merged

import numpy as np

from carryon.base.jobs import Progress, aside
from carryon.convert.adapter import open_adapter
from carryon.convert.checkpoint import Checkpoint, open_checkpoint
from carryon.convert.encode import BY_NUMPY, Halves
from carryon.convert.job import ConvertRequest, decode_request, encode_result
from carryon.convert.merging import merged
from carryon.convert.run import Means, Verify, prepare, written
from carryon.convert.stamp import stamp_of
from carryon.worker.capi import symbol
from carryon.worker.check import check
from carryon.worker.pickled import unpickle_here
from carryon.worker.task import serve
from carryon.worker.tokens import token_warnings, trial_of

Work = Generator[Progress | None, None, dict[str, Any]]
# the processor's own instructions first; the second of each lies in a library that Windows lets us look into
_NARROW = ("ggml_cpu_fp32_to_fp16", "ggml_fp32_to_fp16_row")
_WIDEN = ("ggml_cpu_fp16_to_fp32", "ggml_fp16_to_fp32_row")


def main() -> None:
    """Does what the first line of stdin asks for."""
    serve(_work)


def ggml_halves() -> Halves:
    """ggml's loops between float16 and float32; numpy's where this build's do not give the same bits."""
    try:
        halves = Halves(_between(_NARROW, np.float16), _between(_WIDEN, np.float32))
    except AttributeError:
        return BY_NUMPY
    return halves if _is_exact(halves) else BY_NUMPY


def _work(told: dict[str, Any]) -> Work:
    if "written" in told:
        found = yield from _verifier(Path(told["folder"]))(Path(told["written"]), told["n_tensors"])
        return {"warnings": found}
    return (yield from _converting(decode_request(told)))


def _converting(request: ConvertRequest) -> Work:
    folders = [folder for folder in (request.source, request.adapter) if folder]
    stamp = stamp_of(*folders)
    checkpoint, warnings = _opened(request)
    yield None
    trial = trial_of(checkpoint.words_folder, request.name or checkpoint.name)
    recipe = prepare(checkpoint, request.out_type, request.name, request.provenance, trial)
    means = Means(stamp.check, _verifier(checkpoint.words_folder), ggml_halves())
    converted = yield from written(recipe, request.target, means)
    return encode_result(replace(converted, warnings=(*warnings, *converted.warnings)))


def _opened(request: ConvertRequest) -> tuple[Checkpoint, tuple[str, ...]]:
    """The checkpoint whose tensors are to be written, an adapter merged into them as they are read."""
    base = open_checkpoint(request.source, unpickle_here())
    if request.adapter is None:
        return base, ()
    adapter = open_adapter(request.adapter)
    return merged(base, adapter), adapter.warnings


def _verifier(folder: Path) -> Verify:
    """Work that tries a file whose tokenizer came from `folder`."""

    def verify(path: Path, n_tensors: int) -> Generator[Progress | None, None, tuple[str, ...]]:
        yield from check(path, n_tensors)
        return (yield from aside(lambda: token_warnings(path, folder)))

    return verify


def _between(names: tuple[str, ...], made: type[np.floating]) -> Callable[[Any, Any], None]:
    """A C loop void(const *from, *to, int64_t n). Raises AttributeError."""
    loop = _first(names)
    loop.restype, loop.argtypes = None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]

    def cast(source: Any, target: Any) -> None:
        assert source.flags.c_contiguous
        assert target.flags.c_contiguous
        assert target.dtype == made
        loop(source.ctypes.data, target.ctypes.data, source.size)

    return cast


def _first(names: tuple[str, ...]) -> Any:
    for name in names[:-1]:
        try:
            return symbol(name, None)
        except AttributeError:
            continue
    return symbol(names[-1], None)


def _is_exact(halves: Halves) -> bool:
    """Tried on every float16 that there is, and on what lies between each of them and the next."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)]
    floats = np.empty(every.shape, np.float32)
    halves.widen(every, floats)
    if not np.array_equal(floats, every.astype(np.float32)):
        return False
    near = np.concatenate([floats, np.nextafter(floats, 0), (floats[:-1] + floats[1:]) / 2, floats * np.float32(1.1)])
    near = near[np.abs(near) < 65520]  # what is larger becomes infinite
    found = np.empty(near.shape, np.float16)
    halves.narrow(near, found)
    return np.array_equal(found.view(np.uint16), near.astype(np.float16).view(np.uint16))


if __name__ == "__main__":
    main()
