"""A model folder in, one GGUF file out, in constant memory: each tensor streams through in blocks of rows."""

import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from carryon.base.errors import NoRoom, Unsupported
from carryon.base.files import whole_file
from carryon.base.jobs import Progress
from carryon.base.units import bytes_text
from carryon.convert.checkpoint import Checkpoint, Number, open_checkpoint
from carryon.convert.encode import Bytes, encode, is_finite, to_floats
from carryon.convert.families import plan_of
from carryon.convert.forms import GgmlType, OutType
from carryon.convert.plan import Computed, FamilyPlan, Made, Packed, Stored, Tensor, n_rows
from carryon.convert.sampling import sampling_settings
from carryon.convert.tokenizer import read_vocabulary
from carryon.convert.write import Setting, TensorInfo, header_bytes, padding

BLOCK_VALUES = 1 << 20  # about 10 ms of work and a few megabytes for a block
NEWS_EVERY_S = 0.05
SYNC_EVERY_BYTES = 16_000_000
QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION
ALWAYS_F32 = (
    *("_norm.weight", ".ffn_gate_inp.weight", ".ffn_gate_inp_shexp.weight"),
    *("position_embd.weight", "token_types.weight"),
)


@dataclass(frozen=True)
class Converted:
    """A finished GGUF file, and what a person should know about it."""

    path: Path
    size_bytes: int
    n_tensors: int
    out_type: OutType
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """All decisions taken, nothing read or written yet but headers."""

    header: bytes
    tensors: Sequence[tuple[TensorInfo, Tensor]]
    warnings: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        sizes = (info.size_bytes for info, _ in self.tensors)
        return len(self.header) + sum(size + padding(size) for size in sizes)


def convert(
    source_folder: Path, target: Path, out_type: OutType, name: str = ""
) -> Generator[Progress | None, None, Converted]:
    """Work that writes `source_folder` as a GGUF file called `name` inside; progress is in bytes written.

    Raises BadFile, Unsupported or NoRoom before it writes. The target appears whole or not at all.
    """
    checkpoint = open_checkpoint(source_folder)
    yield None
    recipe = prepare(checkpoint, out_type, name)
    yield Progress(0, recipe.size_bytes)
    _check_room(target, recipe.size_bytes)
    broken: Counter[str] = Counter()
    with whole_file(target) as out:
        out.write(recipe.header)
        done, told_s, unsynced_bytes = len(recipe.header), time.monotonic(), 0
        for info, piece in _pieces(recipe, broken):
            out.write(piece)
            done += len(piece)
            unsynced_bytes = _synced(out, unsynced_bytes + len(piece))
            is_due = time.monotonic() - told_s >= NEWS_EVERY_S
            told_s = time.monotonic() if is_due else told_s
            yield Progress(done, recipe.size_bytes, info.name) if is_due else None
    return Converted(target, done, len(recipe.tensors), out_type, (*recipe.warnings, *_broken_warning(broken)))


def prepare(checkpoint: Checkpoint, out_type: OutType, name: str = "") -> Recipe:
    """Everything that can be known without reading weights. Raises BadFile or Unsupported."""
    plan = plan_of(checkpoint)
    vocabulary = read_vocabulary(checkpoint.folder, checkpoint.config, plan.n_vocab)
    tensors = [(TensorInfo(one.name, one.shape, _form(one, out_type)), one) for one in plan.tensors]
    infos = [info for info, _ in tensors]
    general = {**_general(name or checkpoint.name, plan, out_type), **sampling_settings(checkpoint.folder)}
    settings = {**general, **plan.settings, **vocabulary.settings()}
    warnings = (*plan.warnings, *vocabulary.warnings, *_odd_widths(infos, out_type))
    return Recipe(header_bytes(settings, infos), tensors, warnings)


def form_of(name: str, shape: tuple[int, ...], out_type: OutType) -> GgmlType:
    """The form of one tensor: vectors, norms, routers and positions stay F32; rows that no block fits become F16."""
    if len(shape) <= 1 or not name.endswith(".weight") or name.endswith(ALWAYS_F32):
        return GgmlType.F32
    return out_type.ggml if shape[-1] % out_type.ggml.values_in_block == 0 else GgmlType.F16


def _form(tensor: Tensor, out_type: OutType) -> GgmlType:
    return tensor.form if isinstance(tensor, Packed) else form_of(tensor.name, tensor.shape, out_type)


def size_label(n_values: int) -> str:
    """'1.2B', '135M', '5.2M': how large a model is, in the words of general.size_label."""
    for step, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if n_values >= step:
            count = n_values / step
            return f"{count:.0f}{letter}" if count >= 10 else f"{count:.1f}{letter}"
    return f"{n_values / 1e3:.0f}K"


def _general(name: str, plan: FamilyPlan, out_type: OutType) -> dict[str, Setting]:
    return {
        "general.architecture": plan.architecture,
        "general.type": "model",
        "general.name": name,
        "general.size_label": size_label(sum(math.prod(tensor.shape) for tensor in plan.tensors)),
        "general.file_type": out_type.file_type,
        "general.quantization_version": QUANTIZATION_VERSION,
    }


def _check_room(target: Path, size_bytes: int) -> None:
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < size_bytes:
        raise NoRoom(
            f"The file needs {bytes_text(size_bytes)}, but {folder} has only {bytes_text(free_bytes)} free.",
            "Free some space, choose a smaller type, or choose another folder.",
        )


def _synced(out: BinaryIO, unsynced_bytes: int) -> int:
    """Syncs as it goes: one sync of a whole model at the end could take minutes in which nobody could cancel."""
    if unsynced_bytes < SYNC_EVERY_BYTES:
        return unsynced_bytes
    out.flush()
    os.fsync(out.fileno())
    return 0


def _pieces(recipe: Recipe, broken: Counter[str]) -> Iterator[tuple[TensorInfo, memoryview]]:
    for info, tensor in recipe.tensors:
        for block in _blocks(info, tensor, broken):
            yield info, np.ascontiguousarray(block).reshape(-1).data
        if padding(info.size_bytes):
            yield info, memoryview(bytes(padding(info.size_bytes)))


def _blocks(info: TensorInfo, tensor: Tensor, broken: Counter[str]) -> Iterator[Bytes]:
    match tensor:
        case Made():
            yield tensor.values.view(np.uint8)
        case Packed():
            yield from tensor.blocks()
        case Computed():
            for floats in tensor.blocks():
                yield _encoded(np.ascontiguousarray(floats).view(np.uint8), Number.F32, info, tensor.name, broken)
        case Stored():
            yield from _stored_blocks(info, tensor, broken)


def _stored_blocks(info: TensorInfo, tensor: Stored, broken: Counter[str]) -> Iterator[Bytes]:
    for part in tensor.parts:
        step = max(1, BLOCK_VALUES * n_rows(part.source.shape) // max(1, part.source.n_values))
        for start in range(0, part.n_rows, step):
            rows, number = part.read(start, min(start + step, part.n_rows)), part.source.number
            if tensor.plus_one:
                rows, number = (to_floats(rows, number) + np.float32(1)).view(np.uint8), Number.F32
            yield _encoded(rows, number, info, part.source.name, broken)


def _encoded(rows: Bytes, number: Number, info: TensorInfo, source_name: str, broken: Counter[str]) -> Bytes:
    if not is_finite(rows, number):
        broken[info.name] += 1
    try:
        return encode(rows, number, info.form)
    except FloatingPointError as error:
        raise Unsupported(
            f"{source_name} holds numbers that are too large for {info.form.name}.",
            "Convert to BF16 or F32 instead.",
        ) from error


def _odd_widths(infos: Sequence[TensorInfo], out_type: OutType) -> Iterator[str]:
    odd = [info.name for info in infos if info.form is GgmlType.F16 and out_type is not OutType.F16]
    if odd:
        yield f"{len(odd)} tensors have rows that {out_type.name} cannot hold and are stored as F16, such as {odd[0]}."


def _broken_warning(broken: Counter[str]) -> Iterator[str]:
    if broken:
        names = list(broken)
        yield f"{len(names)} tensors hold values that are not numbers, such as {names[0]}: it may answer nonsense."
