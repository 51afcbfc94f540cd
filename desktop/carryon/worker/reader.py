"""A model that reads a text chunk by chunk and says at every second half what it would expect next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from carryon.base.errors import EngineError
from carryon.worker.capi import L
from carryon.worker.llama import Batch, Context, Model
from carryon.worker.parameters import N_UBATCH, Sizing
from carryon.worker.perplexity import Floats, Indices


@dataclass(frozen=True)
class Piece:
    """Tokens that are computed together, a whole chunk if it is short: positions, and the scored ones among them."""

    start: int
    stop: int
    first_scored: int
    last_scored: int  # one behind

    @property
    def n_scored(self) -> int:
        return max(0, self.last_scored - self.first_scored)

    def targets(self, chunk: Sequence[int]) -> Indices:
        """What really came after each scored token."""
        return np.array(chunk[self.first_scored + 1 : self.last_scored + 1], np.int64)


def pieces(n_ctx: int) -> Iterator[Piece]:
    """A chunk in steps of the engine. Scored are the tokens from its middle on that have a next one.

    Step by step the logits of 512 tokens are kept at most, whatever the chunk's length: 311 MB at 152,000 words.
    """
    for start in range(0, n_ctx, N_UBATCH):
        stop = min(start + N_UBATCH, n_ctx)
        yield Piece(start, stop, max(start, n_ctx // 2), min(stop, n_ctx - 1))


class Reader:
    """One model with a context of one chunk."""

    def __init__(self, model: Model, n_ctx: int, n_threads: int) -> None:
        """Raises LoadFailed."""
        self._n_words, self._bos = model.vocabulary.size, model.vocabulary.bos
        self._adds_bos = model.vocabulary.adds_bos
        step = min(n_ctx, N_UBATCH)
        self._context = Context(model, Sizing(n_ctx, n_threads, n_ubatch=step, n_outputs=step))
        self._batch = Batch(step)

    def read(self, chunk: Sequence[int], piece: Piece) -> Floats:
        """Logits[scored tokens, words], the engine's own memory until the next read. Raises EngineError."""
        if piece.start == 0:
            self._context.clear()
        self._batch.fill(self._told(chunk)[piece.start : piece.stop], piece.start, wants_logits=False)
        for position in range(piece.first_scored, piece.last_scored):
            self._batch.outputs[position - piece.start] = 1
        if L.llama_decode(self._context.handle, self._batch.struct):
            raise EngineError("The engine stopped in the middle of the text.", "The log says what it found.")
        if not piece.n_scored:
            return np.empty((0, self._n_words), np.float32)
        logits = L.llama_get_logits(self._context.handle)
        if not logits:
            raise EngineError("The engine gave no answer to the text.", "The log says what it found.")
        return np.ctypeslib.as_array(logits, shape=(piece.n_scored, self._n_words))

    def close(self) -> None:
        """Gives the memory back."""
        self._batch.free()
        self._context.free()

    def _told(self, chunk: Sequence[int]) -> Sequence[int]:
        """Every chunk begins as a text begins."""
        return [self._bos.token, *chunk[1:]] if self._adds_bos and self._bos else chunk
