"""The process that quantizes one model into a file that is there, empty, and proves it (carryon.engine.task)."""

import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from carryon.base.errors import AppError, BadFile, BadInput, EngineError, NoRoom
from carryon.base.files import disk_errors
from carryon.base.jobs import Progress, aside
from carryon.base.units import bytes_text
from carryon.engine.protocol import LoadRequest
from carryon.engine.reasons import refusal
from carryon.gguf.header import read_header
from carryon.quantize import words
from carryon.quantize.imatrix_file import read_importance
from carryon.quantize.matching import check_match
from carryon.quantize.request import Wish, size_json, wish_of
from carryon.worker.capi import L
from carryon.worker.check import check
from carryon.worker.quantizing import Parameters, QuantizerLog, layout_complaint, quantize
from carryon.worker.refusals import refusal_of_load
from carryon.worker.sizing import Plan, Sizer
from carryon.worker.task import serve

_SYNC_EVERY_BYTES = 64_000_000  # one sync of a whole model at the end could take minutes
_Stamp = tuple[int, int, int]


def quantized(request: dict[str, Any]) -> Generator[Progress | None, None, dict[str, Any]]:
    """{"source", "part", "folder", "wish", "n_threads", "requantizes"} -> {"size", "n_tensors", "notices"}.

    Progress is in bytes written. Raises whatever stands against it, before a byte is written where it can be known.
    """
    if complaint := layout_complaint():
        raise EngineError(f"Another engine is installed: {complaint}.", "Run packaging/bootstrap.py again.")
    log, wish, part = QuantizerLog(), wish_of(request["wish"]), Path(request["part"])
    log.attach()
    L.llama_backend_init()
    work = yield from aside(lambda: _Work(Path(request["source"]), part, Path(request["folder"]), wish, log))
    with closing(work):
        yield from aside(lambda: work.refuse_hindrances(requantizes=request["requantizes"]))
        yield from work.writing(request["n_threads"])
        yield from work.proving()
        return {"size": size_json(work.plan.size), "n_tensors": len(work.plan.tensors), "notices": work.notices}


class _Work:
    """One file on its way."""

    def __init__(self, source: Path, part: Path, folder: Path, wish: Wish, log: QuantizerLog) -> None:
        self._part, self._wish, self._log = part, wish, log
        self._importance = read_importance(wish.imatrix) if wish.imatrix else None
        self._sizer = Sizer(source, folder, log)
        self.source, self._stamps = self._sizer.parts[0], _stamps(self._sizer.parts)
        self.plan: Plan = self._sizer.plan(wish, self._importance)
        self.notices: list[str] = []

    def close(self) -> None:
        self._sizer.close()

    def refuse_hindrances(self, *, requantizes: bool) -> None:
        """Raises BadInput or NoRoom; what should only be known becomes a notice."""
        self._check_requantizing(requantizes)
        self._check_importance()
        free_bytes = shutil.disk_usage(self._part.parent).free
        if free_bytes < self.plan.size_bytes:
            raise NoRoom(
                f"The file needs {bytes_text(self.plan.size_bytes)}, but {self._part.parent} has only"
                f" {bytes_text(free_bytes)} free.",
                "Free some space, choose a smaller type, or choose another folder.",
            )

    def writing(self, n_threads: int) -> Generator[Progress | None, None, None]:
        """The long part."""
        yield Progress(0, self.plan.size_bytes)
        yield from self._watched(aside(lambda: self._write(n_threads)))
        if _stamps(self._sizer.parts) != self._stamps:
            raise BadFile(f"{self.source.name} changed while it was read.", "Try again when nobody writes to it.")

    def proving(self) -> Generator[Progress | None, None, None]:
        """The header says what was planned, the engine loads it, and it answers."""
        size_bytes = self.plan.size_bytes
        yield Progress(size_bytes, size_bytes, words.CHECKING)
        self._check_header()
        yield from check(self._part, len(self.plan.tensors))

    def _write(self, n_threads: int) -> None:
        parameters = Parameters(self._wish, self.plan.facts, n_threads)
        parameters.as_work(self._importance)
        self._importance = None  # its memory is given back before the new file is loaded
        self._log.forget()
        if not quantize(self.source, self._part, parameters):
            raise self._failure()
        _sync(self._part)

    def _watched(self, work: Generator[None, None, None]) -> Generator[Progress | None, None, None]:
        size_bytes, synced_bytes = self.plan.size_bytes, 0
        for _ in work:
            # the header is written last, so the file is never longer than its tensors so far
            written_bytes = self._part.stat().st_size
            if written_bytes - synced_bytes >= _SYNC_EVERY_BYTES:
                _sync(self._part)
                synced_bytes = written_bytes
            yield Progress(min(written_bytes, size_bytes), size_bytes, words.tensor_note(self._log.at, self._log.count))

    def _check_requantizing(self, requantizes: bool) -> None:
        again = [one for one in self.plan.tensors if one.requantizes]
        if again and not requantizes:
            raise BadInput(*words.would_requantize(self.source.name, again[0].info.type_id, self._wish.quant))
        if again:
            self.notices.append(words.was_requantized(again[0].info.type_id))

    def _check_importance(self) -> None:
        matrices = self.plan.matrices
        blind = [one for one in matrices.values() if one.needs_importance]
        if self._importance is None:
            if blind:
                raise BadInput(*words.needs_imatrix(self._wish.quant, blind[0].name))
            return
        assert self._wish.imatrix is not None
        if lack := check_match(self._importance, matrices, self._wish.imatrix.name):
            self.notices.append(lack)

    def _failure(self) -> AppError:
        """The quantizer gives up on a write as it does on a read: the file on the disk tells which."""
        said = "\n".join(self._log.errors())
        if "iostream" in said or "basic_ios" in said:
            return NoRoom(*words.write_failed(self._part.parent, self._part.stat().st_size))
        if "validation failed" in said or "invalid data" in said or "non-finite" in said:
            return BadFile(*words.broken_weights(self.source.name))
        return refusal(refusal_of_load(self._sizer.parts, self._log), LoadRequest(str(self.source)))

    def _check_header(self) -> None:
        header = read_header(self._part)
        found = {one.name: (one.type_id, one.size_bytes) for one in header.tensors}
        size_bytes = self._part.stat().st_size
        for one in self.plan.tensors:
            written = found.get(one.info.name, (-1, 0))
            if written != (one.type_id, one.size_bytes):
                raise EngineError(f"The tensor {one.info.name} was written as type {written[0]}, not {one.storage}.",
                                  "Try again; report it if it happens twice.")  # fmt: skip
        if size_bytes != self.plan.size_bytes:
            raise EngineError(
                f"The file has {size_bytes:,} bytes instead of {self.plan.size_bytes:,}.",
                "Try again; report it if it happens twice.",
            )


def _sync(path: Path) -> None:
    with disk_errors(path), path.open("rb+") as file:
        os.fsync(file.fileno())


def _stamps(files: Sequence[Path]) -> list[_Stamp]:
    """What changes when somebody writes to a file or replaces it."""
    return [(status.st_ino, status.st_size, status.st_mtime_ns) for status in (file.stat() for file in files)]


if __name__ == "__main__":
    serve(quantized)
