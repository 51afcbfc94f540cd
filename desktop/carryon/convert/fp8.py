"""Models stored in 8-bit floats (FP8): each weight with its scales becomes float32 as its rows are read.

A weight is its 8-bit value times a scale: one for each block of 128 x 128 (DeepSeek-V3, '_scale_inv'), for each row or
for the whole matrix ('_scale'). The 8-bit form: 'FP8 Formats for Deep Learning', arxiv.org/abs/2209.05433, E4M3.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.checkpoint import Checkpoint, Number, Rows, Source
from carryon.convert.config import Config
from carryon.convert.encode import Bytes, Floats, to_floats

SCALES = (Number.F32, Number.BF16, Number.F16, Number.F64, Number.F8_E8M0)
SUFFIXES = ("_scale_inv", "_scale")
# Scales of what flows through the model, which only matter to programs that compute in 8 bits.
OF_ACTIVATIONS = re.compile(r"\.(input_scale|input_scale_ub|activation_scale|activation_scale_inv|[qkv]_scale)$")
GROWN = "The model is stored in 8 bits for each number; as BF16 or F16 the file is twice as large and not better."


def _e4m3_values() -> Floats:
    """The value of each of the 256 bytes: a sign, 4 bits of exponent (bias 7), 3 of fraction; 0x7F is no number."""
    codes = np.arange(256)
    exponent, fraction = (codes >> 3) & 15, codes & 7
    size = np.where(exponent == 0, fraction * 2.0**-9, (8 + fraction) * 2.0 ** (exponent - 10.0))
    size[codes & 127 == 127] = np.nan
    return np.where(codes < 128, size, -size).astype(np.float32)


E4M3 = _e4m3_values()


@dataclass(frozen=True)
class Dequantized:
    """A weight in 8-bit floats as a source of float32; `height` and `width` are the size of a block with one scale."""

    weight: Source
    scale: Source
    height: int
    width: int

    @property
    def name(self) -> str:
        return self.weight.name

    @property
    def number(self) -> Number:
        return Number.F32

    @property
    def shape(self) -> tuple[int, ...]:
        return self.weight.shape

    @property
    def n_values(self) -> int:
        return self.weight.n_values

    @property
    def file(self) -> Path:
        return self.weight.file

    @property
    def offset_bytes(self) -> int:
        return self.weight.offset_bytes

    def rows(self, which: Rows) -> Bytes:
        """float32 rows as bytes, (n_rows, 4 x width)."""
        values = E4M3[self.weight.rows(which)]
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is counted as it is written
            values *= self._scales(which)
        return values.view(np.uint8)

    def _scales(self, which: Rows) -> Floats:
        """A factor for each value of these rows, or for each row."""
        n_rows, width = self.weight.shape[-2:]
        numbers = _numbers(which, math.prod(self.weight.shape[:-1]))
        per_matrix = -(-n_rows // self.height)
        places = numbers // n_rows * per_matrix + numbers % n_rows // self.height
        factors = _all_floats(self.scale).reshape(-1, -(-width // self.width))[places]
        return factors if factors.shape[1] == 1 else np.repeat(factors, self.width, axis=1)[:, :width]


def is_fp8(checkpoint: Checkpoint) -> bool:
    """Whether a weight is stored in 8-bit floats."""
    return any(source.number is Number.F8_E4M3 for source in checkpoint.tensors.values())


def dequantized(checkpoint: Checkpoint) -> Checkpoint:
    """The same checkpoint with every weight in 8-bit floats behind its scales, which are tensors no more.

    One without such weights is returned as it is. Raises BadFile for a weight whose scales are missing or do not fit.
    """
    if not is_fp8(checkpoint):
        return checkpoint
    block = _block_size(checkpoint.config)
    tensors = {name: source for name, source in checkpoint.tensors.items() if not OF_ACTIVATIONS.search(name)}
    weights = {name: source for name, source in tensors.items() if source.number is Number.F8_E4M3}
    scales = {name: scale_name(name, tensors) for name in weights}
    used = set(scales.values())
    kept = {name: source for name, source in tensors.items() if name not in used}
    bound = {name: _bound(source, tensors[scales[name]], block) for name, source in weights.items()}
    return replace(checkpoint, tensors={**kept, **bound})


def scale_name(weight: str, tensors: Mapping[str, Source]) -> str:
    """What the scales of a weight are called here. Raises BadFile if there are none."""
    for suffix in SUFFIXES:
        if weight + suffix in tensors:
            return weight + suffix
    raise BadFile(f"The 8-bit weight {weight} has no scales.", DOWNLOAD_AGAIN)


def _block_size(config: Config) -> tuple[int, int] | None:
    size = config.section("quantization_config").values.get("weight_block_size")
    if size is None:
        size = _block_of_groups(config.section("quantization_config").values.get("config_groups"))
    match size:
        case None:
            return None
        case [int() as height, int() as width] if 0 < height < 2**31 and 0 < width < 2**31:
            return height, width
        case _:
            raise BadFile(f"config.json says weight_block_size = {str(size)[:40]}, which cannot be.", DOWNLOAD_AGAIN)


def _block_of_groups(groups: Any) -> Any:
    """Where compressed-tensors says it: in one of several groups of weights that are treated alike."""
    match groups:
        case {"group_0": {"weights": {"block_structure": block}}}:
            return block
        case _:
            return None


def _bound(weight: Source, scale: Source, block: tuple[int, int] | None) -> Dequantized:
    """The weight with its scales, after looking that they fit: blocks, rows, or one for all."""
    if len(weight.shape) < 2:
        raise BadFile(f"{weight.name} is stored in 8 bits, but is no matrix.", DOWNLOAD_AGAIN)
    if scale.number not in SCALES:
        raise Unsupported(f"{scale.name} is stored as {scale.number.name}, which no scale is.", LOOK_FOR_GGUF)
    *outer, n_rows, width = weight.shape
    sizes = [(n_rows, width), (1, width)] if block is None else [block]
    for height, across in sizes:
        shape = (*outer, -(-n_rows // height), -(-width // across))
        if _without_ones(scale.shape) == _without_ones(shape):
            return Dequantized(weight, scale, height, across)
    raise BadFile(f"{scale.name} has a shape that does not fit {weight.name}.", DOWNLOAD_AGAIN)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for length in shape if length != 1)


def _numbers(which: Rows, n_rows: int) -> NDArray[np.intp]:
    return np.arange(*which.indices(n_rows)) if isinstance(which, slice) else which


def _all_floats(source: Source) -> Floats:
    """Scales are at most a 32nd of their weights' bytes (blocks) or one for each row, so they are read whole."""
    rows = source.rows(slice(None)).reshape(-1)
    if source.number is Number.F8_E8M0:  # a power of two: the byte is its exponent, 127 stands for 0
        return np.ldexp(np.float32(1), rows.astype(np.int32) - 127)
    return to_floats(rows, source.number)
