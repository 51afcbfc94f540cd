"""SentencePiece's unigram vocabularies: llama.cpp's style 't5', as XLM-R and its many children have them."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from carryon.base.errors import BadFile
from carryon.convert.advice import DOWNLOAD_AGAIN
from carryon.convert.config import FLOAT32_MAX
from carryon.convert.vocabularies.entries import FILE
from carryon.convert.vocabularies.preparing import SPACE, prepends_space, steps, unknown_preparation
from carryon.convert.vocabularies.vocabulary import Kind, Token, Words

NO_BYTES = "Characters that are no token become one 'unknown' token, where the original model spells them by bytes."


@dataclass
class _Preparation:
    charsmap: bytes = b""
    adds_space: bool = False
    removes_extra_spaces: bool = False


def unigram_ids(model: dict[str, Any]) -> dict[str, int]:
    """The texts with their ids, which are their places in the list. Raises BadFile."""
    return {text: number for number, (text, _) in enumerate(_entries(model))}


def unigram_words(tokenizer: dict[str, Any], tokens: Sequence[Token]) -> Words:
    """The tokens with their scores and flags. Raises BadFile or Unsupported."""
    model, preparation = tokenizer["model"], _preparation(tokenizer)
    scores = [score for _, score in _entries(model)]
    unknown = model.get("unk_id")
    if type(unknown) is not int or not 0 <= unknown < len(tokens):
        raise BadFile(f"{FILE} does not say which token is the unknown one.", DOWNLOAD_AGAIN)
    scored = [
        replace(token, score=score) for token, score in zip(tokens, [*scores, *[0.0] * len(tokens)], strict=False)
    ]
    scored[unknown] = replace(scored[unknown], kind=Kind.UNKNOWN)
    return Words(
        "t5",
        "default",
        scored,
        adds_space=preparation.adds_space,
        warnings=(NO_BYTES,) if model.get("byte_fallback") else (),
        removes_extra_spaces=preparation.removes_extra_spaces,
        charsmap=preparation.charsmap,
    )


def _entries(model: dict[str, Any]) -> Iterator[tuple[str, float]]:
    seen: set[str] = set()
    for entry in model["vocab"]:
        match entry:
            case [str() as text, int() | float() as score] if abs(score) < FLOAT32_MAX and text not in seen:
                seen.add(text)
                yield text, float(score)
            case _:
                raise BadFile(f"{FILE} is damaged: {str(entry)[:40]!r} is not a token.", DOWNLOAD_AGAIN)


def _preparation(tokenizer: dict[str, Any]) -> _Preparation:
    found = _Preparation()
    whole = steps(tokenizer.get("normalizer"), "normalizers") + steps(tokenizer.get("pre_tokenizer"), "pretokenizers")
    for step in whole:
        match step:
            case {"type": "Precompiled", "precompiled_charsmap": str() | None as encoded}:
                found.charsmap = _charsmap(encoded or "")
            case {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": str() as text} if text in (" ", SPACE):
                found.removes_extra_spaces = True
            case {"type": "Strip"} | {"type": "WhitespaceSplit"}:
                found.removes_extra_spaces = True
            case {"type": "Metaspace", "replacement": str() as text} if text == SPACE:
                found.adds_space = prepends_space(step)
            case _:
                raise unknown_preparation()
    return found


def _charsmap(encoded: str) -> bytes:
    """llama.cpp reads it unchecked: the size of an array, the array, then texts that each end with a zero byte."""
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadFile(f"{FILE} is damaged: its table of characters cannot be read.", DOWNLOAD_AGAIN) from error
    return checked_charsmap(raw, FILE)


def checked_charsmap(raw: bytes, file_name: str) -> bytes:
    """The table itself, if its outline is sound. Raises BadFile."""
    size_bytes = int.from_bytes(raw[:4], "little")
    if raw and not (len(raw) > 4 and size_bytes % 4 == 0 and 4 + size_bytes < len(raw) and raw[-1] == 0):
        raise BadFile(f"{file_name} is damaged: its table of characters is not whole.", DOWNLOAD_AGAIN)
    return raw
