"""Which tokens open and close a text and which end an answer, by what the files do and not by what flags promise."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.config import Config, read_optional_json
from carryon.convert.vocabulary import Special

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


def read_special(
    folder: Path, config: Config, post_processor: Any, settings: Mapping[str, Any], ids: Mapping[str, int]
) -> Special:
    """Everything special about a tokenizer. `settings` is tokenizer_config.json, `ids` the tokens the model has.

    bos and eos are always there: llama.cpp would else take id 11 for both. Raises Unsupported when there is no eos.
    """
    start, end = _around(post_processor, settings, ids)
    named = _named(settings, ids)
    generation = read_optional_json(folder / "generation_config.json")
    stops = _numbers(config.values.get("eos_token_id"), ids) + _numbers(generation.get("eos_token_id"), ids)
    eos = _first(end, named.get("eos"), *stops)
    if eos is None:
        raise Unsupported("This model does not say which token ends a text, so no answer would end.", LOOK_FOR_GGUF)
    bos = _first(start, named.get("bos"), *_numbers(config.values.get("bos_token_id"), ids))
    further = _further_ends(stops, eos, ids)
    numbers = {**named, "bos": eos if bos is None else bos, "eos": eos, **({"eot": further[0]} if further else {})}
    warnings = tuple(f"Token {number} ends an answer too, but GGUF has no place to say so." for number in further[1:])
    return Special(numbers, start is not None, end is not None, warnings)


def _named(settings: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, int]:
    texts = {ours: token_text(settings.get(theirs)) for ours, theirs in NAMED.items()}
    return {ours: ids[text] for ours, text in texts.items() if text is not None and text in ids}


def _around(post_processor: Any, settings: Mapping[str, Any], ids: Mapping[str, int]) -> tuple[int | None, int | None]:
    """The tokens put before and after a text.

    tokenizers applies the post-processor; where there is none, transformers makes one from the flags.
    """
    if post_processor is None:
        return _flagged(settings, ids, "bos_token"), _flagged(settings, ids, "eos_token")
    match list(_pieces(post_processor)):
        case [] | [None]:
            return None, None
        case [str() as before, None]:
            return _known(before, ids), None
        case [None, str() as after]:
            return None, _known(after, ids)
        case [str() as before, None, str() as after]:
            return _known(before, ids), _known(after, ids)
        case _:
            raise Unsupported("This model's tokenizer puts more around a text than llama.cpp can.", LOOK_FOR_GGUF)


def token_text(value: Any) -> str | None:
    """The text of a token in tokenizer_config.json: a string, or an object that holds it."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _flagged(settings: Mapping[str, Any], ids: Mapping[str, int], name: str) -> int | None:
    text = token_text(settings.get(name))
    return ids.get(text) if text is not None and settings.get(f"add_{name}") is True else None


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
        raise Unsupported(
            f"This model's tokenizer puts {text!r} around a text, which is not one of its tokens.", DOWNLOAD_AGAIN
        )
    return ids[text]


def _unknown() -> Unsupported:
    return Unsupported("This model's tokenizer finishes a text in a way that Carryon does not know.", LOOK_FOR_GGUF)


def _numbers(value: Any, ids: Mapping[str, int]) -> list[int]:
    """An id or a list of ids, as configs have it; ids that are no token's are left out."""
    entries = value if isinstance(value, list) else [value]
    known = set(ids.values())
    return [entry for entry in entries if type(entry) is int and entry in known]


def _first(*numbers: int | None) -> int | None:
    return next((number for number in numbers if number is not None), None)


def _further_ends(stops: list[int], eos: int, ids: Mapping[str, int]) -> list[int]:
    """Further ends of an answer that llama.cpp would not find by their texts."""
    found = {eos, *(ids[text] for text in ENDS_BY_TEXT if text in ids)}
    return list(dict.fromkeys(number for number in stops if number not in found))
