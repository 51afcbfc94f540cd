"""Numbers from one storage form to another, a block of rows at a time, bit for bit as ggml's reference code does it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import Unsupported
from carryon.convert.advice import TAKE_ORIGINAL
from carryon.convert.checkpoint import Number
from carryon.convert.forms import GgmlType

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

Q8_VALUES = 32  # values in one Q8_0 block, stored as one f16 scale and 32 signed bytes
NEARLY_HALF = np.float32(0.49999997)  # largest float32 below 0.5: adding it and cutting rounds half away from zero


def encode(rows: Bytes, number: Number, target: GgmlType) -> Bytes:
    """Rows of one tensor (bytes in `number` form) as `target` rows. Equal forms are copied, not recomputed.

    Raises FloatingPointError when a value is too large for `target`.
    """
    if SAME.get(number) is target:
        return rows
    floats = to_floats(rows, number)
    with np.errstate(over="raise", invalid="ignore"):
        return ENCODERS[target](floats)


def is_finite(rows: Bytes, number: Number) -> bool:
    """Whether no value is infinite or NaN: either has every bit of its exponent set."""
    layout, exponent = EXPONENTS.get(number, ("<u1", None))
    if exponent is None:
        return True
    bits = np.ascontiguousarray(rows).view(layout)
    return not bool(np.any((bits & exponent) == exponent))


def to_floats(rows: Bytes, number: Number) -> Floats:
    """Rows of bytes as float32. Raises Unsupported for anything but floating point numbers."""
    if number is Number.BF16:
        return _from_bf16(np.ascontiguousarray(rows).view("<u2"))
    if number not in FLOAT_VIEWS:
        raise Unsupported(
            f"The model's weights are stored as {number.name}: it is a compressed copy.",
            TAKE_ORIGINAL,
        )
    return np.ascontiguousarray(rows).view(FLOAT_VIEWS[number]).astype(np.float32)


def to_bf16(floats: Floats) -> Bytes:
    """Rounds to nearest, ties to even; a NaN stays a quiet NaN (ggml_compute_fp32_to_bf16)."""
    bits = np.ascontiguousarray(floats).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    is_nan = (bits & 0x7FFFFFFF) > 0x7F800000
    return np.where(is_nan, (bits >> 16) | 64, rounded).astype("<u2").view(np.uint8)


def to_q8_0(floats: Floats) -> Bytes:
    """Blocks of 32 signed bytes and one f16 scale (quantize_row_q8_0_ref). The last axis is a multiple of 32."""
    blocks = np.ascontiguousarray(floats).reshape(-1, Q8_VALUES)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(scale == 0, np.float32(0), np.float32(1) / scale)
        steps = blocks * inverse
    steps += np.copysign(NEARLY_HALF, steps)
    out = np.empty((len(blocks), 2 + Q8_VALUES), np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8)
    out[:, 2:] = steps.astype(np.int8).view(np.uint8)
    return out.reshape(len(floats), -1)


def _from_bf16(halves: NDArray[np.uint16]) -> Floats:
    """A bfloat16 is the upper half of a float32."""
    wide = np.zeros((*halves.shape, 2), "<u2")
    wide[..., 1] = halves
    return wide.view("<f4")[..., 0]


FLOAT_VIEWS = {Number.F64: "<f8", Number.F32: "<f4", Number.F16: "<f2"}
EXPONENTS = {
    Number.F64: ("<u8", np.uint64(0x7FF0_0000_0000_0000)),
    Number.F32: ("<u4", np.uint32(0x7F80_0000)),
    Number.F16: ("<u2", np.uint16(0x7C00)),
    Number.BF16: ("<u2", np.uint16(0x7F80)),
}
SAME = {Number.F32: GgmlType.F32, Number.F16: GgmlType.F16, Number.BF16: GgmlType.BF16}
ENCODERS: dict[GgmlType, Callable[[Floats], Bytes]] = {
    GgmlType.F32: lambda floats: np.ascontiguousarray(floats).view(np.uint8),
    GgmlType.F16: lambda floats: floats.astype("<f2").view(np.uint8),
    GgmlType.BF16: to_bf16,
    GgmlType.Q8_0: to_q8_0,
}
