"""How people really type: small changes to a question that leave its meaning alone."""

import re
from collections.abc import Callable
from random import Random

Change = Callable[[str, Random], str]

_LEADS = (
    "hey, ", "hi, ", "hello, ", "please ", "please, ", "ok, ", "okay ", "so ", "sorry, ", "quick question: ",
    "a question: ", "um, ", "hm, ", "and ", "but ", "now ", "one more: ", "next question: ", "also, ", "well, ",
    "i have a question: ",
)  # fmt: skip
_TAILS = (
    " please", ", please", " thanks", ", thank you", " pls", " in short", " briefly", " here", " then", " exactly",
    " again",
)  # fmt: skip
_CONTRACTIONS = (
    ("what is", "what's"), ("what is", "whats"), ("how is", "how's"), ("where is", "where's"), ("do not", "don't"),
    ("does not", "doesn't"), ("cannot", "can't"), ("can not", "can't"), ("is not", "isn't"), ("I am", "I'm"),
    ("don't", "dont"), ("doesn't", "doesnt"), ("can't", "cant"), ("you", "u"), ("are", "r"), ("please", "pls"),
)  # fmt: skip
_SYNONYMS = (
    ("choose", "pick", "select"), ("big", "large"), ("computer", "PC", "machine", "laptop"), ("licence", "license"),
    ("quick", "fast"), ("difference", "differences"), ("begin", "start"), ("show", "display"), ("need", "require"),
    ("tell me about", "explain", "describe"), ("graphics card", "GPU", "video card"), ("mean", "stand for"),
    ("buy", "get"), ("much", "many"), ("app", "program", "application"), ("question", "query"),
    ("quantization", "quantisation"), ("folder", "directory"), ("erase", "delete", "remove"),
    ("chat", "conversation"), ("I", "we"), ("a", "the"), ("my", "the"), ("can", "could"),
)  # fmt: skip
_SMALL_WORDS = (
    "a", "an", "the", "is", "are", "do", "does", "of", "in", "on", "for", "to", "my", "i", "it", "me", "that", "this",
    "with", "be", "can",
)  # fmt: skip
_KEYBOARD_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def worded(text: str, rng: Random) -> str:
    """`text` in slightly other words: none, one or several changes."""
    return _changed(text, _WORDING, rng)


def typed(text: str, rng: Random) -> str:
    """`text` as somebody might have typed it: wrapped, recased, repunctuated, with a slip of the finger."""
    return _changed(text, _TYPING, rng)


def led(text: str, rng: Random) -> str:
    """With a polite or hurried opening."""
    return rng.choice(_LEADS) + _lower_first(text)


def trailed(text: str, rng: Random) -> str:
    """With a word or two behind it, before the question mark."""
    body = text.rstrip("?.!")
    return body + rng.choice(_TAILS) + text[len(body) :]


def contracted(text: str, rng: Random) -> str:
    """With one contraction or chat abbreviation, where one fits."""
    return _replaced(text, rng.choice(_CONTRACTIONS))


def reworded(text: str, rng: Random) -> str:
    """With one word exchanged for one that means the same here, where one fits."""
    fitting = [(old, group) for group in _SYNONYMS for old in group if _whole(old).search(text)]
    if not fitting:
        return text
    old, group = rng.choice(fitting)
    return _replaced(text, (old, rng.choice([one for one in group if one != old])))


def shortened(text: str, rng: Random) -> str:
    """Without one of the small words, as in a search box."""
    words = text.split(" ")
    small = [index for index, word in enumerate(words) if word.lower() in _SMALL_WORDS]
    if len(words) < 3 or not small:
        return text
    gone = rng.choice(small)
    return " ".join(words[:gone] + words[gone + 1 :])


def recased(text: str, rng: Random) -> str:
    """In small letters mostly, now and then with a capital first or in capitals throughout."""
    return rng.choices([text.lower(), text[:1].upper() + text[1:], text.upper()], [10, 4, 1])[0]


def repunctuated(text: str, rng: Random) -> str:
    """With another ending, or none."""
    return text.rstrip("?.! ") + rng.choices(["", "?", "??", ".", " ?", "!", "..."], [10, 10, 1, 2, 1, 1, 1])[0]


def respelled(text: str, rng: Random) -> str:
    """With a name written in another of its usual ways: `q4 k m` or `q4km`, `8GB`, `finetuning`."""
    variants = (
        (r"(?<=\w)[_-](?=\w)", " "), (r"(?<=\w)[_-](?=\w)", ""), (r"(?<=\w)-(?=\w)", "_"),
        (r"(?<=\d) (?=(GB|B|bit)\b)", ""), (r"(?<=\d)(?=(GB|B)\b)", " "), (r"\bVRAM\b", "vram"),
    )  # fmt: skip
    pattern, new = rng.choice(variants)
    return re.sub(pattern, new, text, flags=re.IGNORECASE)


def mistyped(text: str, rng: Random) -> str:
    """With one slip of the finger in one plain word; names with digits stay, a slip there is another question."""
    words = text.split(" ")
    plain = [index for index, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not plain:
        return text
    index = rng.choice(plain)
    words[index] = _slip(words[index], rng)
    return " ".join(words)


def _slip(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    before, letter, after = word[:at], word[at], word[at + 1 :]
    return rng.choice((
        before + after,
        before + letter + letter + after,
        before + after[0] + letter + after[1:],
        before + _neighbour(letter, rng) + after,
    ))  # fmt: skip


def _neighbour(letter: str, rng: Random) -> str:
    for row in _KEYBOARD_ROWS:
        if (at := row.find(letter.lower())) >= 0:
            return rng.choice([row[near] for near in (at - 1, at + 1) if 0 <= near < len(row)])
    return letter


def _replaced(text: str, pair: tuple[str, str]) -> str:
    return _whole(pair[0]).sub(pair[1], text, count=1)


def _whole(words: str) -> re.Pattern[str]:
    """Finds `words` standing alone: the `I` of `I need`, not that of `I-quant`."""
    return re.compile(rf"(?<![\w-]){re.escape(words)}(?![\w-])", re.IGNORECASE)


def _lower_first(text: str) -> str:
    """Keeps names such as GGUF or Q4_K_M: only a capital before a small letter goes down."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _changed(text: str, changes: tuple[tuple[Change, float], ...], rng: Random) -> str:
    for change, chance in changes:
        if rng.random() < chance:
            text = change(text, rng)
    return text.strip() or text


_WORDING: tuple[tuple[Change, float], ...] = ((reworded, 0.20), (contracted, 0.15), (shortened, 0.12))
_TYPING: tuple[tuple[Change, float], ...] = (
    (led, 0.12),
    (trailed, 0.06),
    (respelled, 0.12),
    (repunctuated, 0.40),
    (recased, 0.40),
    (mistyped, 0.15),
    (mistyped, 0.04),
)
