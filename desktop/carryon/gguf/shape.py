"""What a model is made of, as far as memory and speed depend on it: from a header, without one weight."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from carryon.base.errors import BadFile, Unsupported
from carryon.gguf.architectures import refuse_unknown
from carryon.gguf.cursor import quoted, shown
from carryon.gguf.geometry import kept_by_layers
from carryon.gguf.grouping import grouped
from carryon.gguf.header import Header
from carryon.gguf.kept import Attention as Attention
from carryon.gguf.keys import Keys
from carryon.gguf.quant_name import quant_of
from carryon.gguf.quants import GGML_TYPES
from carryon.gguf.split import read_model
from carryon.gguf.tensors import TensorInfo as TensorInfo

_LONGEST_NAME = 120  # general.name is anything that somebody wrote


@dataclass(frozen=True)
class LayerShape:
    """One block of a model."""

    tensors: tuple[TensorInfo, ...]
    attention: Attention | None  # None: the layer keeps no KV cache
    recurrent_bytes: int = 0  # state that one sequence keeps here, whatever its length


class Family:
    """What the quants of one model have in common, told by identity: everything but the types of their tensors."""

    __slots__ = ("__weakref__",)


@dataclass(frozen=True)
class ModelShape:
    """Everything of a model that its memory and its speed depend on."""

    architecture: str
    name: str
    quant: str  # "Q4_K_M", or "" where the file does not say
    n_ctx_train: int  # 0 = not said
    n_embd: int
    n_ff: int  # widest dense feed-forward; 0 where there is none
    n_ff_expert: int
    n_vocab: int
    n_experts: int
    n_experts_used: int
    layers: tuple[LayerShape, ...]
    input_tensors: tuple[TensorInfo, ...]  # token_embd and its like: always in RAM
    output_tensors: tuple[TensorInfo, ...]  # output, output_norm: offloaded first
    shared_tensors: tuple[TensorInfo, ...] = ()  # rope_freqs: a copy on every device that has layers
    unused_tensors: tuple[TensorInfo, ...] = ()  # in the file, never loaded: blocks that predict further tokens
    size_bytes: int = 0  # of all files of the model together
    family: Family = field(default_factory=Family, init=False, repr=False, compare=False)  # a changed copy has its own

    def is_quant_of(self, other: "ModelShape") -> bool:
        """Whether nothing but the types of the tensors is different."""
        return self._untyped() == other._untyped()

    def _untyped(self) -> tuple[object, ...]:
        sizes = (self.architecture, self.n_embd, self.n_vocab, self.n_experts, self.n_experts_used)
        kept = [(layer.attention, layer.recurrent_bytes, len(layer.tensors)) for layer in self.layers]
        outside = (self.input_tensors, self.output_tensors, self.shared_tensors, self.unused_tensors)
        return (*sizes, kept, [*map(len, outside)], [(one.name, one.shape) for one in self.tensors])

    def join(self, family: Family) -> None:
        """Says that this is another quant of the model: names and extents of its tensors are the same, in this order.

        What they have in common is then worked out once for all of them.
        """
        object.__setattr__(self, "family", family)

    @property
    def n_layers(self) -> int:
        """Repeating layers, without the output layer."""
        return len(self.layers)

    @property
    def n_gpu_layers_max(self) -> int:
        """The output layer counts as one more, and goes to the GPU first."""
        return len(self.layers) + 1

    @cached_property
    def is_tied(self) -> bool:
        """Whether the output layer reads the token embedding: then it is loaded a second time beside a GPU."""
        return not any(one.name == "output.weight" for one in self.output_tensors)

    @cached_property
    def is_moe(self) -> bool:
        return self.n_experts > 0

    @cached_property
    def n_params(self) -> int:
        return sum(one.n_elements for one in self.tensors)

    @cached_property
    def bits_per_weight(self) -> float:
        return 8 * self.weights_bytes / max(self.n_params, 1)

    @cached_property
    def weights_bytes(self) -> int:
        return sum(one.size_bytes for one in self.tensors)

    @cached_property
    def tensors(self) -> tuple[TensorInfo, ...]:
        blocks = tuple(tensor for layer in self.layers for tensor in layer.tensors)
        return (*self.input_tensors, *self.shared_tensors, *blocks, *self.output_tensors, *self.unused_tensors)


def read_shape(path: Path) -> ModelShape:
    """The shape of a model on this disk, in one file or several. Raises BadFile and Unsupported."""
    return shape_of(read_model(path))


def shape_of(headers: Sequence[Header]) -> ModelShape:
    """The shape of a model by the headers of all its parts, the first one first. Raises BadFile and Unsupported."""
    first = headers[0]
    refuse_unknown(first)
    keys, tensors = Keys(first), _tensors(headers)
    (n_blocks, n_extra), kept = keys.block_counts(), kept_by_layers(keys)
    groups = grouped(tensors, first.architecture, len(kept), n_blocks - n_extra)
    layers = tuple(
        LayerShape(tuple(own), one.attention, one.recurrent_bytes) for own, one in zip(groups.layers, kept, strict=True)
    )
    by_name = {one.name: one for one in tensors}
    return ModelShape(
        architecture=first.architecture,
        name=shown(first.name, _LONGEST_NAME) or Path(first.file_name).stem,
        quant=quant_of(first, groups.layers),
        n_ctx_train=keys.number("context_length"),
        n_embd=keys.number("embedding_length"),
        n_ff=_widest(tensors, "ffn_down.weight"),
        n_ff_expert=_widest(tensors, "ffn_down_exps.weight"),
        n_vocab=_n_vocab(keys, by_name),
        n_experts=keys.number("expert_count"),
        n_experts_used=max(keys.per_layer("expert_used_count", n_blocks)),
        layers=layers,
        input_tensors=tuple(groups.input),
        output_tensors=tuple(groups.output),
        shared_tensors=tuple(groups.everywhere),
        unused_tensors=tuple(groups.unused),
        size_bytes=sum(header.size_bytes for header in headers),
    )


def _tensors(headers: Sequence[Header]) -> tuple[TensorInfo, ...]:
    """Of all parts together. Raises Unsupported for a type that this version cannot measure, BadFile for doubles."""
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    if not tensors:
        raise BadFile(f"{headers[0].file_name} holds no weights.", "Choose a model file.")
    for tensor in tensors:
        if tensor.type_id not in GGML_TYPES:
            raise Unsupported(
                f"{headers[0].file_name} stores {quoted(tensor.name)} in an unknown type ({tensor.type_id}).",
                "A newer version of Carryon may run it; or choose another quant of the model.",
            )
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise BadFile(f"Two parts of {headers[0].file_name} hold the same tensor.", "Download the parts again.")
    return tensors


def _widest(tensors: Sequence[TensorInfo], ending: str) -> int:
    """The longest row of the tensors with such a name: the width of a feed-forward layer."""
    return max((one.shape[0] for one in tensors if one.name.endswith(ending) and one.shape), default=0)


def _n_vocab(keys: Keys, by_name: dict[str, TensorInfo]) -> int:
    """As the engine has it: the length of the token list; a model without one says the number."""
    for name in ("token_embd.weight", "output.weight"):
        if name in by_name and len(by_name[name].shape) > 1:
            return by_name[name].shape[1]
    return keys.header.array_lengths.get("tokenizer.ggml.tokens") or keys.number("vocab_size")
