"""SentencePiece-style vocabularies that merge pairs: llama.cpp's style 'llama', which takes the best score first.

The scores come from tokenizer.model; without it they are rebuilt from the order of the merges in tokenizer.json.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.vocabularies.entries import names
from carryon.convert.vocabularies.preparing import SPACE, prepends_space, steps, unknown_preparation
from carryon.convert.vocabularies.spm_model import PieceModel
from carryon.convert.vocabularies.vocabulary import Kind, Token, Words

NEVER = -1e9  # the score of a token that no merge makes
BYTE = re.compile(r"<0x[0-9A-F]{2}>")
ALL_BYTES = {f"<0x{byte:02X}>" for byte in range(256)}


def is_sentencepiece(tokenizer: dict[str, Any]) -> bool:
    """Byte-level vocabularies spell every byte as a letter; these fall back to <0x00>...<0xFF> instead."""
    return bool(tokenizer["model"].get("byte_fallback"))


def sentencepiece_words(
    tokenizer: dict[str, Any],
    tokens: Sequence[Token],
    merges: Sequence[tuple[str, str]],
    model: PieceModel | None = None,
) -> Words:
    """The tokens with scores that make llama.cpp merge in the same order.

    llama.cpp merges the neighbours whose joined text has the highest score; without a `model` the first merge that
    makes a text therefore gives its score. Raises Unsupported where that is not enough.
    """
    if not {token.text for token in tokens} >= ALL_BYTES:  # it ends the process over a byte without a token
        raise Unsupported("This model's tokenizer cannot spell every byte, which llama.cpp relies on.", LOOK_FOR_GGUF)
    adds_space = _adds_space(tokenizer)
    unlike = _unlike(tokens, model) if model else []
    if model and not unlike:
        return Words("llama", "default", _with_scores(tokens, model, tokenizer), (), adds_space, _model_warnings(model))
    order: dict[str, int] = {}
    for index, (left, right) in enumerate(merges):
        order.setdefault(left + right, index)
    unknown, texts = tokenizer["model"].get("unk_token"), {token.text for token in tokens}
    scored = [_with_score(token, order, unknown, texts) for token in tokens]
    warnings = (*_unlike_warning(unlike), *_odd_splits(tokens, merges))
    return Words("llama", "default", scored, (), adds_space, warnings)


def with_merges(tokenizer: dict[str, Any], model: PieceModel | None) -> dict[str, Any]:
    """A stand-in for tokenizer.json with the merges that its pieces' scores amount to; others as they are."""
    body = tokenizer["model"]
    if model is None or body["type"] != "BPE" or body.get("merges") != []:
        return tokenizer
    vocab = body["vocab"]
    splits = [
        (piece.score, cut, len(piece.text) - cut, [piece.text[:cut], piece.text[cut:]])
        for piece in model.pieces
        for cut in range(1, len(piece.text))
        if piece.kind is Kind.NORMAL and piece.text[:cut] in vocab and piece.text[cut:] in vocab
    ]
    splits.sort(key=lambda split: split[:3], reverse=True)  # transformers' order (generate_merges)
    return tokenizer | {"model": body | {"merges": [pair for *_, pair in splits]}}


def _unlike(tokens: Sequence[Token], model: PieceModel) -> list[str]:
    """Tokens that tokenizer.model has otherwise. Added tokens may well replace some of its pieces."""
    pairs = zip(tokens, model.pieces, strict=False)
    return [ours.text for ours, theirs in pairs if ours.kind is Kind.NORMAL and ours.text != theirs.text]


def _unlike_warning(unlike: Sequence[str]) -> Iterator[str]:
    if unlike:
        yield (
            f"tokenizer.model and tokenizer.json differ in {len(unlike)} tokens, such as {names(unlike)}: "
            "tokenizer.json was followed."
        )


def _with_scores(tokens: Sequence[Token], model: PieceModel, tokenizer: dict[str, Any]) -> list[Token]:
    unknown, texts = tokenizer["model"].get("unk_token"), {token.text for token in tokens}
    found = [_from_piece(token, piece) for token, piece in zip(tokens, model.pieces, strict=False)]
    found += [replace(token, score=NEVER) for token in tokens[len(model.pieces) :]]
    return [_with_kind(token, unknown, texts) for token in found]


def _from_piece(token: Token, piece: Token) -> Token:
    if token.text != piece.text:
        return replace(token, score=NEVER)
    if token.kind is not Kind.NORMAL or piece.kind is Kind.USER_DEFINED:
        return replace(token, score=piece.score)  # what tokenizer.json does not cut out beforehand is merged as well
    return replace(token, kind=piece.kind, score=piece.score)


def _model_warnings(model: PieceModel) -> tuple[str, ...]:
    if not model.charsmap:
        return ()
    return ("The original model replaces some characters (NFKC) before it reads a text, which llama.cpp does not.",)


def _adds_space(tokenizer: dict[str, Any]) -> bool:
    """Whether a space is put before a text. Raises Unsupported for normalizers that do something else."""
    is_added = False
    whole = steps(tokenizer.get("normalizer"), "normalizers") + steps(tokenizer.get("pre_tokenizer"), "pretokenizers")
    for step in whole:
        match step:
            case {"type": "Prepend", "prepend": str() as text} if text == SPACE:
                is_added = True
            case {"type": "Replace", "pattern": {"String": " "}, "content": str() as text} if text == SPACE:
                pass
            case {"type": "Split", "pattern": {"String": " "}}:
                pass  # Gemma's; by then no space is left to split at
            case {"type": "Metaspace", "replacement": str() as text} if text == SPACE and not step.get("split", False):
                is_added = is_added or prepends_space(step)
            case _:
                raise unknown_preparation()
    return is_added


def _with_score(token: Token, order: Mapping[str, int], unknown: Any, texts: set[str]) -> Token:
    scored = _with_kind(token, unknown, texts)
    if scored.kind in (Kind.UNKNOWN, Kind.BYTE, Kind.USER_DEFINED):
        return scored
    return replace(scored, score=-float(order.get(token.text, -NEVER)))


def _with_kind(token: Token, unknown: Any, texts: set[str]) -> Token:
    if token.text == unknown:
        return replace(token, kind=Kind.UNKNOWN, score=0.0)
    if token.kind is Kind.NORMAL and BYTE.fullmatch(token.text):
        return replace(token, kind=Kind.BYTE, score=0.0)
    if token.kind is Kind.USER_DEFINED:
        spaced = token.text.replace(SPACE, " ")  # llama.cpp looks for these in the text as it was typed
        return token if spaced in texts else replace(token, text=spaced)
    return token


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
