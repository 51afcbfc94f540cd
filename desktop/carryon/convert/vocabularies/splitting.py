"""How a byte-level tokenizer cuts text before merging, and llama.cpp's name for it.

llama.cpp knows these by name only (src/llama-vocab.cpp, tokenizer.ggml.pre); a wrong name still loads and answers
badly. So the rules of tokenizer.json are brought into one form and looked up; what is not in the table is either found
by trial (convert.tokenizer) or refused.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.vocabularies.preparing import steps

# The rules as the tokenizer.json files of the families have them, line ends spelled \r and \n.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35 = QWEN2.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")
MINICPM5 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}+")
SEED_CODER = QWEN2.replace(r"\p{N}|", r"\p{N}{1}|").replace(r"[^\s\p{L}\p{N}]+[\r\n]*", r"[^\s\p{L}\p{N}\r\n]+")
CL100K = (  # tiktoken's own spelling of LLAMA3
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
BAILING = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SHORT_FORMS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K = TEKKEN.replace(r"\p{M}]+|[^\r\n\p{L}", rf"\p{{M}}]+{_SHORT_FORMS}|[^\r\n\p{{L}}").replace(
    r"\p{M}]*|\p{N}|", rf"\p{{M}}]*{_SHORT_FORMS}|\p{{N}}{{1,3}}|"
)
LINE_END = r"[\r\n]"
CASED = (
    r"µÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕ"
    r"Ἐ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ"
    r"-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
)
DEEPSEEK_WORDS = rf"\s?[A-Za-z{CASED}]+"
DEEPSEEK_SIGNS = r"\s?[!-/:-~！-／：-～‘-‟　-。]+"
EAST_ASIAN, KANA = r"[一-龥ࠀ-一가-퟿]+", r"[一-龥぀-ゟ゠-ヿ]+"
DEEPSEEK3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DIGITS_3 = r"\p{N}{1,3}"
DIGITS_FROM_END = r"\d{1,3}(?=(?:\d{3})*\b)"
DIGIT = "digit by digit"


@dataclass(frozen=True)
class Cuts:
    """The cuts in their order, and whether a whole piece that is a token is taken before any merging."""

    rules: tuple[str, ...]
    ignore_merges: bool


@dataclass(frozen=True)
class Splitting:
    """Names of llama.cpp's that may be right, the likeliest first. If it `is_known`, the first is.

    `merges_otherwise` where llama.cpp has these cuts only with the other way of taking whole pieces.
    """

    names: tuple[str, ...]
    is_known: bool
    merges_otherwise: bool = False


# Names that cut alike stand together; they differ in how llama.cpp spells an answer and in nothing that a file that
# says its special tokens (as ours do) leaves open. The first is the one for families that have no name of their own.
NAMES: dict[Cuts, tuple[str, ...]] = {
    Cuts((GPT2,), False): ("gpt-2", "modern-bert", "roberta-bpe", "olmo", "exaone4"),
    Cuts((DIGIT, GPT2), False): ("smollm", "starcoder", "refact", "command-r", "exaone"),
    Cuts((LLAMA3,), True): ("llama-bpe", "falcon3", "glm4"),
    Cuts((LLAMA3,), False): ("smaug-bpe", "dbrx", "chatglm-bpe"),
    Cuts((CL100K,), True): ("llama-bpe", "glm4"),
    Cuts((CL100K,), False): ("dbrx", "smaug-bpe", "chatglm-bpe"),
    Cuts((QWEN2,), False): ("qwen2", "stablelm2"),
    Cuts((QWEN35,), False): ("qwen35",),
    Cuts((TEKKEN,), True): ("tekken",),
    Cuts((O200K,), False): ("gpt-4o",),
    Cuts((BAILING,), False): ("bailingmoe",),
    Cuts((SEED_CODER,), False): ("seed-coder",),
    Cuts((DIGITS_3, MINICPM5), True): ("minicpm5",),
    Cuts((DIGITS_FROM_END, O200K), False): ("tiny_aya",),
    Cuts((LINE_END, DEEPSEEK_WORDS, DEEPSEEK_SIGNS, r"\s+$", EAST_ASIAN, DIGIT), False): ("deepseek-llm",),
    Cuts((LINE_END, r"\s?\p{L}+", r"\s?\p{P}+", EAST_ASIAN, DIGIT), False): ("deepseek-coder",),
    Cuts((DIGITS_3, KANA, DEEPSEEK3), False): ("deepseek-v3",),
}
# The name that llama.cpp's own converter gives a family's tokenizers, by config.json's model_type.
BY_FAMILY = {
    "cohere": "command-r",
    "cohere2": "command-r",
    "exaone": "exaone",
    "exaone4": "exaone4",
    "glm": "glm4",
    "glm4": "glm4",
    "granite": "refact",
    "granitemoe": "refact",
    "modernbert": "modern-bert",
    "olmo": "olmo",
    "olmo2": "dbrx",
    "olmo3": "dbrx",
    "phi3": "dbrx",
    "roberta": "roberta-bpe",
    "stablelm": "stablelm2",
    "starcoder2": "starcoder",
}
# Further ways to cut that no table above leads to; a trial goes through all.
UNLISTED = (
    "falcon",
    "jais-2",
    "exaone-moe",
    "youtu",
    "granite-embed-multi-97m",
    "superbpe",
    "afmoe",
    "bloom",
    "viking",
    "ufakzeka",
    "spark2_5",
    "laguna",
)


def splitting_of(tokenizer: dict[str, Any], family: str = "") -> Splitting:
    """llama.cpp's name for the way a tokenizer.json cuts text; `family` is config.json's model_type.

    Raises Unsupported for text that is prepared in a way that llama.cpp cannot follow.
    """
    if any(_type(step) != "NFC" for step in steps(tokenizer.get("normalizer"), "normalizers")):
        # NFC passes: llama.cpp does not normalize, and text that is typed or copied is in NFC already
        raise unknown_cuts()
    rules = tuple(_rules(tokenizer.get("pre_tokenizer")))
    ignore_merges = bool((tokenizer.get("model") or {}).get("ignore_merges"))
    for merges_otherwise in (False, True):
        names = _SPELLED_NAMES.get(Cuts(rules, ignore_merges != merges_otherwise))
        if names:
            own = BY_FAMILY.get(family)
            return Splitting((own,) if own in names else names, True, merges_otherwise)
    return Splitting(_all_names(), is_known=False)


def unknown_cuts(more: str = "") -> Unsupported:
    """What is said when there is no name for a tokenizer's cuts."""
    return Unsupported(
        f"This model's tokenizer cuts text in a way that Carryon does not know yet{more}.", LOOK_FOR_GGUF
    )


def _all_names() -> tuple[str, ...]:
    """One name for each way to cut."""
    return tuple(dict.fromkeys((*(names[0] for names in NAMES.values()), *UNLISTED)))


def _rules(step: Any) -> Iterator[str]:
    """One line for each cut; what is not understood becomes a line that matches nothing in the table."""
    match step:
        case {"type": "Sequence", "pretokenizers": list() as steps}:
            for one in steps:
                yield from _rules(one)
        case {"type": "Split", "pattern": {"Regex": str() as regex}, "behavior": "Isolated", "invert": False}:
            yield _spelled(regex)
        case {"type": "Split", "pattern": {"Regex": str() as regex}, "behavior": "Removed", "invert": True}:
            yield _spelled(regex)  # removing what does not match keeps the matches: the same cut in other words
        case {"type": "Digits", "individual_digits": True}:
            yield DIGIT
        case {"type": "ByteLevel", "add_prefix_space": False, **rest}:
            if rest.get("use_regex", True):
                yield GPT2
        case _:
            yield repr(step)


def _spelled(regex: str) -> str:
    """One spelling for what files spell in two: line ends, and letters that have a composed and a single form."""
    return unicodedata.normalize("NFC", regex.replace("\r", r"\r").replace("\n", r"\n"))


def _type(step: Any) -> Any:
    return step.get("type") if isinstance(step, dict) else None


_SPELLED_NAMES = {Cuts(tuple(map(_spelled, cuts.rules)), cuts.ignore_merges): names for cuts, names in NAMES.items()}
