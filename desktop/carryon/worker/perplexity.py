"""From logits to perplexity and divergence, in llama-perplexity's definitions: numpy in blocks that stay in the cache.

Source of the definitions: llama.cpp 0c1e57098, tools/perplexity/perplexity.cpp (process_logits,
log_softmax); tests/worker/test_worker_perplexity.py computes all of it a second time, plainly.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carryon.evaluate.figures import Comparison

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
_BLOCK_VALUES = 1 << 17  # half a megabyte of float32: three such arrays lie in the cache of one core
_LEAST_LOG_P = -16.0  # what the base thinks less likely than e^-16 is left out, as the tool does


@dataclass(frozen=True)
class Normed:
    """What turns rows of logits into log probabilities: log p = logit - log_sum."""

    log_sums: Doubles
    best: Indices  # the most likely token of each row

    def log_p(self, logits: Floats, tokens: Indices) -> Doubles:
        """Of one token a row."""
        picked: Doubles = logits[np.arange(len(tokens)), tokens] - self.log_sums
        return picked


class Rows:
    """The threads that share the rows out; numpy leaves the interpreter lock while it computes."""

    def __init__(self, n_threads: int) -> None:
        self._n_threads = n_threads
        self._pool = ThreadPoolExecutor(n_threads)

    def normed(self, logits: Floats) -> Normed:
        """The sums of logits[rows, words]."""
        made = Normed(np.empty(len(logits)), np.empty(len(logits), np.int64))
        self._share(logits, lambda rows, scratch: _norm(logits, rows, made, scratch[0]), 1)
        return made

    def divergences(self, base: Floats, base_normed: Normed, other: Floats, normed: Normed) -> Doubles:
        """KL divergence of each row, in nats."""
        found = np.empty(len(base))
        shifts = base_normed.log_sums - normed.log_sums
        self._share(
            base,
            lambda rows, scratch: _diverge(base, base_normed.log_sums, other, shifts, rows, found, scratch),
            2,
        )
        return found

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()

    def _share(self, logits: Floats, call: Callable[[slice, list[Floats]], None], n_scratch: int) -> None:
        """Calls for blocks of rows, each thread with scratch arrays of its own."""
        n_rows, n_words = logits.shape
        each = max(1, _BLOCK_VALUES // n_words)

        def run(first: int, last: int) -> None:
            scratch = [np.empty((min(each, last - first), n_words), np.float32) for _ in range(n_scratch)]
            for start in range(first, last, each):
                stop = min(start + each, last)
                call(slice(start, stop), [one[: stop - start] for one in scratch])

        bounds = [n_rows * index // self._n_threads for index in range(self._n_threads + 1)]
        shares = [(a, b) for a, b in pairwise(bounds) if b > a]
        for done in [self._pool.submit(run, *share) for share in shares]:
            done.result()


class Scores:
    """The sums over all tokens of one file."""

    def __init__(self) -> None:
        self._nll, self._kl, self._change = _Sum(), _Sum(), _Sum()
        self._n_same = 0

    @property
    def n_tokens(self) -> int:
        return self._nll.count

    @property
    def perplexity(self) -> float:
        return math.exp(min(self._nll.mean, 700.0))  # beyond it a double ends

    @property
    def perplexity_error(self) -> float:
        return self.perplexity * self._nll.error

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self._nll.mean) and math.isfinite(self._kl.mean if self._kl.count else 0.0)

    @property
    def comparison(self) -> Comparison | None:
        """None where nothing was compared."""
        if not self._kl.count:
            return None
        rms = math.sqrt(self._change.mean_square)
        return Comparison(self._kl.mean, self._kl.error, self._n_same / self._kl.count, rms)

    def add(self, log_p: Doubles) -> None:
        """The log probabilities of the tokens that came."""
        self._nll.add(-log_p)

    def add_comparison(self, divergences: Doubles, is_same: NDArray[np.bool_], change: Doubles) -> None:
        """Of the same tokens: KL divergence, whether both prefer the same, p - p_base."""
        self._kl.add(divergences)
        self._change.add(change)
        self._n_same += int(is_same.sum())


class _Sum:
    """Mean and its standard error, without keeping the values."""

    def __init__(self) -> None:
        self.count, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, values: Doubles) -> None:
        self.count += len(values)
        self._sum += float(values.sum())
        self._squares += float(np.square(values).sum())

    @property
    def mean(self) -> float:
        return self._sum / max(self.count, 1)

    @property
    def mean_square(self) -> float:
        return self._squares / max(self.count, 1)

    @property
    def error(self) -> float:
        """sqrt((E[v²] - E[v]²) / (n - 1)), as the tool has it."""
        variance = self.mean_square - self.mean**2
        return math.sqrt(variance / (self.count - 1)) if variance > 0 and self.count > 1 else 0.0


def _norm(logits: Floats, rows: slice, made: Normed, scratch: Floats) -> None:
    part = logits[rows]
    best = part.argmax(1)
    peaks = part[np.arange(len(part)), best]
    np.subtract(part, peaks[:, None], out=scratch)
    np.exp(scratch, out=scratch)
    made.log_sums[rows] = peaks + np.log(scratch.sum(1).astype(np.float64))
    made.best[rows] = best


def _diverge(
    base: Floats, log_sums: Doubles, other: Floats, shifts: Doubles, rows: slice, found: Doubles, scratch: list[Any]
) -> None:
    """sum p_base ((base - other) - (log_sum_base - log_sum_other)): equal logits give exactly 0."""
    p, apart = scratch
    np.subtract(base[rows], log_sums[rows, None].astype(np.float32), out=p)
    counts = p > _LEAST_LOG_P
    np.exp(p, out=p)
    np.multiply(p, counts, out=p)
    np.subtract(base[rows], other[rows], out=apart)
    np.subtract(apart, shifts[rows, None].astype(np.float32), out=apart)
    found[rows] = np.einsum("ij,ij->i", p, apart)
