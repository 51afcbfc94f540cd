"""Weights in PyTorch's own files, read by PyTorch with everything refused that is no tensor; nothing in them is run."""

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import BadFile, Unsupported
from carryon.base.files import disk_errors
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.checkpoint import Number, Rows, Source, Unpickle

if TYPE_CHECKING:
    import torch

_ANOTHER_COPY = "Look for a copy of the model with .safetensors files."
_NUMBERS = {
    "float64": Number.F64,
    "float32": Number.F32,
    "float16": Number.F16,
    "bfloat16": Number.BF16,
    "int64": Number.I64,
    "int32": Number.I32,
    "int16": Number.I16,
    "int8": Number.I8,
    "uint8": Number.U8,
    "bool": Number.BOOL,
    "float8_e4m3fn": Number.F8_E4M3,
    "float8_e5m2": Number.F8_E5M2,
}


@dataclass(frozen=True)
class PickledTensor:
    """A tensor whose bytes PyTorch has mapped from its file."""

    name: str
    number: Number
    shape: tuple[int, ...]
    file: Path
    offset_bytes: int  # in memory: the order in the file, which is all that matters of it
    tensor: "torch.Tensor" = field(compare=False, repr=False)

    @property
    def n_values(self) -> int:
        return math.prod(self.shape)

    def rows(self, which: Rows) -> NDArray[np.uint8]:
        """The bytes of some rows, (n_rows, row_bytes)."""
        import torch

        rows = self.tensor.reshape(-1, self.shape[-1] if len(self.shape) > 1 else 1)
        chosen = rows[which] if isinstance(which, slice) else rows[torch.from_numpy(which)]
        found: NDArray[np.uint8] = chosen.contiguous().view(torch.uint8).numpy()
        return found


def unpickle_here() -> Unpickle | None:
    """What reads PyTorch's files; None where PyTorch is not installed."""
    return _tensors if importlib.util.find_spec("torch") else None


def _tensors(files: Sequence[Path]) -> dict[str, Source]:
    """Every tensor of all files. Raises BadFile, and Unsupported for a file that holds more than tensors."""
    import torch

    torch.set_num_threads(1)  # several threads ask already
    found: dict[str, Source] = {}
    for file in files:
        for name, value in _loaded(file).items():
            if isinstance(value, torch.Tensor):
                found[str(name)] = _source(str(name), value, file)
    return found


def _loaded(file: Path) -> dict[Any, Any]:
    import torch

    try:
        with disk_errors(file):
            content = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except UnpicklingError as error:
        raise Unsupported(f"{file.name} holds more than weights; it could run programs.", _ANOTHER_COPY) from error
    except (RuntimeError, ValueError, EOFError) as error:
        raise BadFile(
            f"{file.name} is damaged, or older than PyTorch's files of today.", f"{DOWNLOAD_AGAIN} {_ANOTHER_COPY}"
        ) from error
    match content:
        case {"state_dict": dict() as inner} | {"model": dict() as inner}:
            return inner
        case dict():
            return content
        case _:
            raise BadFile(f"{file.name} holds no list of weights.", _ANOTHER_COPY)


def _source(name: str, tensor: "torch.Tensor", file: Path) -> PickledTensor:
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind not in _NUMBERS or tensor.is_sparse or tensor.is_quantized:
        raise Unsupported(f"{file.name} stores {name!r} as {kind}, which Carryon does not know.", LOOK_FOR_GGUF)
    place = int(tensor.untyped_storage().data_ptr() + tensor.storage_offset() * tensor.element_size())
    return PickledTensor(name, _NUMBERS[kind], tuple(tensor.shape), file, place, tensor)
