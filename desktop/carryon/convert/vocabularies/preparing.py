"""The steps by which a tokenizer.json prepares text, as a flat list."""

from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF

SPACE = "\u2581"  # SentencePiece's mark for a space


def steps(part: Any, key: str) -> list[Any]:
    """The steps of a normalizer or pre-tokenizer; `key` is what a sequence calls its list."""
    if part is None:
        return []
    if isinstance(part, dict) and part.get("type") == "Sequence" and isinstance(part.get(key), list):
        return [step for one in part[key] for step in steps(one, key)]
    return [part]


def prepends_space(step: dict[str, Any]) -> bool:
    """Whether a Metaspace step puts a space before a text; files before 2024 say it with another word."""
    if "prepend_scheme" in step:
        return bool(step["prepend_scheme"] != "never")
    return step.get("add_prefix_space") is not False


def unknown_preparation() -> Unsupported:
    return Unsupported("This model's tokenizer prepares text in a way that Carryon does not know yet.", LOOK_FOR_GGUF)
