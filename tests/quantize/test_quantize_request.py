"""Names of types, and the way of a request to the process that does it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carryon.base.errors import BadInput
from carryon.gguf.recipes import FILE_TYPES
from carryon.quantize.kinds import FRONT, OFFERED, STORAGE, quant_of, storage_of
from carryon.quantize.request import Fallback, Override, QuantSize, Wish, size_json, size_of, wish_json, wish_of

TEXTS = st.text(max_size=20)
OVERRIDES = st.lists(st.builds(Override, TEXTS, st.sampled_from(STORAGE)), max_size=3).map(tuple)
WISHES = st.builds(
    Wish, st.sampled_from(OFFERED), st.none() | st.just(Path("a b.gguf")), st.booleans(),
    st.sampled_from(("", *STORAGE)), st.sampled_from(("", *STORAGE)), OVERRIDES, st.booleans(),
    st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple),
)  # fmt: skip
SIZES = st.builds(
    QuantSize, st.sampled_from(OFFERED), st.integers(0, 1 << 60), st.floats(0, 32),
    st.lists(st.builds(Fallback, TEXTS, TEXTS, TEXTS)).map(tuple), st.booleans(), st.booleans(),
)  # fmt: skip


def test_all_types_of_the_engine_are_offered_the_usual_ones_first():
    assert OFFERED[:4] == FRONT == ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")
    assert sorted(OFFERED) == sorted(FILE_TYPES)


@pytest.mark.parametrize(("said", "meant"), [
    ("q4_k_m", "Q4_K_M"), (" Q4_K ", "Q4_K_M"), ("q5-k", "Q5_K_M"), ("iq2_xs", "IQ2_XS"), ("mxfp4", "MXFP4_MOE"),
])  # fmt: skip
def test_a_type_is_known_by_what_people_call_it(said, meant):
    assert quant_of(said) == meant


@pytest.mark.parametrize("said", ["", "Q9", "Q4_K_XL", "COPY", "q4\0"])
def test_what_is_no_type_is_refused_with_a_list(said):
    with pytest.raises(BadInput) as error:
        quant_of(said)
    assert "Q4_K_M, Q5_K_M, Q6_K, Q8_0" in error.value.hint


@pytest.mark.parametrize("said", ["Q4_K_M", "Q8_1", "I32", "Q8_K", "F64", "NVFP4"])
def test_what_a_tensor_cannot_be_is_refused(said):
    with pytest.raises(BadInput):
        storage_of(said)


@given(WISHES)
def test_a_wish_arrives_as_it_was(wish):
    assert wish_of(json.loads(json.dumps(wish_json(wish)))) == wish


@given(SIZES)
def test_a_size_arrives_as_it_was(size):
    assert size_of(json.loads(json.dumps(size_json(size)))) == size


def test_a_name_is_anchored():
    assert Override("output", "Q8_0").anchored == r"^(?:output)(?:\.weight)?$"
