"""llama.cpp's quantizer: what it is told, and what its log says of each tensor, for it tells nothing in another way."""

import ctypes
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from carryon.gguf.quants import GGML_TYPES_BY_NAME
from carryon.gguf.recipes import FILE_TYPES
from carryon.quantize.imatrix_file import Importance
from carryon.quantize.request import Fallback, Override, Wish
from carryon.quantize.sizes import slab_bytes
from carryon.worker.capi import L
from carryon.worker.engine_log import EngineLog, Level, Line
from carryon.worker.gguf_outline import Fact

_PARAMETERS_BYTES = 64  # llama_model_quantize_params of our version, on 64-bit machines
_LONGEST_TEXT_BYTES = 127  # llama_model_kv_override.val_str, with a zero at its end
_TENSOR = re.compile(r"^\[ *(\d+)/ *(\d+)\] (\S+) +- \[[^\]]*\], type = +(\S+), ")
_PLANNED = re.compile(r"^size = +[\d.]+ MiB(?: -> +[\d.]+ MiB \((\S+)\))?$")
_FALLBACK = re.compile(
    r"^warning: (\S+) +- ncols +\d+ not divisible by +\d+ \(required for type +(\S+)\) .*-> falling back to +(\S+)$"
)


class QuantizerLog(EngineLog):
    """Hears which tensor the quantizer is at, what becomes of each, and which types do not fit their rows."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        """Quiet: only what is amiss is passed on to stderr."""
        super().__init__()
        self._is_quiet = is_quiet
        self.at, self.count = 0, 0  # the tensor that is being worked on, and how many there are
        self.types: dict[str, str] = {}  # the type of every tensor after a dry run
        self.fallbacks: list[Fallback] = []

    def forget(self) -> None:
        """Before another run."""
        self.lines.clear()
        self.at = self.count = 0
        self.types, self.fallbacks = {}, []

    def _add(self, level: Level, text: str) -> None:
        super()._add(level, text)
        if begun := _TENSOR.match(self._partial):  # the rest of the line comes when it is done
            self.at, self.count = int(begun[1]), int(begun[2])

    def _keep(self, line: Line) -> None:
        if begun := _TENSOR.match(line.text):
            self.at, self.count = int(begun[1]), int(begun[2])
            if planned := _PLANNED.match(line.text[begun.end() :]):
                self.types[begun[3]] = (planned[1] or begun[4]).upper()
        elif odd := _FALLBACK.match(line.text):
            self.fallbacks.append(Fallback(odd[1], odd[2].upper(), odd[3].upper()))
        if not self._is_quiet or line.level >= Level.WARN:
            super()._keep(line)


class Parameters:
    """llama_model_quantize_params and everything they point at: keep it as long as the quantizer works."""

    def __init__(self, wish: Wish, facts: Mapping[str, Fact], n_threads: int = 0) -> None:
        """As a dry run; `as_work` makes it a real one."""
        self.struct = L.llama_model_quantize_default_params()
        self.struct.dry_run = True
        self.struct.allow_requantize = True  # whoever may not is refused before, by the dry run's account
        self.struct.ftype = FILE_TYPES[wish.quant]
        self.struct.nthread = n_threads
        self.struct.pure = wish.is_pure
        if wish.output_type:
            self.struct.output_tensor_type = _type_id(wish.output_type)
        if wish.embedding_type:
            self.struct.token_embedding_type = _type_id(wish.embedding_type)
        self._facts = _fact_array(facts)
        self.struct.kv_overrides = self._facts
        self._overrides = _override_array(wish.overrides)
        if self._overrides is not None:
            self.struct.tt_overrides = self._overrides
        # one without entries makes the recipes those of a model with an importance matrix
        self._weights: list[Any] = []
        self._importance = (L.llama_model_imatrix_data * 1)()
        if wish.has_imatrix:
            self.struct.imatrix = self._importance

    def as_work(self, importance: Importance | None) -> None:
        """A real run, in slabs of memory that are no burden."""
        self.struct.dry_run = False
        self.struct.max_buf_size = slab_bytes(self.struct.nthread or os.cpu_count() or 1)
        if importance is not None:
            self._take(importance)

    def _take(self, importance: Importance) -> None:
        entries = importance.entries
        self._weights = [one.weights for one in entries.values()]
        self._importance = (L.llama_model_imatrix_data * (len(entries) + 1))()
        for place, name, values in zip(self._importance, entries, self._weights, strict=False):
            place.name, place.size = name.encode(), values.size
            place.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        self.struct.imatrix = self._importance


def quantize(source: Path, target: Path, parameters: Parameters) -> bool:
    """Blocks until it is done, without Python's lock; False where it failed: the log says why."""
    code = L.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(parameters.struct))
    return int(code) == 0


def fitting_text(text: str) -> str:
    """As much of a text as a fact of the quantizer can hold, cut between two letters."""
    return text.replace("\0", " ").encode("utf-8", "replace")[:_LONGEST_TEXT_BYTES].decode("utf-8", "ignore")


def layout_complaint() -> str | None:
    """Why the bindings do not fit the library; None if they do."""
    size = ctypes.sizeof(L.llama_model_quantize_params)
    if ctypes.sizeof(ctypes.c_void_p) != 8 or size == _PARAMETERS_BYTES:
        return None
    return f"the quantizer's parameters have {size} bytes here, not {_PARAMETERS_BYTES}"


def _type_id(storage: str) -> int:
    return GGML_TYPES_BY_NAME[storage].type_id


def _override_array(overrides: Sequence[Override]) -> Any:
    if not overrides:
        return None
    array = (L.llama_model_tensor_override * (len(overrides) + 1))()  # ends with an empty pattern
    for place, one in zip(array, overrides, strict=False):
        place.pattern, place.type = one.anchored.encode(), _type_id(one.storage)
    return array


def _fact_array(facts: Mapping[str, Fact]) -> Any:
    array = (L.llama_model_kv_override * (len(facts) + 1))()  # ends with an empty key
    for place, (key, value) in zip(array, facts.items(), strict=False):
        place.key = key.encode()
        if isinstance(value, str):
            place.tag, place.value.val_str = L.LLAMA_KV_OVERRIDE_TYPE_STR, value.encode()
        else:
            place.tag, place.value.val_i64 = L.LLAMA_KV_OVERRIDE_TYPE_INT, value
    return array
