"""A Hugging Face model folder on disk: its config and where each tensor's bytes lie. Nothing here reads weights.

A safetensors file is 8 bytes of header length, a JSON header, then the tensors' bytes without gaps
(github.com/huggingface/safetensors, "Format"). The header comes from strangers, so every length in it is checked.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import BadFile, Unsupported
from carryon.base.files import disk_errors
from carryon.base.units import bytes_text
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.config import Config, read_json

SHARD_NAME = re.compile(r"[^/\\:\0]+\.safetensors")  # no way out of the folder
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED_NAME, PICKLED_INDEX = re.compile(r"[^/\\:\0]+\.(bin|pth)"), "pytorch_model.bin.index.json"
MAX_HEADER_BYTES = 100_000_000  # the format's own limit
MAX_HEADER_ITEMS = 2_000_000  # commas and brackets: about 200,000 tensors, and a bound on what json.loads allocates
MAX_DIMENSIONS = 8


class Number(Enum):
    """How a safetensors file stores one number: its name there and its size in bytes."""

    F64 = ("F64", 8)
    F32 = ("F32", 4)
    F16 = ("F16", 2)
    BF16 = ("BF16", 2)
    I64 = ("I64", 8)
    I32 = ("I32", 4)
    I16 = ("I16", 2)
    I8 = ("I8", 1)
    U64 = ("U64", 8)
    U32 = ("U32", 4)
    U16 = ("U16", 2)
    U8 = ("U8", 1)
    BOOL = ("BOOL", 1)
    F8_E4M3 = ("F8_E4M3", 1)
    F8_E5M2 = ("F8_E5M2", 1)
    F8_E8M0 = ("F8_E8M0", 1)

    @property
    def size_bytes(self) -> int:
        return self.value[1]


NUMBERS = {number.value[0]: number for number in Number}
Rows = slice | NDArray[np.intp]


class Source(Protocol):
    """A tensor of the checkpoint, or one computed from it (an adapter merged in, FP8 made floats).

    Its rows run over all axes but the last; of a vector every value is a row.
    """

    @property
    def name(self) -> str: ...
    @property
    def number(self) -> Number: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def n_values(self) -> int: ...
    @property
    def file(self) -> Path: ...
    @property
    def offset_bytes(self) -> int: ...
    def rows(self, which: Rows) -> NDArray[np.uint8]:
        """The bytes of some rows, (n_rows, row_bytes). May be called from several threads."""
        ...


@dataclass(frozen=True)
class SourceTensor:
    """One tensor of a checkpoint and the place of its bytes."""

    name: str
    number: Number
    shape: tuple[int, ...]
    file: Path
    offset_bytes: int

    @property
    def n_values(self) -> int:
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        return self.n_values * self.number.size_bytes

    def raw(self) -> NDArray[np.uint8]:
        """The tensor's bytes, mapped and not read; one row for each index of the first axis."""
        if self.size_bytes == 0:
            return np.zeros((self.shape[0] if self.shape else 1, 0), np.uint8)
        with disk_errors(self.file):
            mapped = np.memmap(self.file, np.uint8, "r", self.offset_bytes, (self.size_bytes,))
        return mapped.reshape(self.shape[0] if self.shape else 1, -1)

    def rows(self, which: Rows) -> NDArray[np.uint8]:
        """The bytes of some rows, (n_rows, row_bytes): mapped for a slice, copied for a list of rows.

        Rows run over all axes but the last; of a vector every value is a row.
        """
        width = self.shape[-1] if len(self.shape) > 1 else 1
        n_rows = math.prod(self.shape[:-1]) if len(self.shape) > 1 else self.n_values
        return self.raw().reshape(n_rows, width * self.number.size_bytes)[which]


@dataclass(frozen=True)
class Checkpoint:
    """A model folder whose every weight file has been found whole."""

    folder: Path
    config: Config
    tensors: Mapping[str, Source]
    vocabulary_folder: Path | None = None  # where an adapter brought its own tokenizer; None: the same folder

    @property
    def words_folder(self) -> Path:
        """Where the tokenizer's files lie."""
        return self.vocabulary_folder or self.folder

    @property
    def name(self) -> str:
        """The folder's name; for a snapshot in the Hub's cache the repository's."""
        if self.folder.parent.name == "snapshots":
            return self.folder.parent.parent.name.split("--")[-1]
        return self.folder.name


class PickledWeights(Unsupported):
    """The weights are PyTorch's pickles and nobody here can read them without running what is in them."""


Unpickle = Callable[[Sequence[Path]], Mapping[str, Source]]


def open_checkpoint(folder: Path, unpickle: Unpickle | None = None) -> Checkpoint:
    """Reads the config and every shard's header; `unpickle` reads PyTorch's files without running what is in them.

    Raises BadFile naming the file that is missing, cut off or damaged, and Unsupported for weights in another format:
    PickledWeights where `unpickle` would be needed.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise BadFile(f"{folder} is not a folder.", "Choose the folder that holds the model's config.json.")
    if not (folder / "config.json").is_file():
        _refuse_without_config(folder)
    config = Config(read_json(folder / "config.json"))
    return Checkpoint(folder, config, _gather(folder, unpickle))


def read_header(file: Path) -> list[SourceTensor]:
    """The tensors of one safetensors file, in the order of their bytes.

    Raises BadFile when the file is damaged or its size is not what the header says.
    """
    with disk_errors(file), file.open("rb") as source:
        size_bytes = file.stat().st_size
        length = int.from_bytes(source.read(8), "little")
        if size_bytes < 8 or length > min(size_bytes - 8, MAX_HEADER_BYTES):
            raise BadFile(f"{file.name} is not a whole safetensors file: its header is cut off.", DOWNLOAD_AGAIN)
        header = _parse(file, source.read(length))
    tensors = sorted(
        (_tensor(file, name, entry, 8 + length) for name, entry in header.items() if name != "__metadata__"),
        key=lambda tensor: (tensor.offset_bytes, tensor.size_bytes),
    )
    _check_layout(file, tensors, 8 + length, size_bytes)
    return tensors


def _refuse_without_config(folder: Path) -> NoReturn:
    if (folder / "adapter_config.json").is_file():
        raise BadFile(f"{folder.name} is a LoRA adapter, not a whole model.", "Choose the folder of its base model.")
    raise BadFile(f"{folder.name} has no config.json.", "Choose the folder of a Hugging Face model.")


def _gather(folder: Path, unpickle: Unpickle | None) -> Mapping[str, Source]:
    """All tensors of the folder, found the way transformers does: one file, else the index."""
    if (folder / SINGLE).is_file():
        return _united([folder / SINGLE])
    if (folder / INDEX).is_file():
        return _indexed(folder)
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return _united(files)
    if files:
        raise BadFile(f"{folder.name} has several .safetensors files and no {INDEX}.", "Download the index file.")
    if pickles := _pickles(folder):
        return _unpickled(folder, pickles, unpickle)
    raise BadFile(f"{folder.name} has no .safetensors files.", "Download the model's weights into this folder.")


def _pickles(folder: Path) -> list[Path]:
    """PyTorch's weight files: all that the index names, else all that there are."""
    if not (folder / PICKLED_INDEX).is_file():
        return sorted(folder.glob("pytorch_model*.bin")) or sorted((*folder.glob("*.bin"), *folder.glob("*.pth")))
    places = read_json(folder / PICKLED_INDEX).get("weight_map")
    names = sorted(set(places.values())) if isinstance(places, dict) else []
    for name in names:
        if not isinstance(name, str) or not PICKLED_NAME.fullmatch(name):
            raise BadFile(f"{PICKLED_INDEX} points to {str(name)[:80]!r}, no file of this folder.", DOWNLOAD_AGAIN)
        if not (folder / name).is_file():
            raise BadFile(f"{name} is missing.", "Download the missing file into the model's folder.")
    return [folder / name for name in names]


def _unpickled(folder: Path, pickles: Sequence[Path], unpickle: Unpickle | None) -> Mapping[str, Source]:
    if unpickle is None:
        raise PickledWeights(
            f"{folder.name} keeps its weights in PyTorch files, which can hold programs.",
            "Look for a copy of the model with .safetensors files, or install what reads such weights without running "
            "anything: pip install 'carryon[torch]'.",
        )
    return unpickle(pickles)


def _indexed(folder: Path) -> dict[str, SourceTensor]:
    places = read_json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise BadFile(f"{INDEX} has no list of weights.", DOWNLOAD_AGAIN)
    for name in places.values():
        if not isinstance(name, str) or not SHARD_NAME.fullmatch(name):
            raise BadFile(f"{INDEX} points to {str(name)[:80]!r}, which is no file of this folder.", DOWNLOAD_AGAIN)
    tensors = _united([folder / name for name in sorted(set(places.values()))])
    for name, place in places.items():
        if name not in tensors or tensors[name].file.name != place:
            raise BadFile(f"{place} does not hold the tensor {name} that {INDEX} promises.", DOWNLOAD_AGAIN)
    return tensors


def _united(files: Iterable[Path]) -> dict[str, SourceTensor]:
    tensors: dict[str, SourceTensor] = {}
    for file in files:
        if not file.is_file():
            raise BadFile(f"{file.name} is missing.", "Download the missing file into the model's folder.")
        for tensor in read_header(file):
            if tensor.name in tensors:
                raise BadFile(
                    f"{file.name} and {tensors[tensor.name].file.name} both hold {tensor.name}.", DOWNLOAD_AGAIN
                )
            tensors[tensor.name] = tensor
    return tensors


def _parse(file: Path, text: bytes) -> dict[str, Any]:
    if text.count(b",") + text.count(b"[") + text.count(b"{") > MAX_HEADER_ITEMS:
        raise BadFile(f"The header of {file.name} is larger than any model's.", DOWNLOAD_AGAIN)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"The header of {file.name} is damaged.", DOWNLOAD_AGAIN) from error
    if not isinstance(header, dict):
        raise BadFile(f"The header of {file.name} is damaged.", DOWNLOAD_AGAIN)
    return header


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a name stands twice in the header")
    return entries


def _tensor(file: Path, name: str, entry: Any, data_start: int) -> SourceTensor:
    match entry:
        case {"dtype": str() as number, "shape": list() as shape, "data_offsets": [int() as begin, int() as end]}:
            pass
        case _:
            raise BadFile(f"The header of {file.name} does not describe {name!r} properly.", DOWNLOAD_AGAIN)
    if number not in NUMBERS:
        raise Unsupported(f"{file.name} stores {name!r} as {number}, which Carryon does not know.", LOOK_FOR_GGUF)
    if len(shape) > MAX_DIMENSIONS or not all(type(length) is int and 0 <= length < 2**48 for length in shape):
        raise BadFile(f"The header of {file.name} gives {name!r} an impossible shape.", DOWNLOAD_AGAIN)
    tensor = SourceTensor(name, NUMBERS[number], tuple(shape), file, data_start + begin)
    if not 0 <= begin <= end or end - begin != tensor.size_bytes:
        raise BadFile(f"The header of {file.name} gives {name!r} a size that does not match its shape.", DOWNLOAD_AGAIN)
    return tensor


def _check_layout(file: Path, tensors: list[SourceTensor], data_start: int, size_bytes: int) -> None:
    """Tensors follow each other without gaps and fill the file exactly."""
    position = data_start
    for tensor in tensors:
        if tensor.offset_bytes != position:
            raise BadFile(f"The header of {file.name} puts {tensor.name!r} in the wrong place.", DOWNLOAD_AGAIN)
        position += tensor.size_bytes
    if position > size_bytes:
        raise BadFile(
            f"{file.name} is cut off: {bytes_text(position - size_bytes)} are missing at its end.", DOWNLOAD_AGAIN
        )
    if position < size_bytes:
        raise BadFile(
            f"{file.name} has {bytes_text(size_bytes - position)} more than its header describes.", DOWNLOAD_AGAIN
        )
