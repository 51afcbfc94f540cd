"""The tokenizer of a model folder, whatever files it was saved as, read into a Vocabulary."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.config import Config, read_json, read_optional_json
from carryon.convert.entries import FILE, added_tokens, distinct, ids_of, listed, rows_of
from carryon.convert.sentencepiece import is_sentencepiece, sentencepiece_words
from carryon.convert.special import read_special
from carryon.convert.splitting import splitting_name
from carryon.convert.spm_model import Algorithm, PieceModel, read_piece_model
from carryon.convert.standins import piece_file, stand_in
from carryon.convert.template import read_templates
from carryon.convert.unigram import unigram_ids, unigram_words
from carryon.convert.vocabulary import Kind, Token, Vocabulary, Words
from carryon.convert.wordpiece import wordpiece_words

SPACE_LETTER = "\u0120"  # the letter that spells the byte of a space in byte-level vocabularies

Trial = Callable[[Vocabulary], int]


def read_vocabulary(folder: Path, config: Config, n_rows: int, trial: Trial | None = None) -> Vocabulary:
    """The tokenizer of a model whose token embedding has `n_rows` rows.

    Raises BadFile for a damaged file and Unsupported for a kind of tokenizer that cannot be told to llama.cpp.
    """
    settings = tokenizer_settings(folder)
    tokenizer = read_tokenizer(folder, settings)
    model, added = tokenizer["model"], added_tokens(tokenizer)
    ids = ids_of(unigram_ids(model) if model["type"] == "Unigram" else model["vocab"], added)
    tokens, dropped = rows_of(ids, added, n_rows)
    words = _words(folder, tokenizer, tokens)
    kept, lost = distinct(words.tokens)
    words = replace(words, tokens=kept)
    templates = read_templates(folder, settings)
    known = {text: number for text, number in ids.items() if number < n_rows}
    special = read_special(
        folder, config, tokenizer.get("post_processor"), settings, known, words.style, templates.get("default", "")
    )
    special = replace(special, ids={**_unknown(words), **special.ids})
    warnings = (*dropped, *lost, *words.warnings, *special.warnings)
    strips_after = frozenset(token.text for token in added if token.strips_after)
    return Vocabulary(words, special, templates, warnings, strips_after)


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, and for what it leaves open the older special_tokens_map.json."""
    settings = read_optional_json(folder / "tokenizer_config.json")
    return {**read_optional_json(folder / "special_tokens_map.json"), **_said(settings)}


def _said(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def read_tokenizer(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """tokenizer.json, or what the other files say in its form; its model is of a kind that can be converted."""
    tokenizer = read_json(folder / FILE) if (folder / FILE).is_file() else stand_in(folder, settings)
    model = tokenizer.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise BadFile(f"{FILE} is damaged.", DOWNLOAD_AGAIN)
    return {**tokenizer, "model": {**model, "type": _kind(model)}}


def _kind(model: dict[str, Any]) -> str:
    """BPE, WordPiece or Unigram. Very old files leave the type out of BPE models."""
    kind = model.get("type") or ("Unigram" if isinstance(model["vocab"], list) else "BPE")
    if kind not in ("BPE", "WordPiece", "Unigram"):
        raise Unsupported(f"Carryon cannot convert tokenizers of the kind {kind!r} yet.", LOOK_FOR_GGUF)
    if isinstance(model["vocab"], list) != (kind == "Unigram"):
        raise BadFile(f"{FILE} is damaged: its vocabulary does not suit its kind.", DOWNLOAD_AGAIN)
    return str(kind)


def _words(folder: Path, tokenizer: dict[str, Any], tokens: Sequence[Token]) -> Words:
    model = tokenizer["model"]
    if model["type"] == "Unigram":
        return unigram_words(tokenizer, tokens)
    if model["type"] == "WordPiece":
        return wordpiece_words(tokenizer, tokens)
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise Unsupported("This model's tokenizer marks the parts of words, which llama.cpp cannot.", LOOK_FOR_GGUF)
    merges = [_pair(entry) for entry in listed(model, "merges")]
    if is_sentencepiece(tokenizer):
        return sentencepiece_words(tokenizer, tokens, merges, piece_model_of(folder))
    return _byte_level_words(tokenizer, tokens, merges)


def piece_model_of(folder: Path) -> PieceModel | None:
    """tokenizer.model, if it is there and chooses pairs by score as llama.cpp's style 'llama' does."""
    file = piece_file(folder)
    model = read_piece_model(file) if file else None
    return model if model and model.algorithm is Algorithm.BPE else None


def _unknown(words: Words) -> dict[str, int]:
    """The id of the unknown token, which llama.cpp would else take for a fixed number."""
    found = [number for number, token in enumerate(words.tokens) if token.kind is Kind.UNKNOWN]
    return {"unknown": found[0]} if found else {}


def _byte_level_words(tokenizer: dict[str, Any], tokens: Sequence[Token], merges: Sequence[tuple[str, str]]) -> Words:
    """GGUF joins the halves of a merge by a space, so a space inside a half takes its byte-level spelling."""
    joined = [f"{left.replace(' ', SPACE_LETTER)} {right.replace(' ', SPACE_LETTER)}" for left, right in merges]
    return Words("gpt2", splitting_name(tokenizer), tokens, joined)


def _pair(entry: Any) -> tuple[str, str]:
    """A merge, as a pair or (older files) as two words in one string."""
    match entry:
        case [str() as left, str() as right]:
            return left, right
        case str() if entry.count(" ") == 1:
            left, right = entry.split(" ")
            return left, right
        case _:
            raise BadFile(f"{FILE} is damaged: {str(entry)[:40]!r} is not a merge.", DOWNLOAD_AGAIN)
