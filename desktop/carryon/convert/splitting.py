"""How a byte-level tokenizer cuts text before merging, and llama.cpp's name for it.

llama.cpp knows these by name only (src/llama-vocab.cpp, tokenizer.ggml.pre); a wrong name still loads and answers
badly. So the rules of tokenizer.json are brought into one form and looked up: what is not in the table is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DIGIT = "digit by digit"


@dataclass(frozen=True)
class Cuts:
    """The cuts in their order, and whether a whole piece that is a token is taken before any merging."""

    rules: tuple[str, ...]
    ignore_merges: bool


# The names that share a regex in llama.cpp differ in ignore_merges: llama-bpe and tekken have it, the others not.
NAMES = {
    Cuts((GPT2,), False): "gpt-2",
    Cuts((DIGIT, GPT2), False): "smollm",
    Cuts((LLAMA3,), True): "llama-bpe",
    Cuts((LLAMA3,), False): "smaug-bpe",
    Cuts((QWEN2,), False): "qwen2",
    Cuts((TEKKEN,), True): "tekken",
}


def splitting_name(tokenizer: dict[str, Any]) -> str:
    """llama.cpp's name for the way a tokenizer.json cuts text. Raises Unsupported if it is not in the table."""
    rules = tuple(_rules(tokenizer.get("pre_tokenizer")))
    ignore_merges = bool((tokenizer.get("model") or {}).get("ignore_merges"))
    name = NAMES.get(Cuts(rules, ignore_merges))
    if name is None or not _leaves_text_alone(tokenizer.get("normalizer")):
        raise Unsupported(
            "This model's tokenizer cuts text in a way that Carryon does not know yet.",
            LOOK_FOR_GGUF,
        )
    return name


def _rules(step: Any) -> Iterator[str]:
    """One line for each cut; what is not understood becomes a line that matches nothing in the table."""
    match step:
        case {"type": "Sequence", "pretokenizers": list() as steps}:
            for one in steps:
                yield from _rules(one)
        case {"type": "Split", "pattern": {"Regex": str() as regex}, "behavior": "Isolated", "invert": False}:
            yield regex
        case {"type": "Split", "pattern": {"Regex": str() as regex}, "behavior": "Removed", "invert": True}:
            yield regex  # removing what does not match keeps the matches: the same cut, written the other way
        case {"type": "Digits", "individual_digits": True}:
            yield DIGIT
        case {"type": "ByteLevel", "add_prefix_space": False, **rest}:
            if rest.get("use_regex", True):
                yield GPT2
        case _:
            yield repr(step)


def _leaves_text_alone(normalizer: Any) -> bool:
    """NFC passes: llama.cpp does not normalize, and text that is typed or copied is in NFC already."""
    return normalizer is None or (isinstance(normalizer, dict) and normalizer.get("type") == "NFC")
