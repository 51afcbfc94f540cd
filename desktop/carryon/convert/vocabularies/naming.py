"""A model's name inside its file, which is functional: llama.cpp treats special tokens otherwise if it says phi-3.

src/llama-vocab.cpp: with 'phi-3' or 'phi3' in general.name, white space after special tokens is swallowed, and a file
that lacks one of four tokens does not load at all.
"""

import re

from carryon.convert.vocabularies.vocabulary import Kind, Vocabulary

FUNCTIONAL = re.compile(r"phi-?3", re.IGNORECASE)
NEEDED = {"</s>", "<s>", "<unk>", "<|endoftext|>"}
MARK = "Phi-3"


def functional_name(name: str, vocabulary: Vocabulary) -> str:
    """The name to write as general.name: with 'Phi-3' for tokenizers that work that way, without it for all others."""
    if strips_like_phi3(vocabulary):
        return name if FUNCTIONAL.search(name) else f"{name} ({MARK})"
    return FUNCTIONAL.sub("Phi 3", name)


def strips_like_phi3(vocabulary: Vocabulary) -> bool:
    """Whether its special tokens swallow white space, and llama.cpp's rule for Phi-3 says so of the same tokens."""
    texts = {token.text for token in vocabulary.words.tokens}
    cut_out = (Kind.CONTROL, Kind.USER_DEFINED, Kind.UNKNOWN)
    special = {token.text for token in vocabulary.words.tokens if token.kind in cut_out}
    strips = vocabulary.strips_after & texts
    return bool(strips) and texts >= NEEDED and strips - {"</s>"} == special - NEEDED
