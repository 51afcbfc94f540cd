"""The tokens, merges and special ids of a tokenizer, as GGUF wants them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from gguf.constants import TokenType

from carryon.convert.write import Setting


class Kind(IntEnum):
    """What a token is for llama.cpp: CONTROL is never made from a person's text, USER_DEFINED always is."""

    NORMAL = int(TokenType.NORMAL)
    UNKNOWN = int(TokenType.UNKNOWN)
    CONTROL = int(TokenType.CONTROL)
    USER_DEFINED = int(TokenType.USER_DEFINED)
    UNUSED = int(TokenType.UNUSED)
    BYTE = int(TokenType.BYTE)


@dataclass(frozen=True)
class Token:
    """One entry; the score matters to SentencePiece-style vocabularies only."""

    text: str
    kind: Kind = Kind.NORMAL
    score: float = 0.0


@dataclass(frozen=True)
class Words:
    """How text becomes tokens. `style` is 'gpt2' (byte-level, merges) or 'llama' (SentencePiece, scores)."""

    style: str
    splitting: str
    tokens: Sequence[Token]
    merges: Sequence[str] = ()
    adds_space: bool | None = None
    warnings: tuple[str, ...] = ()

    def settings(self) -> dict[str, Setting]:
        settings: dict[str, Setting] = {
            "tokenizer.ggml.model": self.style,
            "tokenizer.ggml.pre": self.splitting,
            "tokenizer.ggml.tokens": [token.text for token in self.tokens],
            "tokenizer.ggml.token_type": np.array([token.kind for token in self.tokens], np.int32),
        }
        if self.style == "gpt2":
            return settings | {"tokenizer.ggml.merges": self.merges}
        settings["tokenizer.ggml.scores"] = np.array([token.score for token in self.tokens], np.float32)
        settings["tokenizer.ggml.add_space_prefix"] = bool(self.adds_space)
        return settings


@dataclass(frozen=True)
class Special:
    """The special tokens' ids by GGUF's names, and whether bos and eos are put around a text of their own accord."""

    ids: dict[str, int]
    adds_bos: bool
    adds_eos: bool
    warnings: tuple[str, ...] = ()

    def settings(self) -> dict[str, Setting]:
        return {
            **{f"tokenizer.ggml.{name}_token_id": number for name, number in self.ids.items()},
            "tokenizer.ggml.add_bos_token": self.adds_bos,
            "tokenizer.ggml.add_eos_token": self.adds_eos,
        }


@dataclass(frozen=True)
class Vocabulary:
    """A whole tokenizer. Among the templates 'default' is the one for chatting."""

    words: Words
    special: Special
    templates: dict[str, str]
    warnings: tuple[str, ...] = ()

    def settings(self) -> dict[str, Setting]:
        """The tokenizer.* keys."""
        return self.words.settings() | self.special.settings() | self._template_settings()

    def _template_settings(self) -> dict[str, Setting]:
        named = [name for name in self.templates if name != "default"]
        settings: dict[str, Setting] = {f"tokenizer.chat_template.{name}": self.templates[name] for name in named}
        if named:
            settings["tokenizer.chat_templates"] = named
        if "default" in self.templates:
            settings["tokenizer.chat_template"] = self.templates["default"]
        return settings
