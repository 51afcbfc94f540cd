"""tokenizer.json (and the files beside it) read into a Vocabulary, without the tokenizers library."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.config import Config, read_json, read_optional_json
from carryon.convert.sentencepiece import is_sentencepiece, sentencepiece_words
from carryon.convert.special import read_special
from carryon.convert.splitting import splitting_name
from carryon.convert.template import read_templates
from carryon.convert.vocabulary import Kind, Token, Vocabulary, Words

FILE = "tokenizer.json"
SPACE_LETTER = "\u0120"  # the letter that spells the byte of a space in byte-level vocabularies
LOOKS_SPECIAL = re.compile(r"<\|.*\|>|<｜.*｜>|<pad>|<mask>|<unused\d+>", re.DOTALL)


@dataclass(frozen=True)
class Added:
    """A token that is cut out of the text before anything else."""

    number: int
    text: str
    is_special: bool

    @property
    def kind(self) -> Kind:
        return Kind.CONTROL if self.is_special or LOOKS_SPECIAL.fullmatch(self.text) else Kind.USER_DEFINED


def read_vocabulary(folder: Path, config: Config, n_rows: int) -> Vocabulary:
    """The tokenizer of a model whose token embedding has `n_rows` rows.

    Raises BadFile for a damaged file and Unsupported for a kind of tokenizer that cannot be told to llama.cpp.
    """
    if not (folder / FILE).is_file():
        raise Unsupported(f"{folder.name} has no {FILE}.", "Download that file from the model it was made from.")
    tokenizer, settings = read_json(folder / FILE), _settings(folder)
    model, added = _bpe_model(tokenizer), _added(tokenizer)
    ids = _ids(model, added)
    tokens, dropped = _tokens(ids, added, n_rows)
    read_words = sentencepiece_words if is_sentencepiece(tokenizer) else _byte_level_words
    words = read_words(tokenizer, tokens, [_pair(entry) for entry in _list(model, "merges")])
    kept = {text: number for text, number in ids.items() if number < n_rows}
    special = read_special(folder, config, tokenizer.get("post_processor"), settings, kept)
    warnings = (*dropped, *words.warnings, *special.warnings)
    return Vocabulary(words, special, read_templates(folder, settings), warnings)


def _byte_level_words(tokenizer: dict[str, Any], tokens: Sequence[Token], merges: Sequence[tuple[str, str]]) -> Words:
    """GGUF joins the halves of a merge by a space, so a space inside a half takes its byte-level spelling."""
    joined = [f"{left.replace(' ', SPACE_LETTER)} {right.replace(' ', SPACE_LETTER)}" for left, right in merges]
    return Words("gpt2", splitting_name(tokenizer), tokens, joined)


def _settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, and for what it leaves open the older special_tokens_map.json."""
    settings = read_optional_json(folder / "tokenizer_config.json")
    return {**read_optional_json(folder / "special_tokens_map.json"), **_said(settings)}


def _said(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _bpe_model(tokenizer: dict[str, Any]) -> dict[str, Any]:
    model = tokenizer.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise BadFile(f"{FILE} is damaged.", DOWNLOAD_AGAIN)
    # very old files leave the type out of BPE models
    if model.get("type", "BPE") != "BPE" or not isinstance(model["vocab"], dict):
        raise Unsupported(f"Carryon cannot convert tokenizers of the kind {model.get('type')!r} yet.", LOOK_FOR_GGUF)
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise Unsupported("This model's tokenizer marks the parts of words, which llama.cpp cannot.", LOOK_FOR_GGUF)
    return model


def _list(holder: dict[str, Any], key: str) -> list[Any]:
    value = holder.get(key)
    if not isinstance(value, list):
        raise BadFile(f"{FILE} is damaged: it has no {key}.", DOWNLOAD_AGAIN)
    return value


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


def _added(tokenizer: dict[str, Any]) -> list[Added]:
    entries = _list(tokenizer, "added_tokens") if tokenizer.get("added_tokens") else []
    return [_added_token(entry) for entry in entries]


def _added_token(entry: Any) -> Added:
    match entry:
        case {"id": int() as number, "content": str() as text}:
            return Added(number, text, bool(entry.get("special")))
        case _:
            raise BadFile(f"{FILE} is damaged: {str(entry)[:40]!r} is not a token.", DOWNLOAD_AGAIN)


def _ids(model: dict[str, Any], added: Sequence[Added]) -> dict[str, int]:
    """Every token's text with its id; no id stands twice."""
    ids: dict[str, int] = {**model["vocab"]}
    for token in added:
        if ids.setdefault(token.text, token.number) != token.number:
            raise BadFile(f"{FILE} gives {token.text!r} two different ids.", DOWNLOAD_AGAIN)
    for text, number in ids.items():
        if type(number) is not int or number < 0:
            raise BadFile(f"{FILE} gives {text!r} the id {str(number)[:20]}.", DOWNLOAD_AGAIN)
    if len(set(ids.values())) < len(ids):
        raise BadFile(f"{FILE} gives one id to two tokens.", DOWNLOAD_AGAIN)
    _refuse_broken_text(ids)
    return ids


def _refuse_broken_text(texts: Sequence[str] | dict[str, int]) -> None:
    try:
        "".join(texts).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadFile(f"{FILE} holds text that is not Unicode.", DOWNLOAD_AGAIN) from error


def _tokens(ids: dict[str, int], added: Sequence[Added], n_rows: int) -> tuple[list[Token], tuple[str, ...]]:
    """One token for each row of the embedding: rows without a token are padded, tokens without a row dropped."""
    kinds = {token.number: token.kind for token in added}
    texts = {number: text for text, number in ids.items()}
    dropped = [texts[number] for number in sorted(texts) if number >= n_rows]
    if any(ids[text] not in kinds for text in dropped):
        raise BadFile(f"{FILE} has {len(ids):,} tokens, but the model has rows for {n_rows:,} only.", DOWNLOAD_AGAIN)
    tokens = [
        Token(texts[number], kinds.get(number, Kind.NORMAL)) if number in texts else _filler(number, ids)
        for number in range(n_rows)
    ]
    return tokens, tuple(_dropped_warning(dropped))


def _filler(number: int, ids: dict[str, int]) -> Token:
    text = f"[PAD{number}]"
    while text in ids:
        text = f"[{text}]"
    return Token(text, Kind.UNUSED)


def _dropped_warning(dropped: Sequence[str]) -> Iterator[str]:
    if dropped:
        yield f"{len(dropped)} tokens have no row in the model and were left out, such as {dropped[0]!r}."
