"""Whether wishes can be met at all: what cannot is answered with a sentence and the next step."""

from collections.abc import Sequence

from carryon.base.errors import BadInput
from carryon.fit.answers import Candidate, Wishes
from carryon.fit.remembered import per_family
from carryon.fit.room import Rooms
from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape

MOST_CONTEXT = 1 << 24  # 16 million tokens: beyond every model there is
MOST_PARALLEL = 256  # llama.cpp: LLAMA_MAX_SEQ
MOST_UBATCH = 1 << 16


def check(candidates: Sequence[Candidate], wishes: Wishes, rooms: Rooms) -> None:
    """Raises BadInput for the first wish that makes no sense."""
    if not candidates:
        raise BadInput("There is no model to plan for.", "Choose a GGUF file.")
    _check_number("context", wishes.n_ctx, 1, MOST_CONTEXT, "tokens, for instance 8192")
    _check_number("number of GPU layers", wishes.n_gpu_layers, 0, None, "0 for the processor alone")
    _check_number("number of layers with experts in RAM", wishes.n_cpu_experts, 0, None, "0 to keep all on the GPU")
    _check_number("ubatch", wishes.n_ubatch, 1, MOST_UBATCH, "tokens, usually 512")
    _check_number("number of parallel slots", wishes.n_parallel, 1, MOST_PARALLEL, "usually 1")
    _check_quant(candidates, wishes)
    _check_kv_type(candidates[0].shape, wishes)
    _check_gpus(wishes, rooms)


def _check_number(what: str, number: int | None, least: int, most: int | None, example: str) -> None:
    if number is None or least <= number <= (number if most is None else most):
        return
    span = f"from {least:,}" if most is None else f"from {least:,} to {most:,}"
    raise BadInput(f"The {what} cannot be {number:,}.", f"Choose a number {span} ({example}).")


def _check_quant(candidates: Sequence[Candidate], wishes: Wishes) -> None:
    names = [one.quant for one in candidates]
    if wishes.quant is not None and wishes.quant not in names:
        raise BadInput(f"There is no {wishes.quant} of this model.", f"Choose one of {', '.join(names)}.")


@per_family
def kv_type_fits(shape: ModelShape, kv_type: KvType) -> bool:
    """Whether the heads can be cut into the type's blocks (llama-context.cpp refuses the others)."""
    block = kv_type.ggml.block_elements
    return all(
        layer.attention.key_length % block == 0 and layer.attention.value_length % block == 0
        for layer in shape.layers
        if layer.attention
    )


def _check_kv_type(shape: ModelShape, wishes: Wishes) -> None:
    if wishes.kv_type is None or kv_type_fits(shape, wishes.kv_type):
        return
    named, block = wishes.kv_type.value, wishes.kv_type.ggml.block_elements
    raise BadInput(
        f"This model's KV cache cannot be kept in {named}: its heads are no multiple of {block} numbers.",
        f"Choose {KvType.F16.value} for the KV cache.",
    )


def _check_gpus(wishes: Wishes, rooms: Rooms) -> None:
    names = [room.name for room in rooms.gpus]
    unknown = next((name for name in wishes.gpus or () if name not in names), None)
    if unknown is not None:
        hint = f"Choose from {', '.join(names)}." if names else "Plan without a GPU: none can be used here."
        raise BadInput(f"There is no GPU named {unknown} here.", hint)
