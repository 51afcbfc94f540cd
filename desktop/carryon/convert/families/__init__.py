"""One file a model family: what its tensors and settings are called in GGUF."""

from collections.abc import Callable, Mapping

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF, TAKE_ORIGINAL
from carryon.convert.checkpoint import Checkpoint
from carryon.convert.families import llama
from carryon.convert.plan import FamilyPlan

FAMILIES: Mapping[str, Callable[[Checkpoint], FamilyPlan]] = {
    architecture: family.plan for family in (llama,) for architecture in family.ARCHITECTURES
}


def plan_of(checkpoint: Checkpoint) -> FamilyPlan:
    """The plan of whichever family a checkpoint names. Raises Unsupported for one that has no file here."""
    config = checkpoint.config
    if config.has("quantization_config"):
        raise Unsupported(
            "This is a compressed copy of a model (its config has a quantization_config).",
            TAKE_ORIGINAL,
        )
    match config.values.get("architectures"):
        case [str() as name, *_]:
            pass
        case _:
            raise BadFile("config.json does not name the model's architecture.", DOWNLOAD_AGAIN)
    if name not in FAMILIES:
        raise Unsupported(f"Carryon cannot convert {name} models yet.", LOOK_FOR_GGUF)
    return FAMILIES[name](checkpoint)
