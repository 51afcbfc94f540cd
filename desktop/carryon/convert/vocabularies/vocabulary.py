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
    """One entry; the score matters to the styles 'llama' and 't5' only."""

    text: str
    kind: Kind = Kind.NORMAL
    score: float = 0.0


@dataclass(frozen=True)
class Words:
    """How text becomes tokens.

    `style` is 'gpt2' (byte-level, merges), 'llama' (SentencePiece's pairs by score), 't5' (SentencePiece's most
    likely pieces) or 'bert' (WordPiece). What a style does not know stays as it is here.
    """

    style: str
    splitting: str
    tokens: Sequence[Token]
    merges: Sequence[str] = ()
    adds_space: bool | None = None
    warnings: tuple[str, ...] = ()
    removes_extra_spaces: bool = False
    charsmap: bytes = b""  # SentencePiece's compiled table of replacements, such as NFKC
    lowercases: bool = False
    strips_accents: bool = False

    def settings(self) -> dict[str, Setting]:
        """The keys that the style needs."""
        return {
            "tokenizer.ggml.model": self.style,
            "tokenizer.ggml.pre": self.splitting,
            "tokenizer.ggml.tokens": [token.text for token in self.tokens],
            "tokenizer.ggml.token_type": np.array([token.kind for token in self.tokens], np.int32),
            **self._of_style(),
        }

    def _of_style(self) -> dict[str, Setting]:
        match self.style:
            case "gpt2":
                return {"tokenizer.ggml.merges": self.merges}
            case "bert":
                return {
                    "tokenizer.ggml.normalizer.lowercase": self.lowercases,
                    "tokenizer.ggml.normalizer.strip_accents": self.strips_accents,
                }
            case "t5":
                return {**self._scored(), **self._normalizing()}
            case _:
                return self._scored()

    def _scored(self) -> dict[str, Setting]:
        return {
            "tokenizer.ggml.scores": np.array([token.score for token in self.tokens], np.float32),
            "tokenizer.ggml.add_space_prefix": bool(self.adds_space),
        }

    def _normalizing(self) -> dict[str, Setting]:
        settings: dict[str, Setting] = {"tokenizer.ggml.remove_extra_whitespaces": self.removes_extra_spaces}
        if self.charsmap:
            settings["tokenizer.ggml.precompiled_charsmap"] = np.frombuffer(self.charsmap, np.uint8)
        return settings


@dataclass(frozen=True)
class Special:
    """The special tokens' ids by GGUF's names, and what is put around a text of its own accord.

    `adds_sep` tells of a pair of texts: whether a separator stands between them.
    """

    ids: dict[str, int]
    adds_bos: bool
    adds_eos: bool
    warnings: tuple[str, ...] = ()
    adds_sep: bool = False

    def settings(self) -> dict[str, Setting]:
        """The ids and flags; the separator's flag only where it is set, as few models have one."""
        return {
            **{f"tokenizer.ggml.{name}_token_id": number for name, number in self.ids.items()},
            "tokenizer.ggml.add_bos_token": self.adds_bos,
            "tokenizer.ggml.add_eos_token": self.adds_eos,
            **({"tokenizer.ggml.add_sep_token": True} if self.adds_sep else {}),
        }


@dataclass(frozen=True)
class Vocabulary:
    """A whole tokenizer. Among the templates 'default' is the one for chatting."""

    words: Words
    special: Special
    templates: dict[str, str]
    warnings: tuple[str, ...] = ()
    strips_after: frozenset[str] = frozenset()  # special tokens that swallow the white space after them

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
