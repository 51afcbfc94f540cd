"""The tokenizer of a model folder, whatever files it was saved as, read into a Vocabulary."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.config import Config, read_json, read_optional_json
from carryon.convert.vocabularies.entries import FILE, Added, added_tokens, distinct, ids_of, listed, names, rows_of
from carryon.convert.vocabularies.naming import strips_like_phi3
from carryon.convert.vocabularies.sentencepiece import is_sentencepiece, sentencepiece_words
from carryon.convert.vocabularies.special import read_special
from carryon.convert.vocabularies.splitting import Splitting, splitting_of, unknown_cuts
from carryon.convert.vocabularies.spm_model import Algorithm, PieceModel, read_piece_model
from carryon.convert.vocabularies.standins import NAMES, piece_file, stand_in
from carryon.convert.vocabularies.template import read_templates
from carryon.convert.vocabularies.unigram import unigram_ids, unigram_words
from carryon.convert.vocabularies.vocabulary import Kind, Token, Vocabulary, Words
from carryon.convert.vocabularies.wordpiece import wordpiece_words

SPACE_LETTER = "\u0120"  # the letter that spells the byte of a space in byte-level vocabularies

Trial = Callable[[Vocabulary], int]


def read_vocabulary(folder: Path, config: Config, n_rows: int, trial: Trial | None = None) -> Vocabulary:
    """The tokenizer of a model whose token embedding has `n_rows` rows.

    `trial` tells how many texts a vocabulary would cut otherwise than the folder's own tokenizer; only the engine can
    know (worker.tokens.trial_of). It is asked where the files do not tell llama.cpp's name for the cuts; without it
    such a model is refused.

    Raises BadFile for a damaged file and Unsupported for a kind of tokenizer that cannot be told to llama.cpp.
    """
    settings = tokenizer_settings(folder)
    tokenizer = read_tokenizer(folder, settings)
    settings = {**tokenizer.get(NAMES, {}), **settings}
    added = added_tokens(tokenizer)
    ids = _ids(tokenizer["model"], added)
    words = _rows(folder, tokenizer, ids, added, n_rows)
    templates = read_templates(folder, settings)
    known = {text: number for text, number in ids.items() if number < n_rows}
    special = read_special(
        folder, config, tokenizer.get("post_processor"), settings, known, words.style, templates.get("default", "")
    )
    special = replace(special, ids={**_unknown(words), **special.ids})
    strips_after = frozenset(token.text for token in added if token.strips_after)
    vocabulary = Vocabulary(words, special, templates, (*words.warnings, *special.warnings), strips_after)
    if strips_after and not strips_like_phi3(vocabulary):
        vocabulary = _warned(vocabulary, _kept_space(sorted(strips_after)))
    if words.style != "gpt2":
        return vocabulary
    return _named(vocabulary, splitting_of(tokenizer, config.text("model_type", "")), trial)


def _ids(model: dict[str, Any], added: Sequence[Added]) -> dict[str, int]:
    return ids_of(unigram_ids(model) if model["type"] == "Unigram" else model["vocab"], added)


def _rows(folder: Path, tokenizer: dict[str, Any], ids: dict[str, int], added: Sequence[Added], n_rows: int) -> Words:
    """The words with one token for each row, and all that is to be said about them."""
    tokens, dropped = rows_of(ids, added, n_rows)
    words = _words(folder, tokenizer, tokens)
    kept, lost = distinct(words.tokens)
    return replace(words, tokens=kept, warnings=(*dropped, *lost, *words.warnings))


def _warned(vocabulary: Vocabulary, *warnings: str) -> Vocabulary:
    return replace(vocabulary, warnings=(*vocabulary.warnings, *warnings))


def _kept_space(texts: Sequence[str]) -> str:
    return f"White space after {names(texts)} is kept, where the original model's tokenizer takes it away."


def _named(vocabulary: Vocabulary, splitting: Splitting, trial: Trial | None) -> Vocabulary:
    """The vocabulary with llama.cpp's name for its cuts, found by trial if it is not known."""
    if splitting.is_known:
        return _with_cuts(vocabulary, splitting.names[0], *_otherwise(vocabulary.words, splitting))
    if trial is None:
        raise unknown_cuts()
    differing = {name: trial(_with_cuts(vocabulary, name)) for name in splitting.names}
    perfect = [name for name in splitting.names if differing[name] == 0]
    if not perfect:
        nearest = min(splitting.names, key=differing.__getitem__)
        raise unknown_cuts(
            f" (of llama.cpp's, {nearest} comes nearest: {differing[nearest]} of the texts tried differ)"
        )
    return _with_cuts(vocabulary, perfect[0], _found_by_trial(perfect))


def _otherwise(words: Words, splitting: Splitting) -> Iterator[str]:
    """What llama.cpp does otherwise where it has the cuts only with the other way of taking whole pieces."""
    never = _never_merged(words) if splitting.merges_otherwise else []
    if never:
        yield f"{len(never)} tokens are made by no merge, such as {names(never)}: llama.cpp takes them otherwise."


def _never_merged(words: Words) -> list[str]:
    made = {merge.replace(" ", "", 1) for merge in words.merges}
    longer = [token.text for token in words.tokens if token.kind is Kind.NORMAL and len(token.text) > 1]
    return [text for text in longer if text not in made]


def _found_by_trial(perfect: Sequence[str]) -> str:
    also = f" ({', '.join(perfect[1:])} would do as well)" if len(perfect) > 1 else ""
    return f"How this model's tokenizer cuts text was found by trial: like {perfect[0]}{also}."


def _with_cuts(vocabulary: Vocabulary, name: str, *warnings: str) -> Vocabulary:
    return _warned(replace(vocabulary, words=replace(vocabulary.words, splitting=name)), *warnings)


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, and for what it leaves open the older special_tokens_map.json."""
    settings = read_optional_json(folder / "tokenizer_config.json")
    return {**read_optional_json(folder / "special_tokens_map.json"), **_said(settings)}


def _said(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def read_tokenizer(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """tokenizer.json, or what the other files say in its form; its model is of a kind that can be converted."""
    is_there = (folder / FILE).is_file()
    tokenizer = {**read_json(folder / FILE), NAMES: {}} if is_there else stand_in(folder, settings)
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
    return Words("gpt2", "", tokens, joined)


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
