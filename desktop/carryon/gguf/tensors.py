"""The list of tensors in a header: names, shapes, types and places, each checked against the others and the file."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from carryon.base.errors import BadFile
from carryon.gguf.cursor import DAMAGED_HINT, Cursor, quoted
from carryon.gguf.quants import GGML_TYPES

_LONGEST_NAME_BYTES = 1 << 8  # llama.cpp allows 63 (GGML_MAX_NAME); image models have longer ones
_MOST_DIMENSIONS = 4  # GGML_MAX_DIMS
_LARGEST = (1 << 63) - 1  # ggml counts in int64_t


@dataclass(frozen=True)
class TensorInfo:
    """One tensor as the file's header describes it; shape[0] is the contiguous dimension (ggml's ne0)."""

    name: str
    shape: tuple[int, ...]
    type_id: int
    size_bytes: int  # without padding; 0 where the type is not known here
    offset_bytes: int = 0  # from the start of the data section

    @property
    def n_elements(self) -> int:
        return prod(self.shape)

    @property
    def end_bytes(self) -> int:
        """From the start of the data section."""
        return self.offset_bytes + self.size_bytes

    @property
    def is_expert(self) -> bool:
        """Whether it holds all experts of a layer, of which a token reads only a few (ffn_*_exps, ffn_*_chexps)."""
        return self.name.removesuffix(".weight").removesuffix(".bias").endswith(("_exps", "_chexps"))


def read_tensors(cursor: Cursor, count: int, alignment: int) -> tuple[TensorInfo, ...]:
    """The next `count` tensor infos. Raises BadFile when one is impossible or two contradict each other."""
    tensors: dict[str, TensorInfo] = {}
    for index in range(count):
        cursor.place = f"its tensor {index + 1} of {count:,}"
        name = cursor.text(_LONGEST_NAME_BYTES)
        cursor.place = f"its tensor {quoted(name)}"
        if name in tensors:
            cursor.damaged("a name that another tensor has already")
        tensors[name] = _tensor(cursor, name, alignment)
    return tuple(tensors.values())


def refuse_overlaps(tensors: Iterable[TensorInfo], file_name: str, data_start_bytes: int) -> None:
    """Raises BadFile when two tensors claim the same bytes of the file."""
    in_order = sorted((one for one in tensors if one.size_bytes), key=lambda one: one.offset_bytes)
    for first, second in pairwise(in_order):
        if second.offset_bytes < first.end_bytes:
            raise BadFile(
                f"{file_name} is damaged: its tensors {quoted(first.name)} and {quoted(second.name)} overlap"
                f" at byte {data_start_bytes + second.offset_bytes:,}.", DAMAGED_HINT,
            )  # fmt: skip


def _tensor(cursor: Cursor, name: str, alignment: int) -> TensorInfo:
    n_dimensions = cursor.number("I")
    if n_dimensions > _MOST_DIMENSIONS:
        cursor.damaged(f"{n_dimensions:,} dimensions, where {_MOST_DIMENSIONS} are the most")
    shape = tuple(cursor.number("Q") for _ in range(n_dimensions))
    type_id, offset_bytes = cursor.number("I"), cursor.number("Q")
    if prod(shape) > _LARGEST:
        cursor.damaged("an impossible size")
    if offset_bytes > _LARGEST or offset_bytes % alignment:
        cursor.damaged(f"an impossible place in the file ({offset_bytes:,})")
    return TensorInfo(name, shape, type_id, _size_bytes(cursor, shape, type_id), offset_bytes)


def _size_bytes(cursor: Cursor, shape: tuple[int, ...], type_id: int) -> int:
    if type_id not in GGML_TYPES:
        return 0
    kind = GGML_TYPES[type_id]
    if shape and shape[0] % kind.block_elements:
        cursor.damaged(f"rows of {shape[0]:,} numbers, where {kind.name} stores {kind.block_elements} together")
    if not shape and kind.block_elements > 1:
        cursor.damaged(f"one number, which {kind.name} cannot store")
    return kind.size_bytes(prod(shape))
