"""The work of an evaluation: what can be refused by the headers alone, then a child process, then values."""

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import BadInput
from carryon.base.jobs import Progress
from carryon.engine.task import command_of, running
from carryon.evaluate import figures, request, texts
from carryon.evaluate.figures import Answer, Figures
from carryon.evaluate.request import LARGEST_CONTEXT, SMALLEST_CONTEXT, EvaluateRequest, Task
from carryon.evaluate.result import Evaluation, Measured
from carryon.evaluate.text import shipped_text
from carryon.gguf.shape import ModelShape, read_shape
from carryon.gguf.split import parts_of

WORKER = "evaluate"


@dataclass(frozen=True)
class _File:
    """What its header says."""

    path: Path  # the first part
    shape: ModelShape

    @property
    def label(self) -> str:
        return self.shape.quant or self.path.stem


def evaluating(asked: EvaluateRequest, log_path: Path) -> Generator[Progress | None, None, Evaluation]:
    """Work that measures the base and all others with one text; progress is in tokens, with figures as its note.

    Closing it ends the child at once. Raises BadInput, BadFile, Unsupported, NoRoom and EngineError.
    """
    _check(asked)
    files = []
    for path in (asked.base, *asked.others):
        yield None
        files.append(_File(parts_of(path)[0].absolute(), read_shape(path)))
    task = _task(asked, files)
    told = yield from running(command_of(WORKER), request.encode(task), log_path)
    return _evaluation(files, figures.decode(told), task.n_ctx)


def _check(asked: EvaluateRequest) -> None:
    if not SMALLEST_CONTEXT <= asked.n_ctx <= LARGEST_CONTEXT:
        raise BadInput(*texts.bad_context(asked.n_ctx, SMALLEST_CONTEXT, LARGEST_CONTEXT))
    if asked.n_chunks is not None and asked.n_chunks < 1:
        raise BadInput(*texts.NO_CHUNKS)


def _task(asked: EvaluateRequest, files: list[_File]) -> Task:
    return Task(
        models=tuple(str(one.path) for one in files),
        labels=tuple(one.label for one in files),
        text=str((asked.text or shipped_text()).absolute()),
        n_ctx=asked.n_ctx,
        n_chunks=asked.n_chunks,
        n_threads=asked.n_threads,
        n_gpu_layers=asked.n_gpu_layers,
        measures_speed=asked.measures_speed,
    )


def _evaluation(files: list[_File], answer: Answer, n_ctx: int) -> Evaluation:
    base, *others = zip(files, answer.models, strict=True)
    when_s = time.time()
    measured = _measured(*base, None, answer, n_ctx, when_s)
    compared = tuple(_measured(*one, measured, answer, n_ctx, when_s) for one in others)
    return Evaluation(measured, compared, answer.notices)


def _measured(
    file: _File, found: Figures, base: Measured | None, answer: Answer, n_ctx: int, when_s: float
) -> Measured:
    compared = found.comparison
    return Measured(
        path=file.path,
        quant=file.shape.quant,
        size_bytes=file.shape.size_bytes,
        bits_per_weight=file.shape.bits_per_weight,
        perplexity=found.perplexity,
        perplexity_error=found.perplexity_error,
        kl_divergence=compared.kl_divergence if compared else None,
        kl_error=compared.kl_error if compared else None,
        same_top=compared.same_top if compared else None,
        rms_probability_change=compared.rms_probability_change if compared else None,
        prefill_tokens_per_s=found.prefill_tokens_per_s,
        decode_tokens_per_s=found.decode_tokens_per_s,
        memory_bytes=found.memory_bytes,
        n_tokens=found.n_tokens,
        text_sha256=answer.text_sha256,
        engine_version=answer.engine_version,
        when_s=when_s,
        n_ctx=n_ctx,
        base=base.path if base else None,
        base_quant=base.quant if base else "",
        base_perplexity=base.perplexity if base else None,
    )
