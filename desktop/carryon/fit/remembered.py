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
            of_shape = _kept_for(shape, kept)
        made = of_shape.get(further)
        if made is None:
            made = _keep(of_shape, further, make(shape, *further))
        return made

    return remembered


def per_family(make: Callable[..., Made]) -> Callable[..., Made]:
    """The same once for all quants of a model: for what does not depend on the types of the tensors."""
    kept: dict[int, dict[tuple[Hashable, ...], Made]] = {}

    @wraps(make)
    def remembered(shape: ModelShape, *further: Hashable) -> Made:
        of_family = kept.get(id(shape.family))
        if of_family is None:
            of_family = _kept_for(shape.family, kept)
        made = of_family.get(further)
        if made is None:
            made = _keep(of_family, further, make(shape, *further))
        return made

    return remembered


def _kept_for(owner: object, kept: dict[int, dict[tuple[Hashable, ...], Made]]) -> dict[tuple[Hashable, ...], Made]:
    """An empty memory, for as long as the owner lives."""
    weakref.finalize(owner, kept.pop, id(owner), None).atexit = False
    return kept.setdefault(id(owner), {})


def _keep(answers: dict[tuple[Hashable, ...], Made], key: tuple[Hashable, ...], made: Made) -> Made:
    if len(answers) >= _MOST:
        answers.clear()
    answers[key] = made
    return made
