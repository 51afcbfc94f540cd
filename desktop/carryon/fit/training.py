"""What training a model would need on one device: weights, gradients, optimizer and activations, by published formulas.

Mixed precision with Adam: Rajbhandari et al. 2020, "ZeRO" (arXiv:1910.02054), section 3.1.
LoRA: Hu et al. 2021 (arXiv:2106.09685). QLoRA: Dettmers et al. 2023 (arXiv:2305.14314).
Activations: Korthikanti et al. 2022, "Reducing Activation Recomputation" (arXiv:2205.05198), section 4.
"""

from dataclasses import dataclass
from enum import Enum, auto
from math import prod

from carryon.base.errors import BadInput
from carryon.gguf.roles import Role, kind_of, n_dimensions
from carryon.gguf.shape import LayerShape, ModelShape, TensorInfo

LORA_RANK = 16
USUAL_CONTEXT = 2048
# ZeRO, 3.1: bf16 weights, bf16 gradients; 32-bit master weights, momentum and variance: 16 bytes a trained number.
_WEIGHT_BYTES = 2
_GRADIENT_BYTES = 2
_OPTIMIZER_BYTES = 12
# QLoRA, 2 and 3: 4-bit NormalFloat; a block of 64 has an 8-bit constant, 256 of these a 32-bit one: 4.127 bits.
_NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)
_ACTIVATION_BYTES = 2  # bf16, as the 16 bits of Korthikanti
_LOGIT_BYTES = 8  # 32-bit logits (Korthikanti 4.3), and beside them their gradient while the loss is differentiated
_MOST_TOKENS = 1 << 31
# Two norms of a layer keep what goes in, the matrices after them what comes out: four times the embedding.
_NORMED = 4


class Method(Enum):
    """How a model is trained."""

    FULL = auto()  # every weight, with AdamW in mixed precision
    LORA = auto()  # two thin matrices beside each linear layer; the model itself frozen in bf16
    QLORA = auto()  # the same beside a model frozen in 4 bits


@dataclass(frozen=True)
class TrainingNeed:
    """What one way of training takes, in bytes."""

    method: Method
    n_trained: int  # parameters that change
    weights_bytes: int  # of the model and, if there are, of the adapters
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.gradients_bytes + self.optimizer_bytes + self.activations_bytes


def training_needs(shape: ModelShape, n_ctx: int = USUAL_CONTEXT, batch: int = 1) -> tuple[TrainingNeed, ...]:
    """All ways of training, for `batch` texts of `n_ctx` tokens at a time. Raises BadInput for impossible numbers."""
    return tuple(training_need(shape, method, n_ctx, batch) for method in Method)


def training_need(shape: ModelShape, method: Method, n_ctx: int = USUAL_CONTEXT, batch: int = 1) -> TrainingNeed:
    """One way of training, with gradient checkpointing and flash attention. Raises BadInput for impossible numbers."""
    n_tokens = _checked(n_ctx, batch)
    n_trained = shape.n_params if method is Method.FULL else adapter_params(shape)
    return TrainingNeed(
        method,
        n_trained,
        weights_bytes=_weights_bytes(shape, method, n_trained),
        gradients_bytes=_GRADIENT_BYTES * n_trained,
        optimizer_bytes=_OPTIMIZER_BYTES * n_trained,
        activations_bytes=activations_bytes(shape, n_tokens) + _unpacked_bytes(shape, method),
    )


def adapter_params(shape: ModelShape, rank: int = LORA_RANK) -> int:
    """Numbers of a LoRA beside every linear layer of the blocks: rank x (in + out), for each expert by itself."""
    return sum(rank * _copies(one) * (one.shape[0] + _rows(one)) for one in _linears(shape))


def activations_bytes(shape: ModelShape, n_tokens: int) -> int:
    """What is kept for the way back when every layer is computed again (Korthikanti, 4 and 5).

    The input of every layer (2sbh each), and the larger of the two that are never there together: all activations of
    the one layer that is being differentiated, or the logits with their gradient.
    """
    inputs = shape.n_layers * _ACTIVATION_BYTES * shape.n_embd
    widest = max((_layer_numbers(shape, layer) for layer in shape.layers), default=0)
    return n_tokens * (inputs + max(_ACTIVATION_BYTES * widest, _LOGIT_BYTES * shape.n_vocab))


def _checked(n_ctx: int, batch: int) -> int:
    if n_ctx < 1 or batch < 1 or n_ctx * batch > _MOST_TOKENS:
        raise BadInput(
            f"{batch:,} texts of {n_ctx:,} tokens cannot be trained on at a time.",
            "Type a context and a batch of 1 or more; a usual start is one text of 2,048 tokens.",
        )
    return n_ctx * batch


def _weights_bytes(shape: ModelShape, method: Method, n_trained: int) -> int:
    if method is Method.FULL:
        return _WEIGHT_BYTES * n_trained
    packed = sum(one.n_elements for one in _linears(shape)) if method is Method.QLORA else 0
    frozen = _WEIGHT_BYTES * (shape.n_params - packed) + round(packed * _NF4_BITS / 8)
    return frozen + _WEIGHT_BYTES * n_trained


def _unpacked_bytes(shape: ModelShape, method: Method) -> int:
    """4-bit matrices are made bf16 one at a time, when they are multiplied with (QLoRA, 3: the computation type)."""
    if method is not Method.QLORA:
        return 0
    return _WEIGHT_BYTES * max((one.n_elements // _copies(one) for one in _linears(shape)), default=0)


def _layer_numbers(shape: ModelShape, layer: LayerShape) -> int:
    """Numbers that one token leaves behind in a layer, with flash attention (no scores) and without dropout."""
    linears = [one for one in layer.tensors if _is_linear(one, shape.architecture)]
    dispatched = shape.n_experts_used * shape.n_embd if any(one.is_expert for one in linears) else 0
    return _NORMED * shape.n_embd + dispatched + sum(_left_behind(shape, one) for one in linears)


def _left_behind(shape: ModelShape, linear: TensorInfo) -> int:
    uses = shape.n_experts_used if linear.is_expert else 1
    role = kind_of(linear.name, shape.architecture).role
    if role is Role.DOWN:
        return 2 * uses * linear.shape[0]  # the gate behind its activation, and its product with what goes up
    if role is Role.ATTENTION_OUTPUT:
        return linear.shape[0]
    return uses * _rows(linear)


def _linears(shape: ModelShape) -> list[TensorInfo]:
    """The matrices of all blocks; the embedding, the output, norms and routers are no part of it."""
    return [one for layer in shape.layers for one in layer.tensors if _is_linear(one, shape.architecture)]


def _is_linear(tensor: TensorInfo, architecture: str) -> bool:
    return n_dimensions(tensor.shape) > 1 and not kind_of(tensor.name, architecture).is_kept


def _copies(tensor: TensorInfo) -> int:
    return tensor.shape[2] if tensor.is_expert and len(tensor.shape) > 2 else 1


def _rows(tensor: TensorInfo) -> int:
    return prod(tensor.shape[1:]) // _copies(tensor)
