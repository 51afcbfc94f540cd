"""Which tokens open and close a text and which end an answer, by what the files do and not by what flags promise."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.config import Config, read_optional_json
from carryon.convert.vocabularies.around import Around, around
from carryon.convert.vocabularies.vocabulary import Special

# GGUF's name for a special token ('seperator' is GGUF's own spelling), and its name in tokenizer_config.json.
NAMED = {
    "bos": "bos_token",
    "eos": "eos_token",
    "unknown": "unk_token",
    "seperator": "sep_token",
    "padding": "pad_token",
    "cls": "cls_token",
    "mask": "mask_token",
}
# Texts that end an answer for llama.cpp without being told (src/llama-vocab.cpp, special_eog_ids).
ENDS_BY_TEXT = (
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "</s>",
    "<eos>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
)
# Tokens for filling in the middle of code, by the texts that code models give them (same file).
FILL_IN = {
    "fim_pre": ["<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "▁<PRE>", "<|code_prefix|>"],
    "fim_suf": ["<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "▁<SUF>", "<|code_suffix|>"],
    "fim_mid": ["<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "▁<MID>", "<|code_middle|>"],
    "fim_pad": ["<|fim_pad|>", "<fim-pad>", "<fim_pad>"],
    "fim_rep": ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<reponame>"],
    "fim_sep": ["<|file_sep|>"],
}
MORE_ENDS = ("eot", "eom")  # places in GGUF for further ends of an answer


def read_special(
    folder: Path,
    config: Config,
    post_processor: Any,
    settings: Mapping[str, Any],
    ids: Mapping[str, int],
    style: str = "gpt2",
    template: str = "",
) -> Special:
    """Everything special about a tokenizer. `settings` is tokenizer_config.json, `ids` the tokens the model has.

    bos and eos are always there: llama.cpp would else take id 11 for both. `template` is the chat template, which may
    itself write what cannot be put around a text. Raises Unsupported when there is no eos.
    """
    found, warnings = _around(post_processor, settings, ids, template)
    start, end = _only(found.before), _only(found.after)
    named = _named(settings, ids)
    generation = read_optional_json(folder / "generation_config.json")
    stops = _numbers(config.values.get("eos_token_id"), ids) + _numbers(generation.get("eos_token_id"), ids)
    eos = _first(end, named.get("eos"), *stops, named.get("seperator"))
    if eos is None:
        raise Unsupported("This model does not say which token ends a text, so no answer would end.", LOOK_FOR_GGUF)
    bos = _first(start, named.get("bos"), *_numbers(config.values.get("bos_token_id"), ids), named.get("cls"))
    numbers = {**_filling(ids), **named, "bos": eos if bos is None else bos, "eos": eos}
    if style == "bert":
        numbers |= _wrapping(start, end)
    further = _further_ends(stops, eos, ids)
    numbers |= dict(zip(MORE_ENDS, further, strict=False))
    warnings += tuple(_unsaid_ends(further[len(MORE_ENDS) :]))
    return Special(numbers, start is not None, end is not None, warnings, found.has_separator)


def _named(settings: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, int]:
    texts = {ours: token_text(settings.get(theirs)) for ours, theirs in NAMED.items()}
    return {ours: ids[text] for ours, text in texts.items() if text is not None and text in ids}


def _filling(ids: Mapping[str, int]) -> dict[str, int]:
    found = {ours: [ids[text] for text in texts if text in ids] for ours, texts in FILL_IN.items()}
    return {ours: numbers[0] for ours, numbers in found.items() if numbers}


def _wrapping(start: int | None, end: int | None) -> dict[str, int]:
    """llama.cpp puts bos before and the separator after every text of the style 'bert', whatever flags say."""
    if start is None or end is None:
        raise Unsupported(
            "This model's tokenizer puts nothing around a text, where llama.cpp always would.", LOOK_FOR_GGUF
        )
    return {"bos": start, "eos": end, "seperator": end}


def _around(
    post_processor: Any, settings: Mapping[str, Any], ids: Mapping[str, int], template: str
) -> tuple[Around, tuple[str, ...]]:
    """The tokens put before and after a text, at most one on each side.

    tokenizers applies the post-processor; where there is none, transformers makes one from the flags.
    """
    if post_processor is None:
        return Around(_flagged(settings, ids, "bos_token"), _flagged(settings, ids, "eos_token")), ()
    found = around(post_processor, ids)
    if len(found.before) <= 1 and len(found.after) <= 1:
        return found, ()
    texts = {number: text for text, number in ids.items()}
    start = "".join(texts[number] for number in found.before)
    if len(found.after) <= 1 and start in template:
        return Around((), found.after, found.has_separator), (_only_in_chats(start),)
    raise Unsupported("This model's tokenizer puts more around a text than llama.cpp can.", LOOK_FOR_GGUF)


def _only_in_chats(start: str) -> str:
    return f"{start} stands before every text in the original model; here only the chat template writes it."


def token_text(value: Any) -> str | None:
    """The text of a token in tokenizer_config.json: a string, or an object that holds it."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _flagged(settings: Mapping[str, Any], ids: Mapping[str, int], name: str) -> tuple[int, ...]:
    text = token_text(settings.get(name))
    is_added = settings.get(f"add_{name}") is True
    return (ids[text],) if is_added and text is not None and text in ids else ()


def _numbers(value: Any, ids: Mapping[str, int]) -> list[int]:
    """An id or a list of ids, as configs have it; ids that are no token's are left out."""
    entries = value if isinstance(value, list) else [value]
    known = set(ids.values())
    return [entry for entry in entries if type(entry) is int and entry in known]


def _only(numbers: Sequence[int]) -> int | None:
    return numbers[0] if numbers else None


def _first(*numbers: int | None) -> int | None:
    return next((number for number in numbers if number is not None), None)


def _further_ends(stops: list[int], eos: int, ids: Mapping[str, int]) -> list[int]:
    """Further ends of an answer that llama.cpp would not find by their texts."""
    found = {eos, *(ids[text] for text in ENDS_BY_TEXT if text in ids)}
    return list(dict.fromkeys(number for number in stops if number not in found))


def _unsaid_ends(numbers: Sequence[int]) -> Iterator[str]:
    for number in numbers:
        yield f"Token {number} ends an answer too, but GGUF has no place to say so."
