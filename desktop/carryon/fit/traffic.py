"""What one token costs on each device: bytes read to write it, and arithmetic to read it; sums, no speeds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from carryon.fit.placement import Placement
from carryon.fit.remembered import per_shape
from carryon.fit.room import Rooms
from carryon.fit.spread import Span, Spread, spread
from carryon.gguf.quants import KvType
from carryon.gguf.shape import LayerShape, ModelShape, TensorInfo

Sums = tuple[float, ...]  # of the first 0, 1, 2 ... layers together


@dataclass(frozen=True)
class Traffic:
    """What one token touches on one device."""

    weights_bytes: float = 0.0  # read once for every token that is written
    kv_bytes: float = 0.0  # of the KV cache at this depth, and of the recurrent state
    n_layers: int = 0
    params: float = 0.0  # weights that every token of a prompt is multiplied with
    attention: float = 0.0  # multiplications of a token with the keys and values before it

    @property
    def is_idle(self) -> bool:
        return not (self.weights_bytes or self.n_layers)


@dataclass(frozen=True)
class Traffics:
    """One token's way through the machine: the RAM's share, the GPUs' in the order of the rooms."""

    ram: Traffic
    gpus: tuple[Traffic, ...]
    cpu_expert_layers: tuple[int, ...] = ()  # of so many layers of each GPU the experts lie in RAM
    cpu_experts: Traffic = Traffic()  # what these experts are of `ram`
    ram_stored_bytes: float = 0.0  # weights in RAM that a GPU works with when it reads a prompt
    experts_stored_bytes: float = 0.0  # the experts in RAM of layers whose rest is on a GPU, all of them


@dataclass(frozen=True)
class _Sums:
    """Summed over layers, so that any run of layers is one subtraction."""

    dense_bytes: Sums
    expert_bytes: Sums  # what one token reads of the experts
    dense_params: Sums
    expert_params: Sums
    stored_bytes: Sums  # whole layers, all experts
    stored_expert_bytes: Sums
    head_bytes: float  # the output layer
    head_params: float


@dataclass(frozen=True)
class _CacheSums:
    """The KV cache by window: 0 looks back to the beginning."""

    per_token: tuple[tuple[int, Sums], ...]  # bytes of one token's keys and values
    attention: tuple[tuple[int, Sums], ...]  # multiplications with one token's keys and values
    state_bytes: Sums  # recurrent state, read and written again


def traffics(shape: ModelShape, placement: Placement, rooms: Rooms, depth_tokens: int = 0) -> Traffics:
    """One token with `depth_tokens` tokens before it. Some microseconds once a shape is known."""
    lies = spread(shape.n_layers, placement, rooms)
    sums, caches = _sums(shape), _cache_sums(shape, placement.kv_type)
    everywhere = [_span(sums, caches, span, depth_tokens) for span in (lies.ram, *lies.gpus)]
    if not lies.n_cpu_experts or not shape.is_moe:
        return Traffics(everywhere[0], tuple(everywhere[1:]), (0,) * len(lies.gpus), Traffic(), _stored(sums, lies))
    return _with_cpu_experts(sums, lies, everywhere)


def _span(sums: _Sums, caches: _CacheSums, span: Span, depth: int) -> Traffic:
    if span.is_empty:
        return Traffic()
    weights = _of(sums.dense_bytes, span) + _of(sums.expert_bytes, span)
    params = _of(sums.dense_params, span) + _of(sums.expert_params, span)
    if span.has_output:
        weights, params = weights + sums.head_bytes, params + sums.head_params
    kv_bytes = _windowed(caches.per_token, span, depth) + _of(caches.state_bytes, span)
    return Traffic(weights, kv_bytes, span.n_layers, params, _windowed(caches.attention, span, depth))


def _with_cpu_experts(sums: _Sums, lies: Spread, everywhere: list[Traffic]) -> Traffics:
    """Moves the experts of the first layers from their GPUs to the RAM."""
    moved = [Span(span.first, max(span.first, min(span.end, lies.n_cpu_experts))) for span in lies.gpus]
    experts = [Traffic(_of(sums.expert_bytes, one), params=_of(sums.expert_params, one)) for one in moved]
    gpus = tuple(_less(whole, gone) for whole, gone in zip(everywhere[1:], experts, strict=True))
    together = Traffic(sum(one.weights_bytes for one in experts), params=sum(one.params for one in experts))
    stored = sum(_of(sums.stored_expert_bytes, one) for one in moved)
    ram = _plus(everywhere[0], together)
    return Traffics(ram, gpus, tuple(one.n_layers for one in moved), together, _stored(sums, lies), stored)


def _stored(sums: _Sums, lies: Spread) -> float:
    return _of(sums.stored_bytes, lies.ram) + (sums.head_bytes if lies.ram.has_output else 0.0)


def _of(sums: Sums, span: Span) -> float:
    return sums[span.end] - sums[span.first]


def _windowed(sums: Sequence[tuple[int, Sums]], span: Span, depth: int) -> float:
    return sum(_of(one, span) * (min(depth, window) if window else depth) for window, one in sums)


def _less(whole: Traffic, gone: Traffic) -> Traffic:
    return Traffic(
        whole.weights_bytes - gone.weights_bytes, whole.kv_bytes, whole.n_layers, whole.params - gone.params,
        whole.attention,
    )  # fmt: skip


def _plus(one: Traffic, more: Traffic) -> Traffic:
    return Traffic(
        one.weights_bytes + more.weights_bytes, one.kv_bytes, one.n_layers, one.params + more.params, one.attention
    )


@per_shape
def _sums(shape: ModelShape) -> _Sums:
    used = shape.n_experts_used / shape.n_experts if shape.n_experts else 1.0
    dense = [[one for one in layer.tensors if not one.is_expert] for layer in shape.layers]
    experts = [[one for one in layer.tensors if one.is_expert] for layer in shape.layers]
    head = _head(shape)
    return _Sums(
        dense_bytes=_summed(map(_bytes, dense)),
        expert_bytes=_summed(_bytes(one) * used for one in experts),
        dense_params=_summed(map(_params, dense)),
        expert_params=_summed(_params(one) * used for one in experts),
        stored_bytes=_summed(_bytes(layer.tensors) for layer in shape.layers),
        stored_expert_bytes=_summed(map(_bytes, experts)),
        head_bytes=_bytes(head),
        head_params=_params(head),
    )


def _head(shape: ModelShape) -> tuple[TensorInfo, ...]:
    """The output layer; a tied model multiplies with its token embedding instead."""
    if not shape.is_tied:
        return shape.output_tensors
    return (*shape.output_tensors, *(one for one in shape.input_tensors if one.name == "token_embd.weight"))


@per_shape
def _cache_sums(shape: ModelShape, kv_type: KvType) -> _CacheSums:
    windows = Counter(layer.attention.window for layer in shape.layers if layer.attention)
    return _CacheSums(
        tuple((one, _summed(_kv_bytes(layer, one, kv_type) for layer in shape.layers)) for one in windows),
        tuple((one, _summed(_attention(layer, one) for layer in shape.layers)) for one in windows),
        _summed(2.0 * layer.recurrent_bytes for layer in shape.layers),
    )


def _kv_bytes(layer: LayerShape, window: int, kv_type: KvType) -> float:
    """Keys and values of one token, where this layer looks back so far."""
    kept = layer.attention
    if kept is None or kept.window != window:
        return 0.0
    return kv_type.ggml.bits_per_weight / 8 * kept.n_kv_heads * (kept.key_length + kept.value_length)


def _attention(layer: LayerShape, window: int) -> float:
    """Multiplications of one token's heads with one earlier token; MLA reads the keys as values too."""
    kept = layer.attention
    if kept is None or kept.window != window:
        return 0.0
    return float(kept.n_heads * (kept.key_length + (kept.value_length or kept.key_length)))


def _bytes(tensors: Iterable[TensorInfo]) -> float:
    return float(sum(one.size_bytes for one in tensors))


def _params(tensors: Iterable[TensorInfo]) -> float:
    """Only matrices are multiplied with; a bias or a norm is added."""
    return float(sum(one.n_elements for one in tensors if len(one.shape) > 1))


def _summed(values: Iterable[float]) -> Sums:
    return tuple(accumulate(values, initial=0.0))
