"""The evaluating process: reads a text with a base and with others beside it, chunk by chunk, and compares.

The base's logits of a chunk are computed once and compared with each of the others in turn, where the engine left
them: nothing is stored, nothing is copied. Where memory has no room for all files, the base reads the text again
beside the next of them; a single file that has no room is read from the disk while it works (worker/shortage.py).
"""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from carryon.base.errors import BadInput
from carryon.base.jobs import Progress
from carryon.evaluate import figures, request, texts
from carryon.evaluate.figures import Answer, Figures
from carryon.evaluate.request import LEAST_CHUNKS, Task
from carryon.evaluate.text import read_text
from carryon.fit.room import ram_room
from carryon.gguf.split import parts_of
from carryon.hardware.memory import read_memory
from carryon.worker.capi import version
from carryon.worker.perplexity import Floats, Indices, Normed, Rows
from carryon.worker.reader import pieces
from carryon.worker.subjects import Opener, Subject
from carryon.worker.task import serve

_WORKING_BYTES = 400 << 20  # logits and computing of one file beside its weights, at 152,000 words
_News = Generator[Progress | None, None, None]


def evaluate(told: dict[str, Any]) -> Generator[Progress | None, None, dict[str, Any]]:
    """The whole work. Raises AppError."""
    task = request.decode(told)
    text = read_text(Path(task.text))
    yield Progress(0, None, texts.loading_text(task.labels[0]))
    # before the base takes its part of what is usable
    groups = grouped([_size_bytes(one) for one in task.models], _usable_bytes(), one_by_one=task.n_gpu_layers != 0)
    opener = Opener(task)
    base = opener.open(0)
    tokens = base.model.vocabulary.tokens(text.content, add_special=True)
    measuring = _Measuring(task, opener, text.content, tokens, len(groups))
    try:
        for others in groups:
            yield from measuring.beside(base, others)
    finally:
        measuring.close()
    notices = tuple(_notices(task, base, len(groups)))
    answer = Answer(measuring.figures, text.sha256, f"llama.cpp {version()}", notices)
    base.free()
    return figures.encode(answer)


class _Measuring:
    """The text in chunks, and what was found out so far."""

    def __init__(self, task: Task, opener: Opener, text: str, tokens: list[int], n_readings: int) -> None:
        self._task, self._opener, self._text, self._tokens = task, opener, text, tokens
        self._chunks = chunks_of(tokens, task)
        self._rows = Rows(opener.n_threads)
        self._found: dict[int, Figures] = {}
        self._done = 0
        self._total = len(self._chunks) * task.n_ctx * (n_readings + len(task.models) - 1)

    @property
    def figures(self) -> tuple[Figures, ...]:
        """In the order of the task."""
        return tuple(self._found[index] for index in range(len(self._task.models)))

    def close(self) -> None:
        """Ends its threads."""
        self._rows.close()

    def beside(self, base: Subject, indices: Sequence[int]) -> _News:
        """Reads the whole text with the base and some of the others. Raises AppError."""
        others = []
        for index in indices:
            yield Progress(self._done, self._total, texts.loading_text(self._task.labels[index]))
            others.append(self._opener.open(index))
            self._check_vocabulary(base, others[-1])
        for one in (base, *others):
            self._opener.begin_reading(one)
        for chunk in self._chunks:
            yield from self._chunk(base, others, chunk)
        for one in (base, *others):
            one.stop_reading()  # their working memory is for whoever is timed
        for one in (base, *others):
            if one.index not in self._found:
                yield Progress(self._done, self._total, texts.timing_text(one.label))
                self._found[one.index] = yield from self._opener.figures(one, self._tokens)
        for one in others:
            one.free()

    def _chunk(self, base: Subject, others: Sequence[Subject], chunk: Sequence[int]) -> _News:
        for piece in pieces(self._task.n_ctx):
            targets = piece.targets(chunk)
            seen = base.read(chunk, piece)
            normed = self._rows.normed(seen)
            base.scores.add(normed.log_p(seen, targets))
            yield self._news(piece.stop - piece.start, base, None)
            for one in others:
                self._compare(one, one.read(chunk, piece), seen, normed, targets)
                yield self._news(piece.stop - piece.start, base, one)

    def _compare(self, one: Subject, logits: Floats, seen: Floats, normed: Normed, targets: Indices) -> None:
        own = self._rows.normed(logits)
        log_p = own.log_p(logits, targets)
        one.scores.add(log_p)
        change = np.exp(log_p) - np.exp(normed.log_p(seen, targets))
        one.scores.add_comparison(self._rows.divergences(seen, normed, logits, own), own.best == normed.best, change)

    def _news(self, n_tokens: int, base: Subject, other: Subject | None) -> Progress:
        """Raises BadFile where the figures are none."""
        subject = other or base
        subject.check()
        self._done += n_tokens
        return Progress(self._done, self._total, _note(base, other))

    def _check_vocabulary(self, base: Subject, other: Subject) -> None:
        """The same words in the same places, as far as the text has them."""
        is_same = base.model.vocabulary.size == other.model.vocabulary.size
        if not is_same or other.model.vocabulary.tokens(self._text, add_special=True) != self._tokens:
            raise BadInput(*texts.other_vocabulary(other.name, base.name))


def chunks_of(tokens: Sequence[int], task: Task) -> list[Sequence[int]]:
    """Whole ones only, the first so many. Raises BadInput where the text is too short."""
    count = len(tokens) // task.n_ctx
    if count < LEAST_CHUNKS:
        raise BadInput(*texts.too_short(Path(task.text).name, len(tokens), task.n_ctx))
    kept = range(min(count, task.n_chunks or count))
    return [tokens[index * task.n_ctx : (index + 1) * task.n_ctx] for index in kept]


def grouped(sizes: Sequence[int], usable_bytes: int, *, one_by_one: bool) -> list[list[int]]:
    """Which of the others lie in memory together, beside the base, which is the first; at least one at a time.

    How much a GPU has free is not known here: with layers on one they come one by one.
    """
    groups: list[list[int]] = [[]]
    room = free = usable_bytes - sizes[0] - _WORKING_BYTES
    for index, size in enumerate(sizes[1:], start=1):
        needed = size + _WORKING_BYTES
        if groups[-1] and (one_by_one or needed > free):
            groups.append([])
            free = room
        groups[-1].append(index)
        free -= needed
    return groups


def _note(base: Subject, other: Subject | None) -> str:
    compared = other.scores.comparison if other else None
    if other is None or compared is None:
        return texts.running_text(base.scores.perplexity)
    own = other.scores.perplexity
    return texts.running_text(base.scores.perplexity, other.label, own, compared.kl_divergence)


def _notices(task: Task, base: Subject, n_readings: int) -> Iterator[str]:
    """What should be known of the figures."""
    trained = base.model.n_ctx_train
    if 0 < trained < task.n_ctx:
        yield texts.BEYOND_TRAINING.format(name=base.name, trained=trained, n_ctx=task.n_ctx)
    if n_readings > 1:
        yield texts.READINGS.format(n=n_readings)


def _size_bytes(path: str) -> int:
    return sum(part.stat().st_size for part in parts_of(Path(path)) if part.is_file())


def _usable_bytes() -> int:
    return ram_room(read_memory(Path("/"))).usable_bytes


if __name__ == "__main__":
    serve(evaluate)
