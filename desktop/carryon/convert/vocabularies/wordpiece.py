"""WordPiece vocabularies: llama.cpp's style 'bert'."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.vocabularies.preparing import SPACE, steps, unknown_preparation
from carryon.convert.vocabularies.vocabulary import Kind, Token, Words

INSIDE = "##"  # marks the piece of a word that is not its first
CUTS_CHINESE = "Chinese characters are cut one by one, where the original model keeps them together."


def wordpiece_words(tokenizer: dict[str, Any], tokens: Sequence[Token]) -> Words:
    """The tokens as llama.cpp marks them: it marks the first piece of a word, Hugging Face all the others.

    Raises Unsupported for text that is prepared in another way than BERT's.
    """
    model = tokenizer["model"]
    if model.get("continuing_subword_prefix", INSIDE) != INSIDE:
        raise Unsupported("This model's tokenizer marks the parts of words in a way of its own.", LOOK_FOR_GGUF)
    if [_type(step) for step in steps(tokenizer.get("pre_tokenizer"), "pretokenizers")] != ["BertPreTokenizer"]:
        raise unknown_preparation()
    lowercases, strips_accents, warnings = _normalizing(tokenizer.get("normalizer"))
    unknown = model.get("unk_token", "[UNK]")
    marked = [_marked(token, unknown) for token in tokens]
    return Words("bert", "default", marked, warnings=warnings, lowercases=lowercases, strips_accents=strips_accents)


def _marked(token: Token, unknown: str) -> Token:
    if token.text == unknown:
        return replace(token, kind=Kind.UNKNOWN)
    if token.kind is not Kind.NORMAL:
        return token
    if token.text.startswith(INSIDE) and len(token.text) > len(INSIDE):
        return replace(token, text=token.text.removeprefix(INSIDE))
    return replace(token, text=SPACE + token.text)


def _normalizing(normalizer: Any) -> tuple[bool, bool, tuple[str, ...]]:
    """Whether text becomes small letters and loses its accents, and what else is to be said."""
    lowercases = strips_accents = False
    warnings: tuple[str, ...] = ()
    for step in steps(normalizer, "normalizers"):
        match step:
            case {"type": "BertNormalizer"}:
                lowercases = step.get("lowercase", True) is True
                strips = step.get("strip_accents")
                strips_accents = lowercases if strips is None else strips is True
                warnings = () if step.get("handle_chinese_chars", True) else (CUTS_CHINESE,)
            case {"type": "Lowercase"}:
                lowercases = True
            case {"type": "StripAccents"}:
                strips_accents = True
            case {"type": "NFD" | "NFC"}:
                pass
            case _:
                raise unknown_preparation()
    return lowercases, strips_accents, warnings


def _type(step: Any) -> Any:
    return step.get("type") if isinstance(step, dict) else None
