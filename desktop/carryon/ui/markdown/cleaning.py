"""Takes out of a text what must not be shown, and tells which links may be opened; knows nothing of Qt."""

import re
from urllib.parse import urlsplit

LONGEST_WORD = 2_000  # characters; from about 20,000 on Qt needs seconds for one word (it is quadratic)
LINK_SCHEMES = ("http", "https", "mailto")
_BREAK = "\u200b"  # zero-width space: a place where a line may break; taken out again when text is copied
# ANSI escape sequences (ECMA-48): CSI, OSC with its end, and two-character ones
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_LINE_BREAKS = dict.fromkeys([0x0B, 0x0C, 0x85, 0x2028, 0x2029], "\n")
_UNWANTED = {
    **dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], None),  # controls
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], None),  # direction overrides and isolates
    **dict.fromkeys([*range(0xFDD0, 0xFDF0), 0xFFFC, 0xFFFE, 0xFFFF], None),  # Qt marks frames and objects with these
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),  # half a character
    0x09: "\t",
    0x0A: "\n",
    **_LINE_BREAKS,
}
_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD}}}(?=\S)")


def clean_lines(text: str) -> list[str]:
    """The lines of a text without what must not be shown; exactly one for each "\\n" and one more."""
    return [clean(line).replace("\n", " ") for line in text.split("\n")]


def clean(text: str) -> str:
    """The text without escape sequences, controls and direction overrides, long words with places to break."""
    return _LONG_WORD.sub(lambda word: word[0] + _BREAK, _ANSI.sub("", text).translate(_UNWANTED))


def has_long_word(text: str) -> bool:
    """Whether there is a word that Qt would take long to break."""
    return _LONG_WORD.search(text) is not None


def without_breaks(text: str) -> str:
    """The text without the places to break that `clean` put into long words."""
    return text.replace(_BREAK, "")


def safe_link(address: str) -> str | None:
    """The address if it leads to the web or a mailbox, else None."""
    try:
        parts = urlsplit(address)
        is_safe = parts.scheme in LINK_SCHEMES and bool(parts.hostname or (parts.scheme == "mailto" and parts.path))
    except ValueError:
        return None
    return address if is_safe and address.isprintable() else None
