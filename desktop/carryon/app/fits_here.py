"""How the files of the library would run on this machine: the plan of each, boiled down to what a list shows."""

import threading
from collections import OrderedDict
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import AppError
from carryon.fit import words
from carryon.fit.plan import Candidate, Plan, Site, Verdict, plan
from carryon.gguf.shape import ModelShape, read_shape
from carryon.hardware.machine import MemoryUse
from carryon.hub.library.entry import Entry

_SHAPES_KEPT = 48  # some 200 kB each
NOTICED_BYTES = 512 << 20  # memory that other programs take or give back without a new look at all files


@dataclass(frozen=True)
class FitHere:
    """The answer for one file; a whole plan would keep every tensor of it."""

    verdict: Verdict
    words: str  # "Fits on the GPU"
    sentence: str
    pace: str  # "38–46 tokens/s"
    tokens_per_s: float
    reasons: tuple[str, ...] = ()


Judged = FitHere | AppError


class Judge:
    """Plans for files, reading each once as long as it is the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shapes: OrderedDict[tuple[Path, int, float], ModelShape] = OrderedDict()

    def judging(self, entries: Iterable[Entry], site: Site) -> Generator[tuple[Path, Judged] | None, None, None]:
        """Tells the answer of one entry after the other; an error is one too."""
        for entry in entries:
            yield None
            yield entry.path, self._judged(entry, site)

    def _judged(self, entry: Entry, site: Site) -> Judged:
        try:
            shape = self._shape(entry)
            return _fit_here(plan((Candidate(shape.quant, shape, str(entry.path)),), site))
        except AppError as error:
            return error

    def _shape(self, entry: Entry) -> ModelShape:
        key = (entry.path, entry.size_bytes, entry.modified_s)
        with self._lock:
            if key not in self._shapes:
                self._shapes[key] = read_shape(entry.path)
            self._shapes.move_to_end(key)
            while len(self._shapes) > _SHAPES_KEPT:
                self._shapes.popitem(last=False)
            return self._shapes[key]


def moved(one: MemoryUse, other: MemoryUse) -> bool:
    """Whether any memory is so much fuller or emptier that other models may fit."""
    pairs = [(one.ram.available_bytes, other.ram.available_bytes)]
    pairs += [(gpu.used_bytes or 0, same.used_bytes or 0) for gpu, same in zip(one.gpus, other.gpus, strict=False)]
    return len(one.gpus) != len(other.gpus) or any(abs(old - new) > NOTICED_BYTES for old, new in pairs)


def _fit_here(made: Plan) -> FitHere:
    sentence = words.verdict_sentence(made.best, made.rooms)
    return FitHere(
        made.best.verdict,
        words.verdict_text(made.best),
        sentence,
        words.pace_text(made.best.decode) if made.best.decode.high > 0 else "",
        made.best.decode.middle,
        words.beside(sentence, made.reasons),
    )
