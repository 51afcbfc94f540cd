"""Which tokens open and close a text and which end an answer, by what the files do and not by what flags promise."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.config import Config, read_optional_json
from carryon.convert.vocabulary import Ends

# GGUF's name for a special token, and its name in tokenizer_config.json.
NAMED = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token", "mask": "mask_token"}
# Texts that end an answer for llama.cpp without being told (src/llama-vocab.cpp, special_eog_ids).
ENDS_BY_TEXT = (
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "</s>",
    "<eos>",
    "<EOT>",
    "<｜end▁of▁sentence｜>",
)


def read_ends(post_processor: Any, settings: Mapping[str, Any], ids: Mapping[str, int]) -> Ends:
    """What the tokenizer puts around a text. Raises Unsupported for more than one token on a side.

    tokenizers applies the post-processor; where there is none, transformers makes one from the flags.
    """
    if post_processor is None:
        return Ends(*(_flagged(settings, ids, flag, name) for flag, name in _FLAGS))
    before: list[int] = []
    after: list[int] = []
    is_past = False
    for piece in _pieces(post_processor):
        if piece is None:
            is_past = True
        else:
            (after if is_past else before).append(_known(piece, ids))
    if len(before) > 1 or len(after) > 1:
        raise Unsupported("This model's tokenizer puts several tokens around a text, which llama.cpp cannot.")
    return Ends(before[0] if before else None, after[0] if after else None)


def read_special_ids(
    folder: Path, config: Config, settings: Mapping[str, Any], ids: Mapping[str, int], ends: Ends, n_rows: int
) -> dict[str, int]:
    """The ids of the special tokens by GGUF's names; bos and eos always (llama.cpp would else take id 11 for both)."""
    named = {ours: ids[text] for ours, theirs in NAMED.items() if (text := token_text(settings.get(theirs))) in ids}
    generation = read_optional_json(folder / "generation_config.json")
    stops = [*_numbers(config.values.get("eos_token_id")), *_numbers(generation.get("eos_token_id"))]
    eos = _first(ends.end, named.get("eos"), *stops)
    if eos is None or eos >= n_rows:
        raise Unsupported("This model does not say which token ends a text, so its answers would never end.")
    bos = _first(ends.start, named.get("bos"), *_numbers(config.values.get("bos_token_id")), eos)
    bos = bos if bos is not None and bos < n_rows else eos
    special = {**named, "bos": bos, "eos": eos, **_turn_end(stops, eos, ids)}
    return {name: number for name, number in special.items() if number < n_rows}


def token_text(value: Any) -> str:
    """The text of a token in tokenizer_config.json: a string, or an object that holds it."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


_FLAGS = (("add_bos_token", "bos_token"), ("add_eos_token", "eos_token"))


def _flagged(settings: Mapping[str, Any], ids: Mapping[str, int], flag: str, name: str) -> int | None:
    return ids.get(token_text(settings.get(name))) if settings.get(flag) is True else None


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
        raise Unsupported(f"This model's tokenizer puts {text!r} around a text, which is not one of its tokens.")
    return ids[text]


def _unknown() -> Unsupported:
    return Unsupported("This model's tokenizer finishes a text in a way that Carryon does not know.")


def _numbers(value: Any) -> list[int]:
    """An id or a list of ids, as configs have it."""
    entries = value if isinstance(value, list) else [value]
    return [entry for entry in entries if type(entry) is int and entry >= 0]


def _first(*numbers: int | None) -> int | None:
    return next((number for number in numbers if number is not None), None)


def _turn_end(stops: list[int], eos: int, ids: Mapping[str, int]) -> dict[str, int]:
    """A further end of an answer that llama.cpp would not find by its text."""
    known = {ids[text] for text in ENDS_BY_TEXT if text in ids}
    further = [number for number in stops if number != eos and number not in known]
    return {"eot": further[0]} if further else {}
