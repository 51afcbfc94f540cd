"""Whether a GGUF file that was just written really works: whole, every tensor there, and the engine can use it."""

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from carryon.base.errors import BadFile
from carryon.base.jobs import Progress, aside
from carryon.gguf.header import Header, read_header
from carryon.worker.capi import L
from carryon.worker.llama import Batch, Context, LoadFailed, Model
from carryon.worker.parameters import Placing, Sizing

_N_CTX = 256  # the engine makes no smaller context
_N_UBATCH = 8
_TRY_AGAIN = "Try again; if it happens again, the log of this run says what the engine found."


def check(path: Path, n_tensors: int) -> Generator[Progress | None, None, None]:
    """Work that reads the header again, counts the tensors, loads the model on the CPU and lets it take one token.

    The weights are mapped, not copied. Raises BadFile in a plain sentence.
    """
    _check_header(read_header(path), n_tensors)
    yield None
    answer = yield from aside(lambda: _first_answer(path))
    if not np.isfinite(np.asarray(answer, np.float32)).all():
        raise BadFile(
            f"The model in {path.name} answers with values that are no numbers.",
            "The weights that it was made from may be damaged: download the model again.",
        )


def _check_header(header: Header, n_tensors: int) -> None:
    if header.n_tensors != n_tensors:
        raise BadFile(
            f"{header.file_name} was written with {header.n_tensors} tensors instead of {n_tensors}.", _TRY_AGAIN
        )
    if not header.is_whole:
        raise BadFile(f"{header.file_name} ends before its last tensor does.", _TRY_AGAIN)


def _first_answer(path: Path) -> Sequence[float]:
    """What the model makes of one token: a number for each word, or an embedding."""
    L.llama_backend_init()
    try:
        with closing(_Opened(path)) as opened:
            return opened.answer()
    except LoadFailed as error:
        raise BadFile(f"The engine cannot load {path.name}.", _TRY_AGAIN) from error


class _Opened:
    """A model on the CPU with a small context."""

    def __init__(self, path: Path) -> None:
        """Raises LoadFailed."""
        # repacked weights would be a second copy of the model in memory
        self._model = Model.load(str(path), Placing(n_gpu_layers=0, repack=False))
        try:
            self._context = Context(self._model, Sizing(_N_CTX, os.cpu_count() or 1, n_ubatch=_N_UBATCH))
        except LoadFailed:
            self._model.free()
            raise

    def answer(self) -> Sequence[float]:
        """Raises BadFile when the engine does not take the token or gives nothing back."""
        context, gives_embedding = self._context.handle, self._gives_embedding()
        L.llama_set_embeddings(context, gives_embedding)
        failed = self._take_one_token()
        pointer, count = self._embedding() if gives_embedding else self._logits()
        if failed or not pointer:
            raise BadFile("The new model takes no token: the engine fails at it.", _TRY_AGAIN)
        return pointer[:count]  # type: ignore[no-any-return]  # a ctypes pointer's slice is a list

    def close(self) -> None:
        self._context.free()
        self._model.free()

    def _take_one_token(self) -> int:
        """0 when the engine took it."""
        model = self._model.handle
        first = L.llama_vocab_bos(self._model.vocabulary.handle)
        if L.llama_model_has_encoder(model):
            failed = self._encode(max(first, 0))
            if failed or not L.llama_model_has_decoder(model):
                return failed
            start = L.llama_model_decoder_start_token(model)
            first = start if start >= 0 else first
        return self._context.decode_one(max(first, 0), 0)  # a vocabulary without a first token has a token 0

    def _encode(self, token: int) -> int:
        batch = Batch(1)
        try:
            batch.fill([token], 0, True)
            return int(L.llama_encode(self._context.handle, batch.struct))
        finally:
            batch.free()

    def _gives_embedding(self) -> bool:
        """Models that read a text in both directions have no next word, and most have no output matrix."""
        model = self._model
        speaks = not L.llama_model_has_encoder(model.handle) or L.llama_model_has_decoder(model.handle)
        return model.metadata(f"{model.architecture}.attention.causal") == "false" or not speaks

    def _logits(self) -> tuple[Any, int]:
        return L.llama_get_logits_ith(self._context.handle, -1), self._model.vocabulary.size

    def _embedding(self) -> tuple[Any, int]:
        context, model = self._context.handle, self._model.handle
        match L.llama_pooling_type(context):
            case L.LLAMA_POOLING_TYPE_NONE:
                return L.llama_get_embeddings_ith(context, -1), L.llama_model_n_embd_out(model)
            case L.LLAMA_POOLING_TYPE_RANK:
                return L.llama_get_embeddings_seq(context, 0), L.llama_model_n_cls_out(model)
            case _:
                return L.llama_get_embeddings_seq(context, 0), L.llama_model_n_embd_out(model)
