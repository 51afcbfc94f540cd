"""One file a model family: what its tensors and settings are called in GGUF."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.card import base_models, card_settings
from carryon.convert.checkpoint import Checkpoint
from carryon.convert.compressed import Way, compression_of, original_of, refusal
from carryon.convert.config import Config
from carryon.convert.families import (
    bert,
    cohere,
    deepseek,
    gemma,
    glm,
    gpt_oss,
    granite,
    llama,
    modern_bert,
    olmo,
    phi,
    qwen,
    starcoder,
)
from carryon.convert.fp8 import GROWN, dequantized, is_fp8
from carryon.convert.plan import FamilyPlan
from carryon.convert.pooling import pooling_settings
from carryon.convert.provenance import provenance_of

Planner = Callable[[Checkpoint], FamilyPlan]

# Families that are a table, and those with transforms of their own (ARCHITECTURES and plan).
TABLES = (llama, qwen, granite, olmo, gemma, phi, starcoder, glm, cohere)
OWN: tuple[Any, ...] = (gpt_oss, deepseek, bert, modern_bert)
FAMILIES: Mapping[str, Planner] = {
    **{name: family.plan for table in TABLES for family in table.FAMILIES for name in family.architectures},
    **{name: family.plan for family in OWN for name in family.ARCHITECTURES},
}


def architecture_of(config: Config) -> str:
    """The architecture that a config names; a model saved without its head is the same one.

    Raises BadFile if it names none.
    """
    match config.values.get("architectures"):
        case [str() as name, *_]:
            whole = f"{name.removesuffix('Model')}ForCausalLM"
            return whole if name not in FAMILIES and whole in FAMILIES else name
        case _:
            raise BadFile("config.json does not name the model's architecture.", DOWNLOAD_AGAIN)


def plan_of(checkpoint: Checkpoint) -> FamilyPlan:
    """The plan of whichever family a checkpoint names. Raises Unsupported for one that has no file here."""
    compression = compression_of(checkpoint.config)
    if compression and compression.way is not Way.OURS:
        raise refusal(compression, original_of(provenance_of(checkpoint.folder).repo, base_models(checkpoint.folder)))
    name = architecture_of(checkpoint.config)
    if name not in FAMILIES:
        raise Unsupported(f"Carryon cannot convert {name} models yet.", LOOK_FOR_GGUF)
    plan = FAMILIES[name](dequantized(checkpoint))
    if is_fp8(checkpoint):
        plan = replace(plan, warnings=(*plan.warnings, GROWN))
    said = {**card_settings(checkpoint.folder), **pooling_settings(checkpoint.folder, plan.architecture)}
    return replace(plan, settings={**said, **plan.settings})
