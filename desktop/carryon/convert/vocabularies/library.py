"""The tokenizers library, built from a tokenizer.json's parts: whatever it raises becomes one error."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What the library wants to be said, which stand-ins and older files leave out.
PARTS = ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
FLAGS = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)


class Unusable(Exception):
    """The library does not take these parts, or cannot use them; the text is its own."""


def built(whole: dict[str, Any]) -> Any:
    """A tokenizers.Tokenizer of everything in `whole` that the library knows. Raises Unusable."""
    from tokenizers import Tokenizer  # imported here, for it costs the start of every command 30 ms

    added = [{**FLAGS, **entry} for entry in whole.get("added_tokens") or []]
    parts = {part: whole.get(part) for part in PARTS}
    text = json.dumps({"version": "1.0", "model": whole["model"], "added_tokens": added, **parts})
    with library_errors():
        return Tokenizer.from_str(text)


@contextmanager
def library_errors() -> Iterator[None]:
    """Turns the library's errors into Unusable. It raises bare Exceptions, and panics that are not even those."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise Unusable(str(error)) from error
        raise
