"""Rotary embeddings whose reach was stretched: a config's scaling in GGUF's settings, or as a tensor of factors.

Formulas: transformers/modeling_rope_utils.py. Keys and their use: llama.cpp src/llama-model.cpp and llama-context.cpp.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.config import Config
from carryon.convert.plan import Made
from carryon.convert.write import Setting

# What llama.cpp reads of YaRN from the files of a few other architectures only; for this one it takes these values.
USUAL_YARN = {"truncate": True, "beta_fast": 32, "beta_slow": 1, "mscale": None, "mscale_all_dim": None}


@dataclass(frozen=True)
class Rope:
    """Rotary settings without the architecture's prefix, and the tensors of factors if there are any."""

    settings: Mapping[str, Setting]
    tensors: tuple[Made, ...] = ()
    warnings: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Rotation:
    """What an architecture of llama.cpp can do: ways to stretch by transformers' names, and parts of heads."""

    kinds: tuple[str, ...] = ("default", "linear", "dynamic", "yarn")
    old_names: Mapping[str, str] = field(default_factory=dict)  # what early configs called some of them
    can_be_partial: bool = False


def read_rope(config: Config, head_size: int, default_base: float, rotation: Rotation | None = None) -> Rope:
    """The rotary embedding of a config, old style (rope_theta, rope_scaling) or new (rope_parameters)."""
    rotation = rotation or LLAMA
    scaling = config.section("rope_parameters" if config.has("rope_parameters") else "rope_scaling")
    base = _positive(scaling, "rope_theta", config.number("rope_theta", default_base))
    n_rotated = _rotated(config, scaling, head_size, rotation)
    kind = scaling.text("rope_type", scaling.text("type", "default"))
    kind = rotation.old_names.get(kind, kind)
    if kind not in rotation.kinds:
        raise Unsupported(
            f"This model stretches its context by the method {kind!r}, which Carryon cannot convert.", LOOK_FOR_GGUF
        )
    rope = KINDS[kind](scaling, config, base, n_rotated)
    settings = {"rope.freq_base": base, "rope.dimension_count": n_rotated, **rope.settings}
    return Rope(settings, rope.tensors, rope.warnings)


def _rotated(config: Config, scaling: Config, head_size: int, rotation: Rotation) -> int:
    """How many of a head's values are rotated."""
    share = scaling.number("partial_rotary_factor", config.number("partial_rotary_factor", 1.0))
    n_rotated = int(head_size * share)
    if n_rotated == head_size:
        return head_size
    if not rotation.can_be_partial:
        raise Unsupported(
            "This model rotates only a part of each head, which llama.cpp cannot for its family.", LOOK_FOR_GGUF
        )
    if not 0 < n_rotated <= head_size or n_rotated % 2:
        raise BadFile(f"config.json says partial_rotary_factor = {share}, which cannot be.", DOWNLOAD_AGAIN)
    return n_rotated


def llama3_factors(base: float, head_size: int, scaling: Config) -> Made:
    """By how much each pair of dimensions is slowed: 1 for short waves, `factor` for long ones, smooth between."""
    factor, original = _positive(scaling, "factor"), _positive(scaling, "original_max_position_embeddings")
    low, high = _positive(scaling, "low_freq_factor"), _positive(scaling, "high_freq_factor")
    if low >= high:
        raise BadFile("config.json gives factors for the stretched context that make no sense.", DOWNLOAD_AGAIN)
    frequencies = base ** -(np.arange(0, head_size, 2, dtype=np.float64) / head_size)
    turns = original * frequencies / (2 * math.pi)
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return Made("rope_freqs.weight", (1 / ((1 - smooth) / factor + smooth)).astype(np.float32))


def _plain(scaling: Config, config: Config, base: float, head_size: int) -> Rope:
    return Rope({})


def _linear(scaling: Config, config: Config, base: float, head_size: int) -> Rope:
    return Rope({"rope.scaling.type": "linear", "rope.scaling.factor": _positive(scaling, "factor")})


def _dynamic(scaling: Config, config: Config, base: float, head_size: int) -> Rope:
    reach = config.whole("max_position_embeddings", 2048)
    return Rope({}, (), (f"Beyond {reach:,} tokens this model stretches itself as it goes; llama.cpp does not.",))


def _llama3(scaling: Config, config: Config, base: float, head_size: int) -> Rope:
    return Rope({}, (llama3_factors(base, head_size, scaling),))


def _yarn(scaling: Config, config: Config, base: float, head_size: int) -> Rope:
    for key, usual in USUAL_YARN.items():
        if scaling.values.get(key) not in (None, usual):
            raise Unsupported(
                f"This model stretches its context by YaRN with its own {key}, which llama.cpp cannot.",
                LOOK_FOR_GGUF,
            )
    factor = _positive(scaling, "factor")
    settings: dict[str, Setting] = {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": factor,
        "rope.scaling.original_context_length": scaling.whole(
            "original_max_position_embeddings", config.whole("max_position_embeddings", 2048)
        ),
    }
    if factor < 1:
        raise BadFile(f"config.json says {scaling.path}factor = {factor}, which cannot be.", DOWNLOAD_AGAIN)
    if scaling.has("attention_factor"):
        # llama.cpp multiplies by 0.1 ln(factor) + 1 of its own accord (ggml rope_yarn)
        settings["rope.scaling.attn_factor"] = _positive(scaling, "attention_factor") / (0.1 * math.log(factor) + 1)
    return Rope(settings)


def _longrope(scaling: Config, config: Config, base: float, head_size: int) -> Rope:
    """Two tensors of factors: llama.cpp takes the long one if its context is longer than the original."""
    reach = config.whole("max_position_embeddings")
    own = config.whole("original_max_position_embeddings", reach)
    original = scaling.whole("original_max_position_embeddings", own, least=2)
    stretch = scaling.number("factor", reach / original)
    usual = 1.0 if stretch <= 1 else math.sqrt(1 + math.log(stretch) / math.log(original))
    factors = {name: _factors(scaling, f"{name}_factor", head_size // 2) for name in ("long", "short")}
    settings: dict[str, Setting] = {
        "rope.scaling.original_context_length": original,
        "rope.scaling.attn_factor": _positive(scaling, "attention_factor", usual),
    }
    tensors = tuple(Made(f"rope_factors_{name}.weight", values) for name, values in factors.items())
    return Rope(settings, tensors)


def _factors(scaling: Config, key: str, n_values: int) -> NDArray[np.float32]:
    values = scaling.values.get(key)
    if not _are_factors(values, n_values):
        raise BadFile(
            f"config.json should hold {n_values} numbers as {scaling.path}{key}, and does not.", DOWNLOAD_AGAIN
        )
    return np.array(values, np.float32)


def _are_factors(values: Any, n_values: int) -> bool:
    if not isinstance(values, list) or len(values) != n_values:
        return False
    return all(type(one) in (int, float) and 1e-6 < one < 1e6 for one in values)


def _positive(scaling: Config, key: str, default: float | None = None) -> float:
    value = scaling.number(key, default)
    if value <= 0:
        raise BadFile(f"config.json says {scaling.path}{key} = {value}, which cannot be.", DOWNLOAD_AGAIN)
    return value


KINDS: Mapping[str, Callable[[Config, Config, float, int], Rope]] = {
    "default": _plain,
    "linear": _linear,
    "dynamic": _dynamic,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
}
PLAIN = Rotation()
LLAMA = Rotation(("default", "linear", "dynamic", "llama3", "yarn"))
