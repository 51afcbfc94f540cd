"""What was measured as JSON, to be kept; read back with suspicion, for anybody may have written the file."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from carryon.evaluate.result import Measured

_LONGEST = 10_000
_LONGEST_WORD, _LONGEST_PATH = 200, 4096
_MOST = 2**63
Check = Callable[[Any], bool]


def as_json(measured: Measured) -> str:
    """One line of text."""
    told = asdict(measured)
    return json.dumps({name: str(value) if isinstance(value, Path) else value for name, value in told.items()})


def from_json(text: object) -> Measured | None:
    """The same read; None where it is of another version, or nonsense."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or set(told) != set(_CHECKS) or not all(_CHECKS[key](told[key]) for key in told):
        return None
    base = told["base"]
    return Measured(**{**told, "path": Path(told["path"]), "base": None if base is None else Path(base)})


def _number(least: float, most: float = math.inf) -> Check:
    def is_one(value: Any) -> bool:
        return type(value) in (int, float) and math.isfinite(value) and least <= value <= most

    return is_one


def _whole(least: int) -> Check:
    return lambda value: type(value) is int and least <= value < _MOST


def _text(longest: int) -> Check:
    return lambda value: isinstance(value, str) and len(value) <= longest and "\0" not in value and value.isprintable()


def _perhaps(check: Check) -> Check:
    return lambda value: value is None or check(value)


_SHARE = _perhaps(_number(0.0, 1.0))
_SPEED = _perhaps(_number(0.0))
_CHECKS: dict[str, Check] = {
    "path": _text(_LONGEST_PATH),
    "quant": _text(_LONGEST_WORD),
    "size_bytes": _whole(0),
    "bits_per_weight": _number(0.0, 1000.0),
    "perplexity": _number(0.0),
    "perplexity_error": _number(0.0),
    "kl_divergence": _perhaps(_number(-1.0)),  # rounding can make it a hair less than nothing
    "kl_error": _perhaps(_number(0.0)),
    "same_top": _SHARE,
    "rms_probability_change": _SHARE,
    "prefill_tokens_per_s": _SPEED,
    "decode_tokens_per_s": _SPEED,
    "memory_bytes": _whole(0),
    "n_tokens": _whole(1),
    "text_sha256": _text(64),
    "engine_version": _text(_LONGEST_WORD),
    "when_s": _number(0.0),
    "n_ctx": _whole(1),
    "base": _perhaps(_text(_LONGEST_PATH)),
    "base_quant": _text(_LONGEST_WORD),
    "base_perplexity": _perhaps(_number(0.0)),
}
