"""Every storage form equals gguf's reference code bit for bit, whatever the numbers."""

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from model_folders import stored

from carryon.base.errors import Unsupported
from carryon.convert.checkpoint import Number
from carryon.convert.encode import STEP_VALUES, encode, is_finite, to_floats
from carryon.convert.forms import GgmlType, OutType

FORMS = [one.ggml for one in OutType]
SOURCES = [Number.F32, Number.F16, Number.BF16]


def as_bytes(values):
    return np.ascontiguousarray(values).view(np.uint8)


def reference(floats, form):
    return as_bytes(gguf.quants.quantize(floats, GGMLQuantizationType(form)))


def gaussian(shape=(64, 96), seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("number", SOURCES, ids=lambda number: number.name)
def test_every_source_in_every_form_equals_the_reference(number, form):
    rows = as_bytes(stored(gaussian(), number.name))
    assert np.array_equal(encode(rows, number, form).content, reference(to_floats(rows, number), form))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("number", SOURCES, ids=lambda number: number.name)
def test_steps_of_the_work_leave_no_seam(number, form):
    values = gaussian((9, 32 * 1001))
    assert values.size > 2 * STEP_VALUES
    rows = as_bytes(stored(values, number.name))
    assert np.array_equal(encode(rows, number, form).content, reference(to_floats(rows, number), form))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # gguf's own, where a scale is too small for its inverse
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@settings(max_examples=60, deadline=None)
@given(values=arrays(np.float32, (2, 64), elements=st.floats(-6e4, 6e4, width=32, allow_subnormal=False)))
def test_no_float_is_rounded_differently(form, values):
    assert np.array_equal(encode(as_bytes(values), Number.F32, form).content, reference(values, form))


def test_halves_round_away_from_zero_in_q8_0():
    """127 in a block makes the scale 1, so these values lie exactly between two steps."""
    block = np.array([[127, 0.5, -0.5, 1.5, 126.5, -126.5, 0.49999997] + [0] * 25], np.float32)
    steps = encode(as_bytes(block), Number.F32, GgmlType.Q8_0).content[0, 2:].view(np.int8)
    assert steps[:7].tolist() == [127, 1, -1, 2, 127, -127, 0]


def test_a_block_of_zeros_stays_zero_in_q8_0():
    assert not encode(as_bytes(np.zeros((2, 32), np.float32)), Number.F32, GgmlType.Q8_0).content.any()


def test_ties_go_to_even_and_nan_stays_nan_in_bf16():
    bits = np.array([[0x3F808000, 0x3F818000, 0x7F800001, 0xFFC00000]], np.uint32)
    halves = encode(bits.view(np.uint8), Number.F32, GgmlType.BF16).content.view(np.uint16)[0]
    assert halves.tolist() == [0x3F80, 0x3F82, 0x7FC0, 0xFFC0]


def test_equal_forms_are_copied_even_where_they_hold_no_number():
    rows = np.arange(256, dtype=np.uint8).reshape(2, 128)
    assert encode(rows, Number.BF16, GgmlType.BF16).content is rows


@pytest.mark.parametrize(
    ("form", "value"), [(GgmlType.F16, 70_000.0), (GgmlType.Q8_0, 1e7), (GgmlType.BF16, np.finfo(np.float32).max)]
)
def test_a_number_too_large_is_an_error_and_not_an_infinity(form, value):
    with pytest.raises(FloatingPointError):
        encode(as_bytes(np.full((1, 32), value, np.float32)), Number.F32, form)


def test_whole_numbers_are_a_compressed_copy():
    with pytest.raises(Unsupported, match="compressed copy"):
        to_floats(np.zeros((2, 8), np.uint8), Number.I8)


def test_f64_is_read_too():
    assert to_floats(as_bytes(np.array([[1.5, -2.0]])), Number.F64).tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize("number", [*SOURCES, Number.F64], ids=lambda number: number.name)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_a_number_is_seen(number, value):
    values = gaussian((2, 8))
    assert is_finite(as_bytes(stored(values, number.name)), number)
    values[1, 3] = value
    assert not is_finite(as_bytes(stored(values, number.name)), number)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("number", [*SOURCES, Number.F64], ids=lambda number: number.name)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_a_number_is_told_with_the_rows(form, number, value):
    values = gaussian((2, 64))
    assert encode(as_bytes(stored(values, number.name)), number, form).is_finite
    values[1, 3] = value
    encoded = encode(as_bytes(stored(values, number.name)), number, form)
    assert not encoded.is_finite
    with np.errstate(invalid="ignore"):
        whole = gguf.quants.dequantize(encoded.content, GGMLQuantizationType(form))
    assert np.isfinite(whole[0]).all()
    assert not np.isfinite(whole[1, 3])


@pytest.mark.parametrize("form", [GgmlType.F16, GgmlType.BF16, GgmlType.Q8_0])
def test_a_number_too_large_is_found_beside_one_that_is_none(form):
    values = np.full((1, 64), np.finfo(np.float32).max, np.float32)
    values[0, 0] = np.nan
    with pytest.raises(FloatingPointError):
        encode(as_bytes(values), Number.F32, form)


def test_a_double_too_large_for_a_float_is_an_error():
    with pytest.raises(FloatingPointError):
        encode(as_bytes(np.full((1, 32), 1e300)), Number.F64, GgmlType.F32)


def test_bytes_without_exponents_are_always_finite():
    assert is_finite(np.full((2, 8), 255, np.uint8), Number.U8)
