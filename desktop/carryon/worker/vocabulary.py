"""A model's vocabulary: text to token ids and back, with the pieces of its tokens cached.

llama.h declares this part of its API thread-safe, so it is the one part that other threads than the engine's may call.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from carryon.worker.capi import L

_PIECE_BYTES = 256


@dataclass(frozen=True)
class Mark:
    """One special token: its id and its text."""

    token: int
    text: str


class Vocabulary:
    """The words of one loaded model; lives as long as the model does."""

    def __init__(self, model: Any) -> None:
        self._handle = L.llama_model_get_vocab(model)
        self._pieces: dict[int, bytes | None] = {}
        self.size: int = L.llama_vocab_n_tokens(self._handle)
        self.has_text: bool = L.llama_vocab_type(self._handle) != L.LLAMA_VOCAB_TYPE_NONE
        self.adds_bos: bool = L.llama_vocab_get_add_bos(self._handle)
        self.bos = self._mark(L.llama_vocab_bos(self._handle))
        self.eos = self._mark(L.llama_vocab_eos(self._handle))

    @property
    def handle(self) -> Any:
        return self._handle

    @cached_property
    def end_tokens(self) -> frozenset[int]:
        """Every token that ends an answer: a set, not only eos (Qwen2 has three)."""
        return frozenset(token for token in range(self.size) if L.llama_vocab_is_eog(self._handle, token))

    @cached_property
    def control_texts(self) -> tuple[str, ...]:
        """The texts that the tokenizer turns into control tokens when it is told to parse them, longest first."""
        texts = {self._text(token) for token in range(self.size) if self._is_control(token)} - {""}
        return tuple(sorted(texts, key=len, reverse=True))

    @cached_property
    def suppressed_tokens(self) -> tuple[int, ...]:
        """Tokens that the model's file forbids in an answer (tokenizer.ggml.suppress_tokens)."""
        count = ctypes.c_int32()
        tokens = L.llama_vocab_get_suppress_tokens(self._handle, ctypes.byref(count))
        return tuple(tokens[index] for index in range(count.value))

    def tokens(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        """Token ids of a text; with `parse_special`, control texts become control tokens."""
        encoded = text.encode("utf-8", "replace")
        room = len(encoded) + 8
        found, count = self._tokenize(encoded, room, add_special, parse_special)
        if count < 0:
            found, count = self._tokenize(encoded, -count, add_special, parse_special)
        return list(found[:count])

    def piece(self, token: int) -> bytes | None:
        """What a token adds to an answer, perhaps only part of a character; None if it ends the answer.

        Control tokens are silent. Every token is spelled once; after that this is one look into a dict.
        """
        if token not in self._pieces:
            ends = L.llama_vocab_is_eog(self._handle, token)
            self._pieces[token] = None if ends else self._spell(token, special=False)
        return self._pieces[token]

    def text(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """The text of many tokens; with `special`, control tokens show their own text."""
        return b"".join(self._spell(token, special) for token in tokens).decode("utf-8", "replace")

    def _tokenize(self, encoded: bytes, room: int, add_special: bool, parse_special: bool) -> tuple[Any, int]:
        found = (ctypes.c_int32 * room)()
        return found, L.llama_tokenize(self._handle, encoded, len(encoded), found, room, add_special, parse_special)

    def _spell(self, token: int, special: bool) -> bytes:
        size = _PIECE_BYTES
        while True:  # a negative answer is the room that it wants (some tokens have hundreds of bytes)
            buffer = ctypes.create_string_buffer(size)
            count = L.llama_token_to_piece(self._handle, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _is_control(self, token: int) -> bool:
        """UNKNOWN counts too: it is hidden and parsed just as CONTROL is (llama-vocab.cpp)."""
        attributes = L.llama_vocab_get_attr(self._handle, token)
        return bool(attributes & (L.LLAMA_TOKEN_ATTR_CONTROL | L.LLAMA_TOKEN_ATTR_UNKNOWN))

    def _text(self, token: int) -> str:
        return str(L.llama_vocab_get_text(self._handle, token).decode("utf-8", "replace"))

    def _mark(self, token: int) -> Mark | None:
        return None if token < 0 else Mark(token, self._text(token))
