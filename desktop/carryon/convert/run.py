"""A model folder in, one GGUF file out, in constant memory: each tensor streams through in blocks of rows."""

import math
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from carryon import __version__
from carryon.base.errors import NoRoom
from carryon.base.files import disk_errors, whole_file
from carryon.base.jobs import Progress
from carryon.base.units import bytes_text
from carryon.convert.card import card_settings
from carryon.convert.checkpoint import Checkpoint, open_checkpoint
from carryon.convert.encode import BY_NUMPY, Halves
from carryon.convert.families import plan_of
from carryon.convert.forms import MXFP4_FILE_TYPE, GgmlType, OutType
from carryon.convert.plan import FamilyPlan, Packed, Tensor
from carryon.convert.provenance import Provenance, provenance_of
from carryon.convert.sampling import sampling_settings
from carryon.convert.stamp import stamp_of
from carryon.convert.streaming import Piece, pieces
from carryon.convert.syncing import Syncing
from carryon.convert.vocabularies.naming import functional_name
from carryon.convert.vocabularies.tokenizer import Trial, read_vocabulary
from carryon.convert.write import Setting, TensorInfo, header_bytes, padding

NEWS_EVERY_S = 0.05
CHECKING = "checking"  # the note of the progress while a written file is verified
QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION
ALWAYS_F32 = (
    *("_norm.weight", ".ffn_gate_inp.weight", ".ffn_gate_inp_shexp.weight"),
    *("position_embd.weight", "token_types.weight"),
)

Verify = Callable[[Path, int], Generator[Progress | None, None, tuple[str, ...]]]


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
    out_type: OutType = OutType.BF16

    @property
    def size_bytes(self) -> int:
        sizes = (info.size_bytes for info, _ in self.tensors)
        return len(self.header) + sum(size + padding(size) for size in sizes)


def _unverified(_path: Path, _n_tensors: int) -> Generator[Progress | None, None, tuple[str, ...]]:
    yield from ()
    return ()


@dataclass(frozen=True)
class Means:
    """What a conversion does with a recipe beside writing it.

    `check_source` raises BadFile when the source is no longer what the recipe was made from. `verify` is work that
    looks at the written file before it gets its name: it raises what is wrong and returns what should be known.
    """

    check_source: Callable[[], None] = lambda: None
    verify: Verify = _unverified
    halves: Halves = BY_NUMPY


def convert(
    source_folder: Path, target: Path, out_type: OutType, name: str = ""
) -> Generator[Progress | None, None, Converted]:
    """Work that writes `source_folder` as a GGUF file called `name` inside; progress is in bytes written.

    Raises BadFile, Unsupported or NoRoom before it writes. The target appears whole or not at all.
    """
    stamp = stamp_of(source_folder)
    checkpoint = open_checkpoint(source_folder)
    yield None
    return (yield from written(prepare(checkpoint, out_type, name), target, Means(stamp.check)))


def written(recipe: Recipe, target: Path, means: Means) -> Generator[Progress | None, None, Converted]:
    """Work that writes what was prepared. The target appears when everything is written and found right.

    Raises NoRoom, BadFile and Unsupported.
    """
    yield Progress(0, recipe.size_bytes)
    _check_room(target, recipe.size_bytes)
    broken: list[str] = []
    with whole_file(target) as out, _told_by(means.check_source):
        yield from _filling(out, recipe, means, broken)
        out.flush()
        means.check_source()
        yield Progress(recipe.size_bytes, recipe.size_bytes, CHECKING)
        found = yield from means.verify(part_of(target), len(recipe.tensors))
        means.check_source()
    warnings = (*recipe.warnings, *_broken_warning(broken), *found)
    return Converted(target, recipe.size_bytes, len(recipe.tensors), recipe.out_type, warnings)


@contextmanager
def _told_by(check_source: Callable[[], None]) -> Iterator[None]:
    """Whatever fails, a source that has changed meanwhile is the reason that is told."""
    try:
        yield
    except Exception:
        check_source()
        raise


def part_of(target: Path) -> Path:
    """Where a file lies until it is whole (carryon.base.files)."""
    return target.with_name(target.name + ".part")


def prepare(
    checkpoint: Checkpoint,
    out_type: OutType,
    name: str = "",
    provenance: Provenance | None = None,
    trial: Trial | None = None,
) -> Recipe:
    """Everything that can be known without reading weights; `trial` is for read_vocabulary.

    Raises BadFile or Unsupported.
    """
    plan = plan_of(checkpoint)
    vocabulary = read_vocabulary(checkpoint.words_folder, checkpoint.config, plan.n_vocab, trial)
    tensors = [(TensorInfo(one.name, one.shape, _form(one, out_type)), one) for one in plan.tensors]
    infos = [info for info, _ in tensors]
    general = _general(functional_name(name or checkpoint.name, vocabulary), plan, out_type)
    settings = {**general, **_said_of(checkpoint.folder, provenance), **plan.settings, **vocabulary.settings()}
    warnings = (*plan.warnings, *vocabulary.warnings, *_odd_widths(infos, out_type))
    return Recipe(header_bytes(settings, infos), tensors, warnings, out_type)


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


def _said_of(folder: Path, provenance: Provenance | None) -> dict[str, Setting]:
    """What the files beside the weights say of the model, and where it came from."""
    origin = provenance or provenance_of(folder)
    return {**card_settings(folder), **sampling_settings(folder), **origin.settings()}


def _general(name: str, plan: FamilyPlan, out_type: OutType) -> dict[str, Setting]:
    return {
        "general.architecture": plan.architecture,
        "general.type": "model",
        "general.name": name,
        "general.size_label": size_label(sum(math.prod(tensor.shape) for tensor in plan.tensors)),
        "general.file_type": _file_type(plan, out_type),
        "general.quantization_version": QUANTIZATION_VERSION,
        "carryon.converter": __version__,
    }


def _file_type(plan: FamilyPlan, out_type: OutType) -> int:
    """A file with experts in MXFP4 is of that type, whatever the rest of it is."""
    is_mxfp4 = any(isinstance(tensor, Packed) and tensor.form is GgmlType.MXFP4 for tensor in plan.tensors)
    return MXFP4_FILE_TYPE if is_mxfp4 else out_type.file_type


def _check_room(target: Path, size_bytes: int) -> None:
    """What an earlier try left behind is overwritten, so its room counts as free."""
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    with disk_errors(target):
        free_bytes = shutil.disk_usage(folder).free
        left = part_of(target)
        free_bytes += left.stat().st_size if left.is_file() else 0
    if free_bytes < size_bytes:
        raise NoRoom(
            f"The file needs {bytes_text(size_bytes)}, but {folder} has only {bytes_text(free_bytes)} free.",
            "Free some space, choose a smaller type, or choose another folder.",
        )


def _filling(
    out: BinaryIO, recipe: Recipe, means: Means, broken: list[str]
) -> Generator[Progress | None, None, None]:
    """Writes header and tensors; gathers the names of tensors with values that are no numbers."""
    out.write(recipe.header)
    done, told_s = len(recipe.header), time.monotonic()
    with closing(Syncing(out)) as sync, closing(_padded(recipe, means.halves)) as found:
        for piece in found:
            if piece is None:
                yield None
                continue
            out.write(piece.content)
            done += len(piece.content)
            if not piece.is_finite and piece.tensor.name not in broken:
                broken.append(piece.tensor.name)
            yield from sync.wrote(len(piece.content))
            is_due = time.monotonic() - told_s >= NEWS_EVERY_S
            told_s = time.monotonic() if is_due else told_s
            yield Progress(done, recipe.size_bytes, piece.tensor.name) if is_due else None
    _check_plan(done == recipe.size_bytes, "the file")


def _padded(recipe: Recipe, halves: Halves) -> Generator[Piece | None, None, None]:
    """The pieces of all tensors with the padding between them."""
    current, left_bytes = "", 0
    with closing(pieces(recipe.tensors, halves)) as found:
        for piece in found:
            if piece is None:
                yield None
                continue
            if piece.tensor.name != current:
                _check_plan(left_bytes == 0, current)
                current, left_bytes = piece.tensor.name, piece.tensor.size_bytes
            left_bytes -= len(piece.content)
            yield piece
            if left_bytes == 0 and (gap := padding(piece.tensor.size_bytes)):
                yield Piece(piece.tensor, memoryview(bytes(gap)), is_finite=True)


def _check_plan(is_kept: bool, of_what: str) -> None:
    """A family that gives other bytes than it planned is a bug, and no file may come of it."""
    if not is_kept:
        raise ValueError(f"{of_what} has not the size that was planned for it")


def _odd_widths(infos: Sequence[TensorInfo], out_type: OutType) -> Iterator[str]:
    odd = [info.name for info in infos if info.form is GgmlType.F16 and out_type is not OutType.F16]
    if odd:
        yield f"{len(odd)} tensors have rows that {out_type.name} cannot hold and are stored as F16, such as {odd[0]}."


def _broken_warning(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"{len(names)} tensors hold values that are not numbers, such as {names[0]}: it may answer nonsense."
