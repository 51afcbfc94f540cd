"""Whatever the tokenizers library raises arrives as one error."""

import pytest

from carryon.convert.vocabularies.library import Unusable, built, library_errors

WORDS = {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}


def test_parts_that_are_left_out_are_filled_in():
    assert built({"model": WORDS, "added_tokens": [{"id": 1, "content": "<s>"}]}).encode("<s>a").ids == [1, 0]


def test_a_refusal_and_a_panic_are_the_same_to_us():
    with pytest.raises(Unusable):
        built({"model": {"type": "OfTheFuture"}})
    with pytest.raises(Unusable):  # an empty table makes the library panic, which is no Exception
        built({"model": WORDS, "normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}})


def test_a_person_can_still_interrupt():
    with pytest.raises(KeyboardInterrupt), library_errors():
        raise KeyboardInterrupt
