"""What a tokenizer puts around a text of its own accord, found by letting the tokenizers library do it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.vocabularies.library import Unusable, built, library_errors

TEXT, OTHER = 2**31 - 1, 2**31 - 2  # ids that no token has, for a text and the second of a pair


@dataclass(frozen=True)
class Around:
    """Ids before and after a text, and whether something stands between the texts of a pair."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    has_separator: bool = False


def around(post_processor: Any, ids: Mapping[str, int]) -> Around:
    """What stands around a text. `ids` are the tokens that the model has.

    Only the last step of the tokenizer is built, over a vocabulary of two words: that costs nothing even for large
    models. Raises Unsupported for tokens that the model does not have.
    """
    if post_processor is None:
        return Around()
    found = _applied(post_processor) or _read(post_processor, ids)
    strange = [number for number in (*found.before, *found.after) if number not in set(ids.values())]
    if strange:
        raise _not_a_token(str(strange[0]))
    return found


def _applied(post_processor: Any) -> Around | None:
    """None where the library does not take it."""
    model = {"type": "WordLevel", "vocab": {"a": TEXT, "b": OTHER}, "unk_token": "a"}
    try:
        tokenizer = built({"model": model, "post_processor": post_processor})
        with library_errors():
            single, pair = tokenizer.encode("a").ids, tokenizer.encode("a", "b").ids
    except Unusable:
        return None
    if single.count(TEXT) != 1:
        return None
    place = single.index(TEXT)
    has_separator = pair.count(TEXT) == pair.count(OTHER) == 1 and pair.index(OTHER) > pair.index(TEXT) + 1
    return Around(tuple(single[:place]), tuple(single[place + 1 :]), has_separator)


def _read(post_processor: Any, ids: Mapping[str, int]) -> Around:
    """The same from the file's own words. Raises Unsupported."""
    pieces = list(_pieces(post_processor))
    if not pieces:
        return Around()
    if pieces.count(None) != 1:
        raise _unknown()
    place = pieces.index(None)
    numbers = [_known(piece, ids) for piece in pieces if piece is not None]
    return Around(tuple(numbers[:place]), tuple(numbers[place:]))


def _pieces(step: Any) -> Iterator[str | None]:
    """The texts of the tokens around a single text, and None where the text itself stands."""
    match step:
        case {"type": "ByteLevel"}:
            return
        case {"type": "TemplateProcessing", "single": list() as single}:
            yield from map(_piece, single)
        case {"type": "Sequence", "processors": list() as steps}:
            for one in steps:
                yield from _pieces(one)
        case _:
            raise _unknown()


def _piece(entry: Any) -> str | None:
    match entry:
        case {"SpecialToken": {"id": str() as text}}:
            return text
        case {"Sequence": {"id": "A"}}:
            return None
        case _:
            raise _unknown()


def _known(text: str, ids: Mapping[str, int]) -> int:
    if text not in ids:
        raise _not_a_token(text)
    return ids[text]


def _not_a_token(text: str) -> Unsupported:
    return Unsupported(
        f"This model's tokenizer puts {text!r} around a text, which is not one of its tokens.", DOWNLOAD_AGAIN
    )


def _unknown() -> Unsupported:
    return Unsupported("This model's tokenizer finishes a text in a way that Carryon does not know.", LOOK_FOR_GGUF)
