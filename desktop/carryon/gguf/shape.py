"""What a model is made of, as far as memory and speed depend on it: from a header, without one weight."""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class TensorInfo:
    """One tensor as the file's header describes it; shape[0] is the contiguous dimension (ggml's ne0)."""

    name: str
    shape: tuple[int, ...]
    type_id: int
    size_bytes: int  # without padding
    offset_bytes: int = 0  # from the start of the data section

    @property
    def n_elements(self) -> int:
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    @property
    def is_expert(self) -> bool:
        """Whether it holds all experts of a layer, of which a token reads only a few (ffn_*_exps, ffn_*_chexps)."""
        return self.name.removesuffix(".weight").removesuffix(".bias").endswith(("_exps", "_chexps"))


@dataclass(frozen=True)
class Attention:
    """The KV cache geometry of one layer. `value_length` 0: only keys are kept (MLA)."""

    n_heads: int
    n_kv_heads: int
    key_length: int
    value_length: int
    window: int = 0  # tokens that the layer looks back; 0 = all of them


@dataclass(frozen=True)
class LayerShape:
    """One block of a model."""

    tensors: tuple[TensorInfo, ...]
    attention: Attention | None  # None: the layer keeps no KV cache
    recurrent_bytes: int = 0  # state that one sequence keeps here, whatever its length


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
    size_bytes: int = 0  # of all files of the model together

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
        return (*self.input_tensors, *self.shared_tensors, *blocks, *self.output_tensors)
