"""tokenizer.json (and the files beside it) read into a Vocabulary, without the tokenizers library."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.config import Config, read_json, read_optional_json
from carryon.convert.sentencepiece import adds_space, is_sentencepiece, scored
from carryon.convert.special import read_ends, read_special_ids
from carryon.convert.splitting import splitting_name
from carryon.convert.template import read_templates
from carryon.convert.vocabulary import Kind, Token, Vocabulary

FILE = "tokenizer.json"
AGAIN = "Download that file again."
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
    tokenizer = read_json(folder / FILE)
    model = _bpe_model(tokenizer)
    settings = read_optional_json(folder / "tokenizer_config.json")
    added = _added(tokenizer)
    ids = _ids(model, added)
    tokens, warnings = _tokens(ids, added, n_rows)
    merges = [_pair(entry) for entry in _list(model, "merges")]
    ends = read_ends(tokenizer.get("post_processor"), settings, ids)
    special_ids = read_special_ids(folder, config, settings, ids, ends, n_rows)
    templates = read_templates(folder, settings)
    if is_sentencepiece(tokenizer):
        tokens, odd = scored(tokens, merges, tokenizer)
        space = adds_space(tokenizer)
        return Vocabulary("llama", "default", tokens, (), special_ids, ends, space, templates, (*warnings, *odd))
    name = splitting_name(tokenizer)
    joined = [" ".join(part.replace(" ", "\u0120") for part in pair) for pair in merges]
    return Vocabulary("gpt2", name, tokens, joined, special_ids, ends, None, templates, warnings)


def _bpe_model(tokenizer: dict[str, Any]) -> dict[str, Any]:
    model = tokenizer.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise BadFile(f"{FILE} is damaged.", AGAIN)
    # very old files leave the type out of BPE models
    if model.get("type", "BPE") != "BPE" or not isinstance(model["vocab"], dict):
        raise Unsupported(f"Carryon cannot convert tokenizers of the kind {model.get('type')!r} yet.")
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise Unsupported("This model's tokenizer marks the parts of words, which llama.cpp cannot.")
    return model


def _list(holder: dict[str, Any], key: str) -> list[Any]:
    value = holder.get(key)
    if not isinstance(value, list):
        raise BadFile(f"{FILE} is damaged: it has no {key}.", AGAIN)
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
            raise BadFile(f"{FILE} is damaged: {str(entry)[:40]!r} is not a merge.", AGAIN)


def _added(tokenizer: dict[str, Any]) -> list[Added]:
    return [_added_token(entry) for entry in tokenizer.get("added_tokens") or []]


def _added_token(entry: Any) -> Added:
    match entry:
        case {"id": int() as number, "content": str() as text}:
            return Added(number, text, bool(entry.get("special")))
        case _:
            raise BadFile(f"{FILE} is damaged: {str(entry)[:40]!r} is not a token.", AGAIN)


def _ids(model: dict[str, Any], added: Sequence[Added]) -> dict[str, int]:
    """Every token's text with its id; no id stands twice."""
    ids: dict[str, int] = {**model["vocab"]}
    for token in added:
        if ids.setdefault(token.text, token.number) != token.number:
            raise BadFile(f"{FILE} gives {token.text!r} two different ids.", AGAIN)
    for text, number in ids.items():
        if type(number) is not int or number < 0:
            raise BadFile(f"{FILE} gives {text!r} the id {str(number)[:20]}.", AGAIN)
    if len(set(ids.values())) < len(ids):
        raise BadFile(f"{FILE} gives one id to two tokens.", AGAIN)
    _refuse_broken_text(ids)
    return ids


def _refuse_broken_text(texts: Sequence[str] | dict[str, int]) -> None:
    try:
        "".join(texts).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadFile(f"{FILE} holds text that is not Unicode.", AGAIN) from error


def _tokens(ids: dict[str, int], added: Sequence[Added], n_rows: int) -> tuple[list[Token], tuple[str, ...]]:
    """One token for each row of the embedding: rows without a token are padded, tokens without a row dropped."""
    kinds = {token.number: token.kind for token in added}
    texts = {number: text for text, number in ids.items()}
    dropped = [texts[number] for number in sorted(texts) if number >= n_rows]
    if any(ids[text] not in kinds for text in dropped):
        raise BadFile(f"{FILE} has {len(ids):,} tokens, but the model has rows for {n_rows:,} only.", AGAIN)
    tokens = [
        Token(texts[number], kinds.get(number, Kind.NORMAL)) if number in texts else _filler(number, ids)
        for number in range(n_rows)
    ]
    return tokens, tuple(_dropped_warning(dropped))


def _filler(number: int, ids: dict[str, int]) -> Token:
    text = f"[PAD{number}]"
    return Token(text if text not in ids else f"[PAD{number}_]", Kind.UNUSED)


def _dropped_warning(dropped: Sequence[str]) -> Iterator[str]:
    if dropped:
        yield f"{len(dropped)} tokens have no row in the model and were left out, such as {dropped[0]!r}."
