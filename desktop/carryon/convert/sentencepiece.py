"""SentencePiece-style vocabularies saved as tokenizer.json: their scores, rebuilt from the order of the merges."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.vocabulary import Kind, Token, Words

SPACE = "\u2581"  # SentencePiece's mark for a space
NEVER = -1e9  # the score of a token that no merge makes
BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def is_sentencepiece(tokenizer: dict[str, Any]) -> bool:
    """Byte-level vocabularies spell every byte as a letter; these fall back to <0x00>...<0xFF> instead."""
    return bool(tokenizer["model"].get("byte_fallback"))


def sentencepiece_words(tokenizer: dict[str, Any], tokens: Sequence[Token], merges: Sequence[tuple[str, str]]) -> Words:
    """The tokens with scores that make llama.cpp merge in the same order.

    llama.cpp merges the neighbours whose joined text has the highest score; the first merge that makes a text
    therefore gives its score. Raises Unsupported where that is not enough.
    """
    order: dict[str, int] = {}
    for index, (left, right) in enumerate(merges):
        order.setdefault(left + right, index)
    unknown, texts = tokenizer["model"].get("unk_token"), {token.text for token in tokens}
    scored = [_with_score(token, order, unknown, texts) for token in tokens]
    warnings = tuple(_odd_splits(tokens, merges))
    return Words("llama", "default", scored, (), _adds_space(tokenizer), warnings)


def _adds_space(tokenizer: dict[str, Any]) -> bool:
    """Whether a space is put before a text. Raises Unsupported for normalizers that do something else."""
    is_added = False
    steps = _steps(tokenizer.get("normalizer"), "normalizers") + _steps(tokenizer.get("pre_tokenizer"), "pretokenizers")
    for step in steps:
        match step:
            case {"type": "Prepend", "prepend": str() as text} if text == SPACE:
                is_added = True
            case {"type": "Replace", "pattern": {"String": " "}, "content": str() as text} if text == SPACE:
                pass
            case {"type": "Metaspace", "replacement": str() as text} if text == SPACE and not step.get("split", False):
                is_added = is_added or step.get("prepend_scheme", "always") != "never"
            case _:
                raise Unsupported(
                    "This model's tokenizer prepares text in a way that Carryon does not know yet.", LOOK_FOR_GGUF
                )
    return is_added


def _steps(part: Any, key: str) -> list[Any]:
    if part is None:
        return []
    if isinstance(part, dict) and part.get("type") == "Sequence" and isinstance(part.get(key), list):
        return list(part[key])
    return [part]


def _with_score(token: Token, order: Mapping[str, int], unknown: Any, texts: set[str]) -> Token:
    if token.text == unknown:
        return replace(token, kind=Kind.UNKNOWN, score=0.0)
    if token.kind is Kind.NORMAL and BYTE.fullmatch(token.text):
        return replace(token, kind=Kind.BYTE, score=0.0)
    if token.kind is Kind.USER_DEFINED:
        spaced = token.text.replace(SPACE, " ")  # llama.cpp looks for these in the text as it was typed
        return token if spaced in texts else replace(token, text=spaced)
    return replace(token, score=-float(order.get(token.text, -NEVER)))


def _odd_splits(tokens: Sequence[Token], merges: Sequence[tuple[str, str]]) -> Iterator[str]:
    """llama.cpp may join any two neighbours that make a token, tokenizers only those that are in the list."""
    known = set(merges)
    texts = {token.text for token in tokens if token.kind is Kind.NORMAL and not BYTE.fullmatch(token.text)}
    odd = sum(
        any((text[:cut], text[cut:]) not in known for cut in range(1, len(text)) if {text[:cut], text[cut:]} <= texts)
        for text in texts
    )
    if odd > len(texts) // 100:
        raise Unsupported("This model's tokenizer merges in a way that llama.cpp cannot follow.", LOOK_FOR_GGUF)
    if odd:
        yield f"{odd} of {len(texts):,} tokens may be split differently than in the original model."
