"""What one token costs on each device: bytes read to write it, and arithmetic to read it; sums, no speeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from carryon.fit.alike import each_layer
from carryon.fit.placement import Placement
from carryon.fit.remembered import per_family, per_shape
from carryon.fit.room import Rooms
from carryon.fit.spread import Span, Spread, spread
from carryon.gguf.quants import GGML_TYPES_BY_NAME, KvType
from carryon.gguf.shape import LayerShape, ModelShape, TensorInfo

Sums = tuple[float, ...]  # of the first 0, 1, 2 ... layers together

# Below four bits a type gains less than its bytes say: it has to be looked up or shifted together. Shares of its bytes,
# for a device that does not do it in passing (priors.Character.unpacking); from llama.cpp's tools/quantize/README.md.
_UNPACKING = {
    "Q3_K": 0.5, "Q2_K": 0.5, "IQ3_S": 0.6, "IQ3_XXS": 0.7, "IQ2_S": 1.3, "IQ2_XS": 1.3, "IQ2_XXS": 1.3, "IQ1_M": 1.6,
    "IQ1_S": 1.6,
}  # fmt: skip
_UNPACKING_BY_ID = {GGML_TYPES_BY_NAME[name].type_id: share for name, share in _UNPACKING.items()}


class Traffic(NamedTuple):
    """What one token touches on one device."""

    weights_bytes: float = 0.0  # read once for every token that is written
    unpacking_bytes: float = 0.0  # of low-bit types, weighted by how much harder they are to unpack than 4-bit ones
    params: float = 0.0  # weights that every token of a prompt is multiplied with
    kv_bytes: float = 0.0  # of the KV cache at this depth, and of the recurrent state
    attention: float = 0.0  # multiplications of a token with the keys and values before it
    n_layers: int = 0

    @property
    def is_idle(self) -> bool:
        return not (self.weights_bytes or self.n_layers)


_IDLE = Traffic()


class Traffics(NamedTuple):
    """One token's way through the machine: the RAM's share, the GPUs' in the order of the rooms."""

    ram: Traffic
    gpus: tuple[Traffic, ...]
    cpu_expert_layers: tuple[int, ...]  # of so many layers of each GPU the experts lie in RAM
    ram_stored_bytes: float  # weights in RAM that a GPU works with when it reads a prompt
    experts_stored_bytes: float  # the experts in RAM of layers whose rest is on a GPU, all of them
    is_sandwiched: bool  # layers have norms after attention and feed-forward as well

    @property
    def at_start(self) -> "Traffics":
        """The arithmetic with nothing in the context yet; the bytes of the cache stay, which only writing counts."""
        gpus = tuple([one._replace(attention=0.0) for one in self.gpus])
        return self._replace(ram=self.ram._replace(attention=0.0), gpus=gpus)


class _Amounts(NamedTuple):
    """What a run of layers amounts to for one token."""

    weights_bytes: float = 0.0
    unpacking_bytes: float = 0.0
    params: float = 0.0


@dataclass(frozen=True)
class _Sums:
    """Summed over the first 0, 1, 2 ... layers, so that any run of layers is one subtraction."""

    layers: tuple[_Amounts, ...]  # with the experts that a token uses
    experts: tuple[_Amounts, ...]  # only these
    head: _Amounts  # the output layer
    stored_bytes: Sums  # whole layers, all experts
    stored_expert_bytes: Sums
    is_sandwiched: bool


@dataclass(frozen=True)
class _CacheSums:
    """The KV cache by window, 0 looks back to the beginning: of one earlier token bytes and multiplications."""

    windows: tuple[tuple[int, Sums, Sums], ...]
    state_bytes: Sums  # recurrent state, read and written again


def traffics(shape: ModelShape, placement: Placement, rooms: Rooms, depth_tokens: int = 0) -> Traffics:
    """One token with `depth_tokens` tokens before it. Some microseconds once a shape is known."""
    lies = spread(shape.n_layers, placement, rooms)
    sums, caches = _sums(shape), _cache_sums(shape, placement.kv_type)
    n_cpu_experts = lies.n_cpu_experts if shape.is_moe else 0
    gpus = tuple([_traffic(sums, caches, span, depth_tokens) for span in lies.gpus])
    ram = _traffic(sums, caches, lies.ram, depth_tokens)
    stored = _between(sums.stored_bytes, lies.ram) + (sums.head.weights_bytes if lies.ram.has_output else 0.0)
    plain = Traffics(ram, gpus, (0,) * len(gpus), stored, 0.0, sums.is_sandwiched)
    return _with_cpu_experts(sums, lies, plain, n_cpu_experts) if n_cpu_experts else plain


def _traffic(sums: _Sums, caches: _CacheSums, span: Span, depth: int) -> Traffic:
    if span.is_empty:
        return _IDLE
    weights, unpacking, params = _of(sums.layers, span.first, span.end)
    if span.has_output:
        weights, unpacking, params = (
            weights + sums.head.weights_bytes, unpacking + sums.head.unpacking_bytes, params + sums.head.params
        )  # fmt: skip
    kv_bytes, attention = _between(caches.state_bytes, span), 0.0
    for window, per_token, multiplications in caches.windows:
        seen = min(depth, window) if window else depth
        kv_bytes += seen * _between(per_token, span)
        attention += seen * _between(multiplications, span)
    return Traffic(weights, unpacking, params, kv_bytes, attention, span.end - span.first)


def _with_cpu_experts(sums: _Sums, lies: Spread, plain: Traffics, count: int) -> Traffics:
    """Moves the experts of the first layers from their GPUs to the RAM."""
    moved = [Span(span.first, max(span.first, min(span.end, count))) for span in lies.gpus]
    experts = [_of(sums.experts, span.first, span.end) for span in moved]
    return plain._replace(
        ram=_changed(plain.ram, experts, 1),
        gpus=tuple(_changed(whole, [gone], -1) for whole, gone in zip(plain.gpus, experts, strict=True)),
        cpu_expert_layers=tuple(one.n_layers for one in moved),
        experts_stored_bytes=sum(_between(sums.stored_expert_bytes, one) for one in moved),
    )


def _changed(one: Traffic, by: Sequence[_Amounts], sign: int) -> Traffic:
    return one._replace(
        weights_bytes=one.weights_bytes + sign * sum(each.weights_bytes for each in by),
        unpacking_bytes=one.unpacking_bytes + sign * sum(each.unpacking_bytes for each in by),
        params=one.params + sign * sum(each.params for each in by),
    )


def _of(sums: tuple[_Amounts, ...], first: int, end: int) -> _Amounts:
    low, high = sums[first], sums[end]
    return _Amounts(high[0] - low[0], high[1] - low[1], high[2] - low[2])


def _between(sums: Sums, span: Span) -> float:
    return sums[span.end] - sums[span.first]


@per_shape
def _sums(shape: ModelShape) -> _Sums:
    used = shape.n_experts_used / shape.n_experts if shape.n_experts else 1.0
    dense = each_layer(shape, lambda layer: _amounts(one for one in layer.tensors if not one.is_expert))
    experts = each_layer(shape, lambda layer: _amounts(one for one in layer.tensors if one.is_expert))
    touched = [_Amounts(*(used * amount for amount in one)) for one in experts]
    return _Sums(
        layers=_added_up(map(_together, dense, touched)),
        experts=_added_up(touched),
        head=_amounts(_head(shape)),
        stored_bytes=_summed(_together(*pair).weights_bytes for pair in zip(dense, experts, strict=True)),
        stored_expert_bytes=_summed(one.weights_bytes for one in experts),
        is_sandwiched=any("post_ffw_norm" in one.name for layer in shape.layers[:1] for one in layer.tensors),
    )


def _amounts(tensors: Iterable[TensorInfo]) -> _Amounts:
    """Only matrices are multiplied with; a bias or a norm is added."""
    kept = tuple(tensors)
    return _Amounts(
        float(sum(one.size_bytes for one in kept)),
        sum(_UNPACKING_BY_ID.get(one.type_id, 0.0) * one.size_bytes for one in kept),
        float(sum(one.n_elements for one in kept if len(one.shape) > 1)),
    )


def _together(one: _Amounts, other: _Amounts) -> _Amounts:
    return _Amounts(one[0] + other[0], one[1] + other[1], one[2] + other[2])


def _added_up(amounts: Iterable[_Amounts]) -> tuple[_Amounts, ...]:
    return tuple(accumulate(amounts, _together, initial=_Amounts()))


def _head(shape: ModelShape) -> tuple[TensorInfo, ...]:
    """The output layer; a tied model multiplies with its token embedding instead."""
    if not shape.is_tied:
        return shape.output_tensors
    return (*shape.output_tensors, *(one for one in shape.input_tensors if one.name == "token_embd.weight"))


@per_family
def _cache_sums(shape: ModelShape, kv_type: KvType) -> _CacheSums:
    windows = dict.fromkeys(layer.attention.window for layer in shape.layers if layer.attention)
    return _CacheSums(
        tuple(
            (
                window,
                _summed(_kv_bytes(layer, window, kv_type) for layer in shape.layers),
                _summed(_attention(layer, window) for layer in shape.layers),
            )
            for window in windows
        ),
        _summed(2.0 * layer.recurrent_bytes for layer in shape.layers),
    )


def _kv_bytes(layer: LayerShape, window: int, kv_type: KvType) -> float:
    """Keys and values of one token, where this layer looks back so far.

    A quantized cache counts as one of 16 bits: what it saves in reading it costs in unpacking, so no gain is promised.
    """
    kept = layer.attention
    if kept is None or kept.window != window:
        return 0.0
    return max(16.0, kv_type.ggml.bits_per_weight) / 8 * kept.n_kv_heads * (kept.key_length + kept.value_length)


def _attention(layer: LayerShape, window: int) -> float:
    """Multiplications of one token's heads with one earlier token; MLA reads the keys as values too."""
    kept = layer.attention
    if kept is None or kept.window != window:
        return 0.0
    return float(kept.n_heads * (kept.key_length + (kept.value_length or kept.key_length)))


def _summed(values: Iterable[float]) -> Sums:
    return tuple(accumulate(values, initial=0.0))
