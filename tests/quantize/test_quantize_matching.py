"""An importance matrix of another model is refused, and the reason is a sentence."""

import numpy as np
import pytest

from carryon.base.errors import BadInput
from carryon.quantize.imatrix_file import Entry, Importance
from carryon.quantize.matching import Matrix, check_match

NAMES = [f"blk.{layer}.{kind}.weight" for layer in range(2) for kind in ("attn_q", "ffn_up")]


def importance(names=NAMES, columns=8):
    ones = Entry(np.ones((1, columns), np.float32), np.ones(1, np.float32))
    return Importance(dict.fromkeys(names, ones))


def matrices(names=NAMES, needs=(), shape=(8, 4)):
    every = {name: Matrix(name, shape, True, name in needs) for name in names}
    return {**every, "output.weight": Matrix("output.weight", (8, 99), True, False)}


def refusal(*asked):
    with pytest.raises(BadInput) as error:
        check_match(*asked, "m.imatrix")
    assert error.value.hint
    return error.value.message


def test_what_fits_needs_no_word():
    assert check_match(importance(), matrices(), "m.imatrix") == ""


def test_one_of_another_width_is_refused():
    assert "another model's: it has 16 values for “blk.0.attn_q.weight”, where this one has 8" in refusal(
        importance(columns=16), matrices()
    )


def test_one_of_more_layers_is_refused():
    assert "it knows “blk.7.attn_q.weight”, and this one has none" in refusal(
        importance([*NAMES, "blk.7.attn_q.weight"]), matrices()
    )


def test_one_of_far_fewer_layers_is_refused():
    assert "covers only 1 of 4 matrices" in refusal(importance(NAMES[:1]), matrices())


def test_a_gap_is_told():
    assert check_match(importance(NAMES[:3]), matrices(), "m") == (
        "The importance matrix says nothing about “blk.1.ffn_up.weight”."
    )


def test_a_gap_where_the_type_cannot_do_without_is_refused():
    assert "says nothing about “blk.1.ffn_up.weight”, and this type cannot do without" in refusal(
        importance(NAMES[:3]), matrices(needs=NAMES)
    )


def test_experts_have_a_value_for_each_column_of_each():
    assert check_match(importance(columns=32), matrices(shape=(8, 5, 4)), "m.imatrix") == ""
    assert "has 32 values" in refusal(importance(columns=32), matrices(shape=(8, 5, 2)))
