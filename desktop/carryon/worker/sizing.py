"""What the quantizer would make of a model: its own dry run, and the header by its own writer: to the byte."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from carryon.base.errors import AppError, BadFile, BadInput, EngineError, Unsupported
from carryon.engine.protocol import LoadRequest
from carryon.engine.reasons import refusal
from carryon.gguf.cursor import quoted
from carryon.gguf.mix import ALIGNMENT_BYTES, padded_bytes
from carryon.gguf.quants import GGML_TYPES, GGML_TYPES_BY_NAME, file_type_name
from carryon.gguf.split import parts_of, read_model
from carryon.gguf.tensors import TensorInfo
from carryon.quantize.imatrix_file import KIND, Importance, read_importance
from carryon.quantize.kinds import is_quantized, needs_importance
from carryon.quantize.matching import Matrix
from carryon.quantize.provenance import facts_of
from carryon.quantize.request import Fallback, QuantSize, Wish
from carryon.worker.capi import version
from carryon.worker.gguf_outline import Fact, Outline
from carryon.worker.quantizing import Parameters, QuantizerLog, fitting_text, quantize
from carryon.worker.refusals import refusal_of_load

_NOWHERE = Path(os.devnull)  # a dry run writes nothing
_ALIGNMENT_KEY = "general.alignment"
_KEEPS_RECIPE = "Choose a quant type, or leave the types of single tensors out."


@dataclass(frozen=True)
class Planned:
    """A tensor as it is and as it will be."""

    info: TensorInfo
    storage: str  # "Q6_K"

    @property
    def type_id(self) -> int:
        return GGML_TYPES_BY_NAME[self.storage].type_id

    @property
    def size_bytes(self) -> int:
        return GGML_TYPES_BY_NAME[self.storage].size_bytes(self.info.n_elements)

    @property
    def changes(self) -> bool:
        return self.type_id != self.info.type_id

    @property
    def requantizes(self) -> bool:
        """Whether it has lost precision before and would lose more."""
        return self.changes and GGML_TYPES[self.info.type_id].block_elements > 1


@dataclass(frozen=True)
class Plan:
    """One file that could be made."""

    wish: Wish
    facts: Mapping[str, Fact]
    header_bytes: int
    tensors: tuple[Planned, ...]
    fallbacks: tuple[Fallback, ...]

    @cached_property
    def size_bytes(self) -> int:
        return self.header_bytes + sum(padded_bytes(one.size_bytes) for one in self.tensors)

    @property
    def bits_per_weight(self) -> float:
        n_weights = sum(one.info.n_elements for one in self.tensors)
        return 8 * sum(one.size_bytes for one in self.tensors) / n_weights

    @property
    def matrices(self) -> dict[str, Matrix]:
        """All matrices, by name."""
        return {
            one.info.name: Matrix(one.info.name, one.info.shape, is_quantized(one.storage), self._is_blind(one))
            for one in self.tensors
            if len(one.info.shape) > 1
        }

    @property
    def size(self) -> QuantSize:
        return QuantSize(
            self.wish.quant, self.size_bytes, self.bits_per_weight, self.fallbacks,
            any(self._is_blind(one) for one in self.tensors), any(one.requantizes for one in self.tensors),
        )  # fmt: skip

    def _is_blind(self, one: Planned) -> bool:
        return one.changes and needs_importance(one.info.name, one.storage, self.wish.quant)


class Sizer:
    """One source, looked at once for any number of wishes; a copy of its header is made in `folder`."""

    def __init__(self, source: Path, folder: Path, log: QuantizerLog) -> None:
        """Raises BadFile."""
        self.parts = parts_of(source)
        self.headers = read_model(source)
        if self.headers[0].fields.get("general.type") == KIND or not self.headers[0].architecture:
            raise BadFile(f"{source.name} holds no model.", "Choose a GGUF file with a model's weights.")
        self.tensors = {one.name: one for header in self.headers for one in header.tensors}
        self._check_types(source)
        self._log, self._source = log, source
        self._header_bytes: dict[tuple[tuple[str, Fact], ...], int] = {}
        self._importances: dict[Path, Importance] = {}
        self._folder = folder
        self._outline = Outline(self.parts)
        self._bare = self._written_bare()

    def plan(self, wish: Wish, importance: Importance | None = None) -> Plan:
        """Asks the quantizer. Raises BadInput, Unsupported or the refusal of the engine."""
        self._check(wish)
        if wish.imatrix and importance is None:
            importance = self._importance(wish.imatrix)
        facts = self._facts(wish, importance)
        self._log.forget()
        if not quantize(self._bare, _NOWHERE, Parameters(wish, facts)):
            raise self._refusal(wish)
        types = self._log.types
        if types.keys() != self.tensors.keys():
            raise EngineError("The quantizer's account of the tensors is not understood.", "Report it, please.")
        tensors = tuple(Planned(info, types[name]) for name, info in self.tensors.items())
        return Plan(wish, facts, self._header_of(facts), tensors, tuple(self._log.fallbacks))

    def close(self) -> None:
        """Gives the memory back."""
        self._outline.close()

    def _check_types(self, source: Path) -> None:
        if any(one.type_id not in GGML_TYPES for one in self.tensors.values()):
            raise Unsupported(
                f"{source.name} has tensors of a type that this version does not know.",
                "Update Carryon when a newer engine is out.",
            )

    def _written_bare(self) -> Path:
        """The copy; the model itself where none can be made (a limit on the size of files, a disk of FAT), and on
        Windows, which would take the room of the whole model for a sparse tail.
        """
        path, itself = self._folder / "bare.gguf", self.parts[0]
        if os.name == "nt":
            return itself
        tail_bytes = sum(padded_bytes(one.size_bytes) for one in self.tensors.values())
        try:
            self._outline.write_bare(path, self.headers[0].architecture, tail_bytes)
        except OSError:
            return itself
        return path

    def _check(self, wish: Wish) -> None:
        if wish.overrides and not is_quantized_file(wish.quant):
            raise BadInput(f"A file of {wish.quant} has one type for all of its matrices.", _KEEPS_RECIPE)
        for one in wish.overrides:
            _check_pattern(one.pattern, one.anchored, self.tensors)
        for storage, names in ((wish.output_type, _OUTPUTS), (wish.embedding_type, _EMBEDDINGS)):
            for info in (self.tensors[name] for name in names if storage and name in self.tensors):
                _check_rows(info, storage)

    def _facts(self, wish: Wish, importance: Importance | None) -> dict[str, Fact]:
        first = self.headers[0]
        file_type = first.fields.get("general.file_type")
        source_type = file_type_name(file_type) if isinstance(file_type, int) else ""
        facts = facts_of(wish, importance, version(), self.parts[0].name, source_type)
        # llama.cpp copies the key of another alignment and aligns to 32 bytes all the same
        odd = {_ALIGNMENT_KEY: ALIGNMENT_BYTES} if _ALIGNMENT_KEY in first.fields else {}
        return {**{key: _fitting(value) for key, value in facts.items()}, **odd}

    def _importance(self, path: Path) -> Importance:
        """Read once, however many types are asked for."""
        if path not in self._importances:
            self._importances[path] = read_importance(path)
        return self._importances[path]

    def _header_of(self, facts: Mapping[str, Fact]) -> int:
        key = tuple(facts.items())
        if key not in self._header_bytes:
            self._header_bytes[key] = self._outline.header_bytes(facts)
        return self._header_bytes[key]

    def _refusal(self, wish: Wish) -> AppError:
        said = "\n".join(self._log.errors())
        if "no tensor type fallback" in said:
            return Unsupported(
                f"{self._source.name} has rows that {wish.quant} cannot store, and nothing near it can.",
                "Choose another type.",
            )
        if "regular expression" in said:
            return BadInput("The engine does not understand a name's expression.", "Write it without look-arounds.")
        return refusal(refusal_of_load(self.parts, self._log), LoadRequest(str(self._source)))


_OUTPUTS = ("output.weight",)
_EMBEDDINGS = ("token_embd.weight", "per_layer_token_embd.weight")


def is_quantized_file(quant: str) -> bool:
    """Whether a file type is more than one number format."""
    return quant not in GGML_TYPES_BY_NAME or is_quantized(quant)


def _check_pattern(pattern: str, anchored: str, names: Mapping[str, TensorInfo]) -> None:
    try:
        expression = re.compile(anchored)
    except re.error as error:
        raise BadInput(f"“{pattern}” is no regular expression: {error}.", _HOW) from error
    if not any(expression.search(name) for name in names):
        raise BadInput(f"“{pattern}” fits no tensor of this model.", _HOW)


_HOW = r"Write the whole name of the tensors, such as blk\.\d+\.ffn_down=Q6_K."


def _check_rows(info: TensorInfo, storage: str) -> None:
    """llama.cpp looks for another type only where its recipe chose one."""
    block = GGML_TYPES_BY_NAME[storage].block_elements
    if info.shape[0] % block:
        raise BadInput(
            f"{quoted(info.name)} has rows of {info.shape[0]:,} numbers, where {storage} stores {block} together.",
            "Choose Q8_0 or F16 for it.",
        )


def _fitting(value: Fact) -> Fact:
    return fitting_text(value) if isinstance(value, str) else value
