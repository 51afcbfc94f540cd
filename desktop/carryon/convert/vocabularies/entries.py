"""The entries of a vocabulary: what tokenizer.json says of them, and one for each row of the model's embedding."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carryon.base.errors import BadFile
from carryon.convert.advice import DOWNLOAD_AGAIN
from carryon.convert.vocabularies.vocabulary import Kind, Token

FILE = "tokenizer.json"
LOOKS_SPECIAL = re.compile(r"<\|.*\|>|<｜.*｜>|<pad>|<mask>|<unused\d+>", re.DOTALL)
N_NAMED = 3  # so many tokens are named in a warning


@dataclass(frozen=True)
class Added:
    """A token that is cut out of the text before anything else, perhaps with the white space around it."""

    number: int
    text: str
    is_special: bool
    strips_before: bool = False
    strips_after: bool = False

    @property
    def kind(self) -> Kind:
        return Kind.CONTROL if self.is_special or LOOKS_SPECIAL.fullmatch(self.text) else Kind.USER_DEFINED


def listed(holder: Mapping[str, Any], key: str) -> list[Any]:
    """A list that must be there. Raises BadFile."""
    value = holder.get(key)
    if not isinstance(value, list):
        raise BadFile(f"{FILE} is damaged: it has no {key}.", DOWNLOAD_AGAIN)
    return value


def added_tokens(tokenizer: Mapping[str, Any]) -> list[Added]:
    """The tokens beside the model's own. Raises BadFile."""
    entries = listed(tokenizer, "added_tokens") if tokenizer.get("added_tokens") else []
    return [_added(entry) for entry in entries]


def _added(entry: Any) -> Added:
    match entry:
        case {"id": int() as number, "content": str() as text}:
            flags = (bool(entry.get(flag)) for flag in ("special", "lstrip", "rstrip"))
            return Added(number, text, *flags)
        case _:
            raise BadFile(f"{FILE} is damaged: {str(entry)[:40]!r} is not a token.", DOWNLOAD_AGAIN)


def ids_of(vocab: Mapping[str, Any], added: Sequence[Added]) -> dict[str, int]:
    """Every token's text with its id; no id stands twice. Raises BadFile."""
    ids: dict[str, int] = {**vocab}
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


def _refuse_broken_text(texts: Collection[str]) -> None:
    try:
        "".join(texts).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadFile(f"{FILE} holds text that is not Unicode.", DOWNLOAD_AGAIN) from error


def rows_of(ids: Mapping[str, int], added: Sequence[Added], n_rows: int) -> tuple[list[Token], tuple[str, ...]]:
    """One token for each row of the embedding: rows without a token are padded, tokens without a row dropped.

    Raises BadFile when a dropped token is one of the model's own: the rows then belong to another tokenizer.
    """
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


def _filler(number: int, taken: Collection[str]) -> Token:
    text = f"[PAD{number}]"
    while text in taken:
        text = f"[{text}]"
    return Token(text, Kind.UNUSED)


def _dropped_warning(dropped: Sequence[str]) -> Iterator[str]:
    if dropped:
        yield f"{len(dropped)} tokens have no row in the model and were left out, such as {names(dropped)}."


def names(texts: Sequence[str]) -> str:
    """A few texts in quotes, for a warning."""
    return ", ".join(repr(text) for text in texts[:N_NAMED])


def distinct(tokens: Sequence[Token]) -> tuple[list[Token], tuple[str, ...]]:
    """No text twice and none that is empty: llama.cpp ends the whole process over two tokens of one text.

    It reads a text up to its first zero byte, which is where most of such pairs come from. The second of a pair can
    never be made from text and becomes an unused one.
    """
    taken = {token.text for token in tokens}
    seen: set[str] = set()
    lost: list[str] = []
    result: list[Token] = []
    for number, token in enumerate(tokens):
        if token.text in seen or not token.text or "\0" in token.text:
            lost.append(token.text)
            token = _filler(number, taken | seen)
        seen.add(token.text)
        result.append(token)
    return result, tuple(_lost_warning(lost))


def _lost_warning(lost: Sequence[str]) -> Iterator[str]:
    if lost:
        yield f"{len(lost)} tokens cannot be told apart in GGUF and were left out, such as {names(lost)}."
