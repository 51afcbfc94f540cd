"""The process that lets a model read a text and writes down what its matrices met (carryon.engine.task)."""

import ctypes
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from carryon.base.errors import AppError, BadFile, BadInput, EngineError, Unsupported
from carryon.base.files import disk_errors
from carryon.base.jobs import Progress, aside
from carryon.engine.protocol import LoadRequest
from carryon.engine.reasons import refusal
from carryon.evaluate.text import read_text
from carryon.evaluate.texts import no_numbers
from carryon.gguf.split import parts_of, read_model
from carryon.quantize import words
from carryon.quantize.imatrix_file import Entry, Importance, write_importance
from carryon.worker.capi import L, layout_complaint
from carryon.worker.engine_log import EngineLog
from carryon.worker.ggml_tensor import layout_complaint as tensor_complaint
from carryon.worker.importance import Collector
from carryon.worker.llama import Batch, LoadFailed, Model
from carryon.worker.parameters import Placing, Sizing, context_parameters
from carryon.worker.perplexity import Rows, Scores
from carryon.worker.refusals import refusal_of_load
from carryon.worker.task import serve

_MOST_LOGIT_BYTES = 1 << 28  # of one step: the output of every token is asked for, else the last layer skips it
_LARGEST_STEP, _SMALLEST_STEP = 512, 64
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
    _scores: Scores = field(default_factory=Scores)

    @property
    def note(self) -> str:
        return words.perplexity_note(self._scores.perplexity) if self._scores.n_tokens else ""

    def run(self) -> None:
        """Raises AppErrors."""
        path, source = Path(self.request["model"]), Path(self.request["text"])
        text = read_text(source)
        read_model(path)
        with self._model(path) as model:
            entries = self._read(model, _tokens(model, text.content, self.request["n_ctx"]))
            name = model.metadata("general.name") or ""
        if not entries:
            raise Unsupported(f"{path.name} has no matrices whose use could be watched.", "Quantize without.")
        n_ctx = self.request["n_ctx"]
        importance = Importance(entries, (source.name,), self.total // n_ctx, n_ctx, text.sha256, name)
        self._write(importance)
        self.result = {
            "n_chunks": importance.n_chunks,
            "n_tokens": self.total,
            "perplexity": self._scores.perplexity,
            "notices": list(_notices(importance)),
        }

    def _read(self, model: Model, tokens: list[int]) -> Mapping[str, Entry]:
        """Chunk by chunk; raises LoadFailed where there is no memory for a context."""
        n_ctx = self.request["n_ctx"]
        n_chunks = min(len(tokens) // n_ctx, self.request["n_chunks"] or len(tokens))
        self.total = n_chunks * n_ctx
        n_threads = self.request["n_threads"] or os.cpu_count() or 1
        collector = Collector()
        with closing(Rows(n_threads)) as rows, closing(_Eye(model, collector, rows, n_ctx, n_threads)) as eye:
            for start in range(0, self.total, n_ctx):
                for step in eye.reading(tokens[start : start + n_ctx], self._scores):
                    self.done += step
                    if not self._scores.is_finite:
                        raise BadFile(*no_numbers(Path(self.request["model"]).name))
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

    def __init__(self, model: Model, collector: Collector, rows: Rows, n_ctx: int, n_threads: int) -> None:
        """Raises LoadFailed."""
        self._vocabulary, self._collector, self._rows = model.vocabulary, collector, rows
        self._step = _step(n_ctx, model.vocabulary.size)
        parameters = context_parameters(Sizing(n_ctx, n_threads, n_ubatch=self._step))
        parameters.n_outputs_max = self._step
        parameters.cb_eval = collector.callback
        self._handle = L.llama_init_from_model(model.handle, parameters)
        if not self._handle:
            raise LoadFailed
        self._batch = Batch(self._step)

    def reading(self, tokens: list[int], scores: Scores) -> Iterator[int]:
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
            self._score(tokens, start, len(part), scores)
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

    def _score(self, tokens: list[int], start: int, count: int, scores: Scores) -> None:
        """The second half of a chunk counts: there the model has seen enough."""
        first, last = max(start, len(tokens) // 2), min(start + count, len(tokens) - 1)
        if first >= last:
            return
        every = np.ctypeslib.as_array(L.llama_get_logits(self._handle), shape=(count, self._vocabulary.size))
        logits = every[first - start : last - start]
        scores.add(self._rows.normed(logits).log_p(logits, np.array(tokens[first + 1 : last + 1])))


def _step(n_ctx: int, n_words: int) -> int:
    step = min(_LARGEST_STEP, n_ctx)
    while step > _SMALLEST_STEP and 4 * n_words * step > _MOST_LOGIT_BYTES:
        step //= 2
    return step


def _tokens(model: Model, text: str, n_ctx: int) -> list[int]:
    tokens = model.vocabulary.tokens(text, add_special=True)
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
