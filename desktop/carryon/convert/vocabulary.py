"""The tokens, merges and special ids of a tokenizer, as GGUF wants them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
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
class Ends:
    """What is put around a text of its own accord: the token at the start, the one at the end, or neither."""

    start: int | None
    end: int | None


@dataclass(frozen=True)
class Vocabulary:
    """A whole tokenizer. `style` is 'gpt2' (byte-level, merges) or 'llama' (SentencePiece, scores)."""

    style: str
    splitting: str
    tokens: Sequence[Token]
    merges: Sequence[str]
    special_ids: dict[str, int]
    ends: Ends
    add_space_prefix: bool | None = None
    templates: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def settings(self) -> dict[str, Setting]:
        """The tokenizer.* keys."""
        settings: dict[str, Setting] = {
            "tokenizer.ggml.model": self.style,
            "tokenizer.ggml.pre": self.splitting,
            "tokenizer.ggml.tokens": [token.text for token in self.tokens],
            "tokenizer.ggml.token_type": np.array([token.kind for token in self.tokens], np.int32),
        }
        if self.style == "llama":
            settings["tokenizer.ggml.scores"] = np.array([token.score for token in self.tokens], np.float32)
        else:
            settings["tokenizer.ggml.merges"] = self.merges
        settings |= {f"tokenizer.ggml.{name}_token_id": number for name, number in self.special_ids.items()}
        settings["tokenizer.ggml.add_bos_token"] = self.ends.start is not None
        settings["tokenizer.ggml.add_eos_token"] = self.ends.end is not None
        if self.add_space_prefix is not None:
            settings["tokenizer.ggml.add_space_prefix"] = self.add_space_prefix
        return settings | self._template_settings()

    def _template_settings(self) -> dict[str, Setting]:
        named = [name for name in self.templates if name != "default"]
        settings: dict[str, Setting] = {f"tokenizer.chat_template.{name}": self.templates[name] for name in named}
        if named:
            settings["tokenizer.chat_templates"] = named
        if "default" in self.templates:
            settings["tokenizer.chat_template"] = self.templates["default"]
        return settings
