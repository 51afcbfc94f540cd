"""Sums that are made once for each shape: a shape has a thousand tensors, and a plan asks hundreds of times."""

import weakref
from collections.abc import Callable, Hashable
from functools import wraps
from typing import TypeVar

from carryon.gguf.shape import ModelShape

Made = TypeVar("Made")
_MOST = 4096  # answers kept for one shape: a slider that was moved for long


def per_shape(make: Callable[..., Made]) -> Callable[..., Made]:
    """Calls `make(shape, *further)` once for each living shape and each further arguments, then answers from memory.

    Shapes are told apart by identity: to hash one would walk all its tensors. What is made must not hold the shape.
    """
    kept: dict[int, dict[tuple[Hashable, ...], Made]] = {}

    @wraps(make)
    def remembered(shape: ModelShape, *further: Hashable) -> Made:
        of_shape = kept.get(id(shape))
        if of_shape is None:
            of_shape = kept[id(shape)] = {}
            weakref.finalize(shape, kept.pop, id(shape), None).atexit = False
        made = of_shape.get(further)
        if made is None:
            if len(of_shape) >= _MOST:
                of_shape.clear()
            made = of_shape[further] = make(shape, *further)
        return made

    return remembered
