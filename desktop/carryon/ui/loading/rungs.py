"""After a load that ran out of memory although the plan had held: the next smaller way, to be offered."""

import math
from collections.abc import Iterator
from dataclasses import replace

from carryon.fit.memory import Placement
from carryon.fit.plan import Change, Fit, Repair, Site, Wishes, assess
from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape

_LEAST_CONTEXT = 1024
_STEP = 8  # an eighth of the layers at a time: a few clicks from everything to nothing


def next_rung(fit: Fit, wishes: Wishes, site: Site, *, is_gpu_full: bool) -> Repair | None:
    """The gentlest change that takes less of the memory that was too small; None where nothing is left to give up."""
    for change, placement in _smaller(fit.placement, fit.candidate.shape, is_gpu_full=is_gpu_full):
        smaller = assess(fit.candidate, placement, site)
        saves_bytes = _held(fit, is_gpu_full) - _held(smaller, is_gpu_full)
        if saves_bytes > 0:
            speedup = smaller.decode.high / fit.decode.high if fit.decode.high else 1.0
            return Repair(_pinned(wishes, placement), smaller, saves_bytes, speedup, change)
    return None


def _smaller(placed: Placement, shape: ModelShape, *, is_gpu_full: bool) -> Iterator[tuple[Change, Placement]]:
    """First what costs only speed, then what costs exactness, then what costs memory of the talk."""
    if is_gpu_full:
        step = math.ceil(shape.n_layers / _STEP)
        if shape.is_moe and placed.n_cpu_experts < shape.n_layers:
            yield Change.EXPERTS, replace(placed, n_cpu_experts=min(shape.n_layers, placed.n_cpu_experts + step))
        if placed.n_gpu_layers:
            yield Change.LAYERS, replace(placed, n_gpu_layers=max(0, placed.n_gpu_layers - step))
    if placed.n_ubatch > 128:
        yield Change.UBATCH, replace(placed, n_ubatch=128)
    if not placed.kv_type.is_quantized:
        yield Change.KV_TYPE, replace(placed, kv_type=KvType.Q8_0)
    if placed.n_ctx > _LEAST_CONTEXT:
        yield Change.CONTEXT, replace(placed, n_ctx=max(_LEAST_CONTEXT, placed.n_ctx // 2))


def _held(fit: Fit, is_gpu_full: bool) -> int:
    return sum(one.total_bytes for one in fit.need.gpus) if is_gpu_full else fit.need.ram.total_bytes


def _pinned(wishes: Wishes, placed: Placement) -> Wishes:
    return replace(
        wishes, n_ctx=placed.n_ctx, kv_type=placed.kv_type, n_gpu_layers=placed.n_gpu_layers,
        n_cpu_experts=placed.n_cpu_experts, n_ubatch=placed.n_ubatch,
    )  # fmt: skip
