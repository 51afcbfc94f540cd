"""The converting process: writes a GGUF file, with loops of ggml where they are faster, and tries it out at the end."""

import ctypes
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from carryon.base.errors import Unsupported
from carryon.base.jobs import Progress
from carryon.convert.checkpoint import Checkpoint, open_checkpoint
from carryon.convert.encode import BY_NUMPY, Halves
from carryon.convert.job import ConvertRequest, decode_request, encode_result
from carryon.convert.run import Means, Verify, prepare, written
from carryon.convert.stamp import stamp_of
from carryon.worker.capi import symbol
from carryon.worker.check import check
from carryon.worker.task import serve

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
    stamp = stamp_of(request.source)
    checkpoint = _opened(request)
    yield None
    recipe = prepare(checkpoint, request.out_type, request.name, request.provenance)
    means = Means(stamp.check, _verifier(request.source), ggml_halves())
    return encode_result((yield from written(recipe, request.target, means)))


def _opened(request: ConvertRequest) -> Checkpoint:
    """The checkpoint whose tensors are to be written; an adapter would be merged into its sources here."""
    if request.adapter:
        raise Unsupported("Carryon cannot merge an adapter into a model yet.", "Convert the base model alone.")
    return open_checkpoint(request.source)


def _verifier(folder: Path) -> Verify:
    def verify(path: Path, n_tensors: int) -> Generator[Progress | None, None, tuple[str, ...]]:
        yield from check(path, n_tensors)
        return ()

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
