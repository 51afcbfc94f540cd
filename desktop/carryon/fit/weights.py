"""Where the weights lie: the bytes of every device, padding included, as the engine places them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from carryon.fit.alike import each_layer
from carryon.fit.remembered import per_shape
from carryon.fit.room import Backend, Rooms
from carryon.fit.spread import Span, Spread
from carryon.fit.storage import stored_bytes
from carryon.gguf.shape import LayerShape, ModelShape, TensorInfo


@dataclass(frozen=True)
class WeightSums:
    """The weights of a shape as one kind of device stores them; sums[i] = bytes of the layers before layer i."""

    layers: tuple[int, ...]
    experts: tuple[int, ...]
    input_bytes: int
    output_bytes: int
    shared_bytes: int  # once on every device that has a layer
    tied_bytes: int  # the token embedding, which a tied model loads a second time beside an output layer on a GPU

    def of_layers(self, span: Span) -> int:
        return self.layers[span.end] - self.layers[span.first]

    def of_experts(self, span: Span, n_layers: int) -> int:
        """The experts among the first `n_layers` layers that belong to this span."""
        return self.experts[max(min(span.end, n_layers), span.first)] - self.experts[span.first]


@per_shape
def weight_sums(shape: ModelShape, backend: Backend) -> WeightSums:
    """The sums of a shape on such a device; walks all tensors, once."""

    def stored(tensors: Iterable[TensorInfo]) -> int:
        return sum(stored_bytes(one, backend) for one in tensors)

    def experts(layer: LayerShape) -> int:
        return stored(one for one in layer.tensors if one.is_expert)

    embedding = [one for one in shape.input_tensors if one.name == "token_embd.weight"]
    return WeightSums(
        layers=_running(each_layer(shape, lambda layer: stored(layer.tensors))),
        experts=_running(each_layer(shape, experts)),
        input_bytes=stored(shape.input_tensors),
        output_bytes=stored(shape.output_tensors),
        shared_bytes=stored(shape.shared_tensors),
        tied_bytes=stored(embedding) if shape.is_tied else 0,
    )


def ram_weights_bytes(shape: ModelShape, spread: Spread) -> int:
    """The token embedding, the layers that are not offloaded, and the experts that stay behind."""
    sums = weight_sums(shape, Backend.CPU)
    behind = sum([sums.of_experts(span, spread.n_cpu_experts) for span in spread.gpus]) if spread.n_cpu_experts else 0
    return sums.input_bytes + behind + _span_bytes(sums, spread.ram) - sums.tied_bytes * spread.ram.has_output


def gpu_weights_bytes(shape: ModelShape, spread: Spread, rooms: Rooms) -> tuple[int, ...]:
    """What every GPU of the rooms holds."""
    return tuple([
        0 if span.is_empty else _held(weight_sums(shape, room.backend), span, spread.n_cpu_experts)
        for span, room in zip(spread.gpus, rooms.gpus, strict=True)
    ])  # fmt: skip


def _held(sums: WeightSums, span: Span, n_cpu_experts: int) -> int:
    experts = sums.of_experts(span, n_cpu_experts) if n_cpu_experts else 0
    return _span_bytes(sums, span) - experts


def _span_bytes(sums: WeightSums, span: Span) -> int:
    output = sums.output_bytes + sums.tied_bytes if span.has_output else 0
    shared = sums.shared_bytes if span.n_layers else 0
    return sums.of_layers(span) + shared + output


def _running(sizes: Iterable[int]) -> tuple[int, ...]:
    return tuple(accumulate(sizes, initial=0))
