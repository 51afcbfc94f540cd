"""Models of which some layers look back a window only: which layers, and how each kind rotates."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.config import Config
from carryon.convert.families.model import Model
from carryon.convert.rope import Rope, Rotation, read_rope
from carryon.convert.write import Setting

WINDOW, WHOLE = "sliding_attention", "full_attention"


def window_settings(model: Model, usual_step: int) -> dict[str, Setting]:
    """The window, and for every layer whether it has it. Every `usual_step`-th layer looks at all if the config is
    silent. Raises BadFile for a list that does not fit."""
    config = model.config
    has_window = _has_window(config, model.n_layers, config.whole("sliding_window_pattern", usual_step))
    return {
        "attention.sliding_window": config.whole("sliding_window"),
        "attention.sliding_window_pattern": np.array(has_window, np.bool_),
    }


def _has_window(config: Config, n_layers: int, step: int) -> list[bool]:
    match config.values.get("layer_types"):
        case None:
            return [(layer + 1) % step != 0 for layer in range(n_layers)]
        case list() as kinds if len(kinds) == n_layers and all(kind in (WINDOW, WHOLE) for kind in kinds):
            return [kind == WINDOW for kind in kinds]
        case _:
            raise BadFile("The layer_types in config.json do not fit the model.", DOWNLOAD_AGAIN)


def two_ropes(model: Model, head_size: int, rotation: Rotation, base: float, window_base: float) -> tuple[Rope, Rope]:
    """How the layers that look at all rotate, and those with a window. Only the former are ever stretched.

    `base` and `window_base` hold where the config is silent. Raises Unsupported if the latter are stretched too.
    """
    both = model.config.values.get("rope_parameters")
    if isinstance(both, dict) and (WINDOW in both or WHOLE in both):
        whole, window = (_section(model.config, kind) for kind in (WHOLE, WINDOW))
    else:
        whole = model.config
        window = _only_base(model.config)
    ropes = read_rope(whole, head_size, base, rotation), read_rope(window, head_size, window_base, rotation)
    if any(key.startswith("rope.scaling") for key in ropes[1].settings):
        raise Unsupported("This model stretches its layers with a window, which llama.cpp cannot.", LOOK_FOR_GGUF)
    return ropes


def _section(config: Config, kind: str) -> Config:
    section = config.section("rope_parameters").section(kind)
    return _without_rope(config, {"rope_parameters": section.values} if section.values else {})


def _only_base(config: Config) -> Config:
    """Old configs: rope_scaling is for layers that look at all; windows have a base of their own, or the same."""
    base = config.values.get("rope_local_base_freq")
    return _without_rope(config, {"rope_theta": base} if base is not None else {})


def _without_rope(config: Config, more: Mapping[str, Any]) -> Config:
    kept = {key: value for key, value in config.values.items() if key not in ("rope_parameters", "rope_scaling")}
    return replace(config, values={**kept, **more})
