"""Numbers from one storage form to another, a block of rows at a time, bit for bit as ggml's reference code does it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import Unsupported
from carryon.convert.advice import TAKE_ORIGINAL
from carryon.convert.checkpoint import Number
from carryon.convert.forms import GgmlType

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
HalfFloats = NDArray[np.float16]

STEP_VALUES = 1 << 17  # what a step touches stays in the processor's second cache; smaller ones make threads wait
Q8_VALUES = 32  # values in one Q8_0 block, stored as one f16 scale and 32 signed bytes
NEARLY_HALF = np.float32(0.49999997)  # largest float32 below 0.5: adding it and cutting rounds half away from zero
SIGN, MAGNITUDE = np.uint32(0x8000_0000), np.uint32(0x7FFF_FFFF)  # of a float32's bits


@dataclass(frozen=True)
class Encoded:
    """Rows in their new form, and whether every value of theirs is a number."""

    content: Bytes
    is_finite: bool


@dataclass(frozen=True)
class Halves:
    """How float16 values are made and read: from the first array into the second, of the same shape.

    A process that has ggml at hand passes in ggml's own loops, which take a tenth of the time and give the same bits.
    """

    narrow: Callable[[Floats, HalfFloats], None]
    widen: Callable[[HalfFloats, Floats], None]


def _cast(source: NDArray[np.floating], target: NDArray[np.floating]) -> None:
    target[...] = source


BY_NUMPY = Halves(_cast, _cast)


def encode(rows: Bytes, number: Number, target: GgmlType, halves: Halves = BY_NUMPY) -> Encoded:
    """Rows of one tensor (bytes in `number` form) as `target` rows. Equal forms are copied, not recomputed.

    Raises FloatingPointError when a number is too large for `target`.
    """
    if SAME.get(number) is target:
        return Encoded(rows, is_finite(rows, number))
    source = np.ascontiguousarray(rows).reshape(-1)
    n_values, encoder, finite = source.size // number.size_bytes, ENCODERS[target], True
    content = np.empty(target.size_bytes(n_values), np.uint8)
    with np.errstate(over="raise", invalid="ignore", divide="ignore"):
        for start in range(0, n_values, STEP_VALUES):
            stop = min(start + STEP_VALUES, n_values)
            floats = to_floats(source[start * number.size_bytes : stop * number.size_bytes], number, halves)
            finite &= encoder(floats, content[target.size_bytes(start) : target.size_bytes(stop)], halves)
    return Encoded(content.reshape(len(rows), content.size // max(len(rows), 1)), finite)


def is_finite(rows: Bytes, number: Number) -> bool:
    """Whether no value is infinite or NaN: either has every bit of its exponent set."""
    layout, exponent = EXPONENTS.get(number, ("<u1", None))
    if exponent is None:
        return True
    bits = np.ascontiguousarray(rows).view(layout).reshape(-1)
    return not any(
        np.any((bits[start : start + STEP_VALUES] & exponent) == exponent) for start in range(0, bits.size, STEP_VALUES)
    )


def to_floats(rows: Bytes, number: Number, halves: Halves = BY_NUMPY) -> Floats:
    """Rows of bytes as float32. Raises Unsupported for anything but floating point numbers."""
    match number:
        case Number.BF16:
            return _from_bf16(np.ascontiguousarray(rows).view("<u2"))
        case Number.F16:
            values = np.ascontiguousarray(rows).view("<f2")
            floats = np.empty(values.shape, np.float32)
            halves.widen(values, floats)
            return floats
        case Number.F32 | Number.F64:
            return np.ascontiguousarray(rows).view(FLOAT_VIEWS[number]).astype(np.float32, copy=False)
        case _:
            raise Unsupported(
                f"The model's weights are stored as {number.name}: it is a compressed copy.", TAKE_ORIGINAL
            )


def _from_bf16(halves: NDArray[np.uint16]) -> Floats:
    """A bfloat16 is the upper half of a float32."""
    return np.left_shift(halves, 16, dtype=np.uint32).view(np.float32)


def _to_f32(floats: Floats, out: Bytes, _halves: Halves) -> bool:
    out[:] = floats.view(np.uint8)
    return is_finite(out, Number.F32)


def _to_f16(floats: Floats, out: Bytes, halves: Halves) -> bool:
    halves.narrow(floats, out.view(np.float16))
    return is_finite(out, Number.F16) or _was_broken(floats, np.isfinite(out.view(np.float16)))


def _to_bf16(floats: Floats, out: Bytes, _halves: Halves) -> bool:
    """Rounds to nearest, ties to even; a NaN stays a quiet NaN (ggml_compute_fp32_to_bf16)."""
    bits, target = floats.view(np.uint32), out.view(np.uint16)
    rounded = bits >> 16
    rounded &= 1
    rounded += 0x7FFF
    rounded += bits
    rounded >>= 16
    target[:] = rounded
    if is_finite(out, Number.BF16):
        return True
    is_nan = np.isnan(floats)
    target[is_nan] = (bits[is_nan] >> 16) | 64
    return _was_broken(floats, np.isfinite(_from_bf16(target)))


def _to_q8_0(floats: Floats, out: Bytes, _halves: Halves) -> bool:
    """Blocks of 32 signed bytes and one f16 scale (quantize_row_q8_0_ref)."""
    blocks, packed = floats.reshape(-1, Q8_VALUES), out.reshape(-1, 2 + Q8_VALUES)
    largest = floats.view(np.uint32) & MAGNITUDE  # without their signs, floats are ordered as their bits are
    while largest.size > len(blocks):
        largest = np.maximum(largest[::2], largest[1::2])
    scale = largest.view(np.float32)[:, np.newaxis] / np.float32(127)
    packed[:, :2] = scale.astype("<f2").view(np.uint8)
    with np.errstate(over="ignore"):
        steps = blocks * np.where(scale == 0, np.float32(0), np.float32(1) / scale)
        steps += ((steps.view(np.uint32) & SIGN) | NEARLY_HALF.view(np.uint32)).view(np.float32)
    packed[:, 2:].view(np.int8)[...] = steps
    return bool(np.isfinite(scale).all())


def _was_broken(floats: Floats, is_number: NDArray[np.bool_]) -> bool:
    """False: there were values before that are no numbers. Raises FloatingPointError where a number became one."""
    if np.any(np.isfinite(floats) & ~is_number):
        raise FloatingPointError("a number is too large for its form")
    return False


FLOAT_VIEWS = {Number.F64: "<f8", Number.F32: "<f4"}
EXPONENTS = {
    Number.F64: ("<u8", np.uint64(0x7FF0_0000_0000_0000)),
    Number.F32: ("<u4", np.uint32(0x7F80_0000)),
    Number.F16: ("<u2", np.uint16(0x7C00)),
    Number.BF16: ("<u2", np.uint16(0x7F80)),
}
SAME = {Number.F32: GgmlType.F32, Number.F16: GgmlType.F16, Number.BF16: GgmlType.BF16}
ENCODERS: dict[GgmlType, Callable[[Floats, Bytes, Halves], bool]] = {
    GgmlType.F32: _to_f32,
    GgmlType.F16: _to_f16,
    GgmlType.BF16: _to_bf16,
    GgmlType.Q8_0: _to_q8_0,
}
