"""What a model folder tells before a weight is read: whether it can be converted, by whom, and the header it would get.

The folder may be one of hub/staging.py, where files have their true sizes and hold nothing but their headers.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from carryon.base.errors import AppError, Unsupported
from carryon.base.files import disk_errors, grow_sparse
from carryon.base.jobs import aside
from carryon.convert.adapter import open_adapter
from carryon.convert.checkpoint import Checkpoint, Number, open_checkpoint
from carryon.convert.compressed import Compression, compression_of
from carryon.convert.config import Config, read_json
from carryon.convert.families import plan_of
from carryon.convert.forms import OutType
from carryon.convert.merging import merged
from carryon.convert.plan import Packed
from carryon.convert.provenance import Provenance
from carryon.convert.run import Recipe, form_of, prepare
from carryon.convert.upstream.architectures import known as known_upstream
from carryon.convert.write import padding
from carryon.engine.task import command_of, running

T = TypeVar("T")
_FLOATS = (Number.F64, Number.F32, Number.F16, Number.BF16)


@dataclass(frozen=True)
class Weights:
    """The weights of a checkpoint by what its headers say; `numbers` has the form of most values first."""

    numbers: tuple[tuple[Number, int], ...]  # with the number of values
    n_files: int
    n_values: int
    size_bytes: int


@dataclass(frozen=True)
class Examined:
    """What was found; an error stands for the part that cannot be used, None for what was not looked at after it."""

    class_name: str  # "LlamaForCausalLM"; "" where config.json does not say
    is_known_upstream: bool  # by llama.cpp's own converter
    compression: Compression | None  # None: plain numbers
    weights: Weights | AppError
    architecture: str | AppError | None = None  # as GGUF has it: "llama"
    recipe: Recipe | AppError | None = None  # an error is one of the vocabulary
    out_type: OutType = OutType.BF16  # of the recipe: the one that later quantizing starts from


def examining(
    folder: Path, name: str, provenance: Provenance | None = None, adapter: Path | None = None
) -> Generator[None, None, Examined]:
    """Work that reads config, tokenizer and headers. `name` is what the model shall be called, `adapter` a PEFT folder
    that shall be merged into it.

    Raises BadFile where the folder holds no model at all.
    """
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    class_name = _class_name(config.get("architectures"))
    compression = yield from _tried(lambda: compression_of(Config(config)))
    found = Examined(
        class_name, class_name in known_upstream(), None if isinstance(compression, AppError) else compression, _NOTHING
    )  # fmt: skip
    checkpoint = yield from _tried(lambda: _opened(folder, adapter))
    if isinstance(checkpoint, AppError):
        if not config:
            raise checkpoint
        return replace(found, weights=checkpoint)
    found = replace(found, weights=weights_of(checkpoint), out_type=middle_type(checkpoint))
    plan = yield from _tried(lambda: plan_of(checkpoint))
    if isinstance(plan, AppError):
        return replace(found, architecture=plan)
    recipe = yield from _tried(lambda: prepare(checkpoint, found.out_type, name, provenance))
    if isinstance(recipe, Unsupported):  # perhaps of cuts that only a trial in the engine can name
        recipe = yield from _prepared_by_trial(checkpoint, found.out_type, name, provenance, plan.n_vocab)
    return replace(found, architecture=plan.architecture, recipe=recipe)


def _opened(folder: Path, adapter: Path | None) -> Checkpoint:
    checkpoint = open_checkpoint(folder)
    return merged(checkpoint, open_adapter(adapter)) if adapter else checkpoint


def _prepared_by_trial(
    checkpoint: Checkpoint, out_type: OutType, name: str, provenance: Provenance | None, n_vocab: int
) -> Generator[None, None, Recipe | AppError]:
    asked = {
        "folder": str(checkpoint.folder), "words_folder": str(checkpoint.words_folder), "n_vocab": n_vocab,
        "name": name or checkpoint.name,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="carryon-", ignore_cleanup_errors=True) as scratch:
        work = running(command_of("cuts"), asked, Path(scratch) / "cuts.log")
        try:
            while True:
                next(work)
                yield None
        except StopIteration as end:
            named = end.value["splitting"]
        except AppError as error:
            return error
        finally:
            work.close()
    return (
        yield from _tried(
            lambda: prepare(checkpoint, out_type, name, provenance, lambda one: int(one.words.splitting != named))
        )
    )


def weights_of(checkpoint: Checkpoint) -> Weights:
    """How much there is of what."""
    tensors = checkpoint.tensors.values()
    counted: Counter[Number] = Counter()
    for one in tensors:
        counted[one.number] += one.n_values
    return Weights(
        tuple(counted.most_common()),
        len({one.file for one in tensors}),
        sum(counted.values()),
        sum(one.n_values * one.number.size_bytes for one in tensors),
    )


def middle_type(checkpoint: Checkpoint) -> OutType:
    """What to convert to before quantizing: F16 where most weights are F16, else BF16, whose range holds everything.

    A file of F32 would be exact for weights of F32 and twice as large; BF16 keeps more than any quant type does.
    """
    numbers = [number for number, _ in weights_of(checkpoint).numbers if number in _FLOATS]
    return OutType.F16 if numbers and numbers[0] is Number.F16 else OutType.BF16


def direct_size(recipe: Recipe, out_type: OutType) -> int:
    """The bytes of the file that is converted to another type: nothing else in its header changes its length."""
    sizes = [
        info.size_bytes
        if isinstance(tensor, Packed)  # it stays as it is
        else replace(info, form=form_of(info.name, info.shape, out_type)).size_bytes
        for info, tensor in recipe.tensors
    ]
    return len(recipe.header) + sum(size + padding(size) for size in sizes)


def write_sketch(recipe: Recipe, target: Path) -> None:
    """A file with the header and the true length and no weights, sparse on the disk. Raises NoRoom and BadFile."""
    with disk_errors(target), target.open("wb") as out:
        out.write(recipe.header)
        grow_sparse(out, recipe.size_bytes)


def _class_name(told: object) -> str:
    match told:
        case [str() as name, *_]:
            return name
        case _:
            return ""


def _tried(call: Callable[[], T]) -> Generator[None, None, T | AppError]:
    """What a call returns, or the error it raises; its seconds are spent in a thread of its own."""
    try:
        return (yield from aside(call))
    except AppError as error:
        return error


_NOTHING = Unsupported("Nothing was looked at.")
