"""Whether a GGUF file cuts text into the same tokens as the tokenizer that it was made from: tried, not believed."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.vocabularies.library import Unusable, built
from carryon.convert.vocabularies.probes import probes_of
from carryon.convert.vocabularies.sentencepiece import with_merges
from carryon.convert.vocabularies.tokenizer import Trial, piece_model_of, read_tokenizer, tokenizer_settings
from carryon.convert.vocabularies.vocabulary import Vocabulary
from carryon.convert.write import header_bytes
from carryon.worker.capi import L
from carryon.worker.vocabulary import Vocabulary as Loaded

ANY_ARCHITECTURE = "llama"  # of a file that is a vocabulary only, nothing else of the architecture is read
MOST_DIFFERING = 0.2  # a wrong name for the cuts makes a third and more differ; known limits concern one script or two
LONGEST_SHOWN = 40
FINISHED = "a"  # the text whose surroundings are looked at


class Original:
    """The tokenizer of a model folder as the tokenizers library runs it, with the texts to try it on."""

    def __init__(self, folder: Path) -> None:
        """Raises BadFile or Unsupported."""
        whole = with_merges(read_tokenizer(folder, tokenizer_settings(folder)), piece_model_of(folder))
        self.texts = probes_of(whole)
        self.finishes = whole.get("post_processor") is not None
        try:
            self._tokenizer = built(whole)
        except Unusable as error:
            raise Unsupported(f"The model's own tokenizer cannot be used: {error}.", LOOK_FOR_GGUF) from error

    def tokens(self, text: str, *, add_special: bool = False) -> list[int]:
        """Ids of a text; texts of special tokens in it become those tokens, as everywhere in tokenizers."""
        return list(self._tokenizer.encode(text, add_special_tokens=add_special).ids)


def n_probes(folder: Path) -> int:
    """How many texts `compared` tries for the model in this folder. Raises BadFile or Unsupported."""
    return len(Original(folder).texts)


def compared(gguf: Path, folder: Path) -> tuple[str, ...]:
    """The texts that a GGUF file cuts otherwise than the model in `folder` does; empty if all are alike.

    Raises BadFile or Unsupported if one of the two tokenizers cannot be loaded.
    """
    original = Original(folder)
    with _loaded(gguf) as words:
        return tuple(_differing(original, words))


def token_warnings(gguf: Path, folder: Path) -> tuple[str, ...]:
    """A sentence about texts that a written file cuts otherwise than the model in `folder`; none if all are alike.

    A few are what llama.cpp is known not to follow. Raises Unsupported if they are so many that answers would suffer,
    and BadFile or Unsupported if one of the two tokenizers cannot be loaded.
    """
    original = Original(folder)
    with _loaded(gguf) as words:
        differing = tuple(_differing(original, words))
    told = f"{len(differing)} of {len(original.texts)} test texts become other tokens than in the original model"
    if len(differing) > len(original.texts) * MOST_DIFFERING:
        raise Unsupported(f"The tokenizer did not come over right: {told}.", LOOK_FOR_GGUF)
    return (f"{told}, such as {differing[0][:LONGEST_SHOWN]!r}.",) if differing else ()


def trial_of(folder: Path, name: str = "") -> Trial:
    """For `convert.tokenizer.read_vocabulary`: how many texts a vocabulary would cut otherwise than this folder's.

    `name` is what the model will be called: llama.cpp strips white space after special tokens by it. The folder's own
    tokenizer is loaded by the first call; a trial with 150,000 tokens takes about a second.
    """
    originals: list[Original] = []

    def run(vocabulary: Vocabulary) -> int:
        originals[:] = originals or [Original(folder)]
        with tempfile.TemporaryDirectory(prefix="carryon-words-") as place:
            file = Path(place) / "words.gguf"
            general = {"general.architecture": ANY_ARCHITECTURE, "general.name": name}
            file.write_bytes(header_bytes({**general, **vocabulary.settings()}, []))
            try:
                with _loaded(file) as words:
                    return sum(1 for _ in _differing(originals[0], words))
            except BadFile:
                return len(originals[0].texts) + 1

    return run


@contextmanager
def _loaded(gguf: Path) -> Iterator[Loaded]:
    """The vocabulary of a file in the engine, without any weights. Raises BadFile."""
    parameters = L.llama_model_default_params()
    parameters.vocab_only = True
    handle = L.llama_model_load_from_file(os.fsencode(gguf), parameters)
    if not handle:
        raise BadFile(f"The engine cannot load the tokenizer of {gguf.name}.", "The log has the engine's reason.")
    try:
        yield Loaded(handle)
    finally:
        L.llama_model_free(handle)


def _differing(original: Original, words: Loaded) -> Iterator[str]:
    for text in original.texts:
        if original.tokens(text) != words.tokens(text, parse_special=True):
            yield text
    if original.finishes and _is_finished_otherwise(original, words):
        yield f"what stands around {FINISHED!r}"


def _is_finished_otherwise(original: Original, words: Loaded) -> bool:
    """Only one token on each side can be told to llama.cpp; where there are more, the chat template writes them."""
    plain, finished = original.tokens(FINISHED), original.tokens(FINISHED, add_special=True)
    is_possible = len(finished) <= len(plain) + 2
    return is_possible and finished != words.tokens(FINISHED, add_special=True)
