"""A model's header in llama.cpp's own hands (gguf.h): how large the header of a new file becomes, and a copy without
the vocabulary, which the quantizer reads in a fraction of the time."""

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from carryon.base.errors import BadFile
from carryon.worker.capi import symbol

Fact = str | int
_SPLIT = ("split.no", "split.count", "split.tensors.count")
_WORDS = "tokenizer.ggml.tokens"
# Long lists that no recipe asks for; the number of words alone is a hyperparameter (src/models/llama.cpp).
_LONG = (_WORDS, "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.merges")
_LIST = 9  # GGUF_TYPE_ARRAY
_PLACEHOLDERS = {"general.quantization_version": 2, "general.file_type": 0}  # the quantizer always sets these
_Context = ctypes.c_void_p


class _Parameters(ctypes.Structure):
    """gguf_init_params of gguf.h."""

    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.POINTER(_Context)))


class Outline:
    """The headers of all parts of a model; `close` gives the memory back."""

    def __init__(self, parts: Sequence[Path]) -> None:
        """Raises BadFile. Our own reader has read the parts before: this one aborts the process on some odd ones."""
        self._open = ExitStack()
        try:
            opened = [self._opened(part) for part in parts]
        except BaseException:
            self._open.close()
            raise
        self._first = opened[0][0]
        self._tensors = [tensor for _, weights in opened for tensor in _each(weights)]

    def header_bytes(self, facts: Mapping[str, Fact]) -> int:
        """The size of the header that the quantizer writes with these facts, padded."""
        with _Fresh(self._first) as fresh:
            fresh.remove(_SPLIT)
            fresh.set({**_PLACEHOLDERS, **facts})
            fresh.add(self._tensors)
            return fresh.size_bytes()

    def write_bare(self, path: Path, architecture: str, tail_bytes: int) -> None:
        """The same model as one file without vocabulary and weights: a sparse tail stands for these."""
        with _Fresh(self._first) as fresh:
            n_words = fresh.length(_WORDS)
            vocabulary_key = f"{architecture}.vocab_size"
            if n_words is not None and fresh.length(vocabulary_key) is None:
                fresh.set({vocabulary_key: n_words})
            fresh.remove((*_SPLIT, *_LONG, "general.alignment"))  # written anew, at the usual places
            fresh.add(self._tensors)
            fresh.write(path)
        os.truncate(path, path.stat().st_size + tail_bytes)

    def close(self) -> None:
        """Gives the memory back."""
        self._open.close()

    def _opened(self, part: Path) -> tuple[Any, Any]:
        weights = _Context()
        read = symbol("gguf_init_from_file", _Context, ctypes.c_char_p, _Parameters)
        header = read(os.fsencode(part), _Parameters(True, ctypes.pointer(weights)))
        if not header:
            raise BadFile(f"The engine cannot read the header of {part.name}.", "Get the file again.")
        self._open.callback(symbol("gguf_free", None, _Context), header)
        self._open.callback(symbol("ggml_free", None, _Context), weights)
        return header, weights


class _Fresh:
    """A header in the making, begun as a copy of another's facts."""

    def __init__(self, source: Any) -> None:
        self._handle = symbol("gguf_init_empty", _Context)()
        symbol("gguf_set_kv", None, _Context, _Context)(self._handle, source)

    def __enter__(self) -> "_Fresh":
        return self

    def __exit__(self, *_: object) -> None:
        symbol("gguf_free", None, _Context)(self._handle)

    def set(self, facts: Mapping[str, Fact]) -> None:
        """Texts, and numbers as the quantizer writes them: unsigned, of 32 bits."""
        text = symbol("gguf_set_val_str", None, _Context, ctypes.c_char_p, ctypes.c_char_p)
        number = symbol("gguf_set_val_u32", None, _Context, ctypes.c_char_p, ctypes.c_uint32)
        for key, value in facts.items():
            if isinstance(value, str):
                text(self._handle, key.encode(), value.encode())
            else:
                number(self._handle, key.encode(), value)

    def length(self, key: str) -> int | None:
        """How many entries the list has, 1 for what is no list; None where the key is absent."""
        at = symbol("gguf_find_key", ctypes.c_int64, _Context, ctypes.c_char_p)(self._handle, key.encode())
        if at < 0:
            return None
        if symbol("gguf_get_kv_type", ctypes.c_int, _Context, ctypes.c_int64)(self._handle, at) != _LIST:
            return 1
        return int(symbol("gguf_get_arr_n", ctypes.c_size_t, _Context, ctypes.c_int64)(self._handle, at))

    def remove(self, keys: Sequence[str]) -> None:
        remove = symbol("gguf_remove_key", ctypes.c_int64, _Context, ctypes.c_char_p)
        for key in keys:
            remove(self._handle, key.encode())

    def add(self, tensors: Sequence[Any]) -> None:
        add = symbol("gguf_add_tensor", None, _Context, ctypes.c_void_p)
        for tensor in tensors:
            add(self._handle, tensor)

    def size_bytes(self) -> int:
        return int(symbol("gguf_get_meta_size", ctypes.c_size_t, _Context)(self._handle))

    def write(self, path: Path) -> None:
        """Raises BadFile where nothing can be written."""
        write = symbol("gguf_write_to_file", ctypes.c_bool, _Context, ctypes.c_char_p, ctypes.c_bool)
        if not write(self._handle, os.fsencode(path), True):
            raise BadFile(f"{path} cannot be written.", "Check that the folder for temporary files has room.")


def _each(weights: Any) -> Iterator[Any]:
    following = symbol("ggml_get_next_tensor", ctypes.c_void_p, _Context, ctypes.c_void_p)
    tensor = symbol("ggml_get_first_tensor", ctypes.c_void_p, _Context)(weights)
    while tensor:
        yield tensor
        tensor = following(weights, tensor)
