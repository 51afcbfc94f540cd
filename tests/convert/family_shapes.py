"""Checkpoints of every table family that exist in memory only: a config, and the tensors that its table asks for.

That the tables are right is shown against transformers; these checkpoints are for what is wrong with a model.
"""

from pathlib import Path

from family_models import CASES, SMALL

from carryon.convert.checkpoint import Checkpoint, Number, SourceTensor
from carryon.convert.config import Config
from carryon.convert.families import TABLES
from carryon.convert.families.model import sizes_of, text_model
from carryon.convert.families.rules import EMBEDDING, OUTPUT

MODEL_TYPES = {
    "Gemma3Text": "gemma3_text",
    "GraniteMoe": "granitemoe",
    "GraniteMoeShared": "granitemoeshared",
    "Qwen2Moe": "qwen2_moe",
    "Qwen3Moe": "qwen3_moe",
}
FAMILIES = {name: family for table in TABLES for family in table.FAMILIES for name in family.architectures}


def config_of(name):
    """As transformers writes it for a case of the parity tests; not the deepest one, for the time's sake."""
    kind = CASES[name].config
    return {
        **SMALL,
        **CASES[name].changes,
        "architectures": [f"{kind.removesuffix('Text')}ForCausalLM"],
        "model_type": MODEL_TYPES.get(kind, kind.lower()),
    }


def shapes_of(config, layout=0):
    """Every tensor that the table has a rule for, in one of the layouts that experts may have."""
    family = FAMILIES[config["architectures"][0]]
    embedding = {EMBEDDING.source: SourceTensor("", Number.BF16, (config["vocab_size"], 1), Path(), 0)}
    model = text_model(Checkpoint(Path(), Config(config), embedding), family.defaults)
    sizes = sizes_of(model, family.sizes)
    rules = [EMBEDDING, *family.rules, *(family.layouts[layout] if family.layouts else ())]
    return {
        rule.source.format(layer, expert=expert): tuple(sizes[size] for size in rule.shape)
        for rule in (rules if config.get("tie_word_embeddings", True) else [*rules, OUTPUT])
        for layer in (range(model.n_layers) if "{}" in rule.source else (0,))
        for expert in (range(sizes["experts"]) if "{expert}" in rule.source else (0,))
    }


def checkpoint(config, shapes):
    file = Path("model.safetensors")
    tensors = {
        name: SourceTensor(name, Number.BF16, shape, file, index * 1000)
        for index, (name, shape) in enumerate(shapes.items())
    }
    return Checkpoint(Path("Tiny"), Config(config), tensors)
