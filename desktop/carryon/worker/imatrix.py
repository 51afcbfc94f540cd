"""The process that lets a model read a text and writes down what its matrices met (carryon.engine.task)."""

import ctypes
import hashlib
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from carryon.base.errors import AppError, BadInput, EngineError, Unsupported
from carryon.base.files import disk_errors
from carryon.base.jobs import Progress, aside
from carryon.engine.protocol import LoadRequest
from carryon.engine.reasons import refusal
from carryon.gguf.split import parts_of, read_model
from carryon.quantize import words
from carryon.quantize.imatrix_file import Entry, Importance, write_importance
from carryon.worker.capi import L, layout_complaint
from carryon.worker.engine_log import EngineLog
from carryon.worker.ggml_tensor import layout_complaint as tensor_complaint
from carryon.worker.importance import Collector
from carryon.worker.llama import Batch, LoadFailed, Model
from carryon.worker.parameters import Placing, Sizing, context_parameters
from carryon.worker.refusals import refusal_of_load
from carryon.worker.task import serve

_LARGEST_TEXT_BYTES = 1 << 28
_MOST_LOGIT_BYTES = 1 << 28  # of one step: the output of every token is asked for, else the last layer skips it
_LARGEST_STEP, _SMALLEST_STEP = 512, 64
_SCORED_ROWS = 32  # of logits that are worked on at once
_LEAST_CTX, _MOST_CTX = 64, 1 << 15
_FEW_CHUNKS = 10


def imatrix(request: dict[str, Any]) -> Generator[Progress | None, None, dict[str, Any]]:
    """A quantize.request.ImatrixRequest as JSON, with "part" as the file to write.

    Returns {"n_chunks", "n_tokens", "perplexity", "notices"}; progress is in tokens.
    """
    if complaint := layout_complaint() or tensor_complaint():
        raise EngineError(f"Another engine is installed: {complaint}.", "Run packaging/bootstrap.py again.")
    if not _LEAST_CTX <= request["n_ctx"] <= _MOST_CTX:
        raise BadInput(f"A chunk can have {_LEAST_CTX:,} to {_MOST_CTX:,} tokens, not {request['n_ctx']:,}.")
    if request["n_chunks"] is not None and request["n_chunks"] < 1:
        raise BadInput("At least one chunk of the text must be read.")
    log = EngineLog()
    log.attach()
    L.llama_backend_init()
    reading = _Reading(request, log)
    yield Progress(0, None, words.LOADING)
    for _ in aside(reading.run):
        yield Progress(reading.done, reading.total, reading.note) if reading.total else None
    return reading.result


@dataclass
class _Reading:
    """The work itself, for a thread beside the one that tells of it."""

    request: dict[str, Any]
    log: EngineLog
    done: int = 0
    total: int = 0
    result: dict[str, Any] = field(default_factory=dict)
    _score: "_Score" = field(default_factory=lambda: _Score())

    @property
    def note(self) -> str:
        return words.perplexity_note(self._score.perplexity) if self._score.count else ""

    def run(self) -> None:
        """Raises AppErrors."""
        path, text = Path(self.request["model"]), Path(self.request["text"])
        content = _text_bytes(text)
        read_model(path)
        with self._model(path) as model:
            entries = self._read(model, _tokens(model, content, self.request["n_ctx"]))
            name = model.metadata("general.name") or ""
        if not entries:
            raise Unsupported(f"{path.name} has no matrices whose use could be watched.", "Quantize without.")
        n_ctx, text_sha256 = self.request["n_ctx"], hashlib.sha256(content).hexdigest()
        importance = Importance(entries, (text.name,), self.total // n_ctx, n_ctx, text_sha256, name)
        self._write(importance)
        self.result = {
            "n_chunks": importance.n_chunks,
            "n_tokens": self.total,
            "perplexity": self._score.perplexity,
            "notices": list(_notices(importance)),
        }

    def _read(self, model: Model, tokens: list[int]) -> Mapping[str, Entry]:
        """Chunk by chunk; raises LoadFailed where there is no memory for a context."""
        n_ctx = self.request["n_ctx"]
        n_chunks = min(len(tokens) // n_ctx, self.request["n_chunks"] or len(tokens))
        self.total = n_chunks * n_ctx
        collector = Collector()
        with closing(_Eye(model, collector, n_ctx, self.request["n_threads"])) as eye:
            for start in range(0, self.total, n_ctx):
                for step in eye.reading(tokens[start : start + n_ctx], self._score):
                    self.done += step
        return collector.entries

    @contextmanager
    def _model(self, path: Path) -> Iterator[Model]:
        first = parts_of(path)[0]
        try:
            model = Model.load(str(first), Placing(n_gpu_layers=self.request["n_gpu_layers"], repack=False))
        except LoadFailed as error:
            raise self._refusal(path) from error
        try:
            if why := model.why_it_cannot_chat():
                raise Unsupported(f"{path.name} cannot read a text word by word: {why}.", "Quantize without.")
            yield model
        except LoadFailed as error:
            raise self._refusal(path) from error
        finally:
            model.free()

    def _refusal(self, path: Path) -> AppError:
        return refusal(refusal_of_load(parts_of(path), self.log), LoadRequest(str(path)))

    def _write(self, importance: Importance) -> None:
        part = Path(self.request["part"])
        with disk_errors(part), part.open("wb") as out:
            write_importance(out, importance)
            out.flush()
            os.fsync(out.fileno())


class _Eye:
    """A context that reads chunks from their start, watched by a collector."""

    def __init__(self, model: Model, collector: Collector, n_ctx: int, n_threads: int) -> None:
        """Raises LoadFailed."""
        self._vocabulary, self._collector = model.vocabulary, collector
        self._step = _step(n_ctx, model.vocabulary.size)
        parameters = context_parameters(Sizing(n_ctx, n_threads or os.cpu_count() or 1, n_ubatch=self._step))
        parameters.n_outputs_max = self._step
        parameters.cb_eval = collector.callback
        self._handle = L.llama_init_from_model(model.handle, parameters)
        if not self._handle:
            raise LoadFailed
        self._batch = Batch(self._step)

    def reading(self, tokens: list[int], score: "_Score") -> Iterator[int]:
        """Reads one chunk; tells after each step how many tokens it had."""
        L.llama_memory_clear(L.llama_get_memory(self._handle), True)
        begun = (
            [self._vocabulary.bos.token, *tokens[1:]] if self._vocabulary.adds_bos and self._vocabulary.bos else tokens
        )
        for start in range(0, len(tokens), self._step):
            part = begun[start : start + self._step]
            self._batch.fill(part, start, True)
            ctypes.memset(self._batch.outputs, 1, len(part))
            self._decode()
            self._score(tokens, start, len(part), score)
            yield len(part)

    def close(self) -> None:
        """Gives the memory back."""
        self._batch.free()
        L.llama_free(self._handle)

    def _decode(self) -> None:
        code = L.llama_decode(self._handle, self._batch.struct)
        if self._collector.error:
            raise EngineError(
                f"The importance of a matrix could not be noted: {self._collector.error}.", "Report it, please."
            ) from self._collector.error
        if code:
            raise EngineError("The engine stopped reading the text.", "The log has the details.")

    def _score(self, tokens: list[int], start: int, count: int, score: "_Score") -> None:
        """The second half of a chunk counts: there the model has seen enough."""
        first, last = max(start, len(tokens) // 2), min(start + count, len(tokens) - 1)
        if first >= last:
            return
        rows = np.ctypeslib.as_array(L.llama_get_logits(self._handle), shape=(count, self._vocabulary.size))
        for at in range(first, last, _SCORED_ROWS):
            until = min(at + _SCORED_ROWS, last)
            score.add(rows[at - start : until - start], np.array(tokens[at + 1 : until + 1]))


class _Score:
    """How surprised the model was."""

    def __init__(self) -> None:
        self.count, self._surprise = 0, 0.0

    def add(self, logits: Any, following: Any) -> None:
        """`logits`: [positions, words]; `following`: the words that came."""
        highest = logits.max(axis=1)
        sums = np.exp(logits - highest[:, None]).sum(axis=1, dtype=np.float64)
        said = logits[np.arange(len(following)), following]
        self._surprise += float((np.log(sums) + highest - said).sum())
        self.count += len(following)

    @property
    def perplexity(self) -> float:
        return float(np.exp(self._surprise / self.count)) if self.count else float("nan")


def _step(n_ctx: int, n_words: int) -> int:
    step = min(_LARGEST_STEP, n_ctx)
    while step > _SMALLEST_STEP and 4 * n_words * step > _MOST_LOGIT_BYTES:
        step //= 2
    return step


def _text_bytes(path: Path) -> bytes:
    with disk_errors(path):
        if path.stat().st_size > _LARGEST_TEXT_BYTES:
            raise BadInput(f"{path.name} is longer than any text that is needed.", "A few megabytes are plenty.")
        return path.read_bytes()


def _tokens(model: Model, content: bytes, n_ctx: int) -> list[int]:
    tokens = model.vocabulary.tokens(content.decode("utf-8", "replace"), add_special=True)
    if len(tokens) < n_ctx:
        raise BadInput(
            f"The text has only {len(tokens):,} tokens, and one chunk takes {n_ctx:,}.",
            "Take a longer text: some hundred kilobytes of what the model will be used for.",
        )
    return tokens


def _notices(importance: Importance) -> Iterator[str]:
    if importance.n_chunks < _FEW_CHUNKS:
        yield words.short_text(importance.n_chunks)
    idle = sum(one.n_idle for one in importance.entries.values())
    if idle:
        yield words.idle_experts(idle, sum(len(one.counts) for one in importance.entries.values()))


if __name__ == "__main__":
    serve(imatrix)
