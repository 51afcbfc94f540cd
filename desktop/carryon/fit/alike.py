"""Layers that are stored alike: what is worked out from tensors is worked out for one layer of each kind."""

from collections.abc import Callable
from typing import TypeVar

from carryon.fit.remembered import per_family, per_shape
from carryon.gguf.shape import LayerShape, ModelShape, TensorInfo

Made = TypeVar("Made")


def each_layer(shape: ModelShape, make: Callable[[LayerShape], Made]) -> list[Made]:
    """What is made of every layer, by nothing but the extents and types of its tensors."""
    firsts = alike(shape)
    made = {index: make(shape.layers[index]) for index in dict.fromkeys(firsts)}
    return [made[index] for index in firsts]


@per_shape
def alike(shape: ModelShape) -> tuple[int, ...]:
    """For every layer the number of the first one with the same tensors in the same types."""
    seen: dict[tuple[int, tuple[int, ...]], int] = {}
    return tuple([
        seen.setdefault((extents, tuple([one.type_id for one in layer.tensors])), index)
        for index, (extents, layer) in enumerate(zip(_same_extents(shape), shape.layers, strict=True))
    ])  # fmt: skip


def short_name(tensor: TensorInfo) -> str:
    """blk.3.ffn_up.weight -> ffn_up; some architectures keep tensors with a layer that name none."""
    name = tensor.name.split(".", 2)[2] if tensor.name.startswith("blk.") else tensor.name
    return name.removesuffix(".weight")


@per_family
def _same_extents(shape: ModelShape) -> tuple[int, ...]:
    """For every layer the number of the first one with tensors of the same names and extents."""
    seen: dict[tuple[tuple[str, tuple[int, ...]], ...], int] = {}
    return tuple(
        seen.setdefault(tuple([(short_name(one), one.shape) for one in layer.tensors]), index)
        for index, layer in enumerate(shape.layers)
    )
