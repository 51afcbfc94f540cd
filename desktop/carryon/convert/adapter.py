"""A LoRA as PEFT saves it: what its files say is to be changed in which tensor of the base model. Nothing is computed.

Names and settings: huggingface/peft, `save_and_load.py` and `tuners/lora/config.py`.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN
from carryon.convert.checkpoint import Source, SourceTensor, read_header
from carryon.convert.config import Config, read_json

CONFIG, WEIGHTS, PICKLED = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
_PREFIX = "base_model.model."
_MERGE_OUTSIDE = "Merge it with the program that trained it, and convert the result."
# What one file name ends in, and the part of a change that it is.
_PARTS = re.compile(
    r"^(?P<module>.+)\.(?P<part>lora_A\.weight|lora_B\.weight|lora_B\.bias|lora_embedding_A|lora_embedding_B"
    r"|lora_magnitude_vector(?:\.weight)?|base_layer\.weight|token_adapter\.trainable_tokens_delta)$"
)
_WHOLE = re.compile(r"^(?P<module>.+)\.(?P<part>weight|bias)$")
_PLAIN_PATTERN = re.compile(r"[\w.\\^$|()\-]*")  # no repetition, so that no pattern of a stranger can take for ever
# Settings that change what the files mean, each with what it is called.
_REFUSED = {
    "layer_replication": "repeats layers of its base",
    "target_parameters": "changes whole parameters of experts",
    "use_qalora": "is made for a quantized base only",
    "use_bdlora": "is cut into blocks",
    "alora_invocation_tokens": "acts from a certain word on only",
    "arrow_config": "chooses among other adapters as it runs",
    "fan_in_fan_out": "is made for matrices that lie the other way round",
}
# These ways to begin change the base model too; their adapters belong to that changed base.
_CHANGED_BASES = ("pissa", "olora", "corda", "loftq", "lora_ga")


@dataclass(frozen=True)
class LowRank:
    """W + scale * (b @ a), for an embedding W + scale * (b @ a).T; with `magnitude` rows keep these lengths (DoRA).

    a: (rank, n_in), b: (n_out, rank); of an embedding n_in counts the tokens.
    """

    a: Source
    b: Source
    scale: float
    is_embedding: bool = False
    magnitude: Source | None = None

    @property
    def rank(self) -> int:
        return self.a.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the matrix that is changed."""
        sides = (self.b.shape[0], self.a.shape[1])
        return sides[::-1] if self.is_embedding else sides


@dataclass(frozen=True)
class Shift:
    """A bias + scale * what was learnt beside the low-rank matrices."""

    learnt: Source
    scale: float


@dataclass(frozen=True)
class Rewritten:
    """The tensor as it was saved whole."""

    whole: Source


@dataclass(frozen=True)
class SomeRows:
    """Some rows, by their numbers, as they were saved."""

    numbers: tuple[int, ...]
    values: Source


Change = LowRank | Shift | Rewritten | SomeRows


@dataclass(frozen=True)
class Adapter:
    """All changes by the name of the base's tensor, in the order in which they are applied."""

    folder: Path
    base_name: str  # as the training saw it; often somebody's own path
    alpha: float
    changes: Mapping[str, tuple[Change, ...]]
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.folder.absolute().name


def is_adapter(folder: Path) -> bool:
    """Whether this is the folder of an adapter and not of a model."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def open_adapter(folder: Path) -> Adapter:
    """What an adapter changes. Raises BadFile, and Unsupported for what cannot be merged truly."""
    if not (folder / CONFIG).is_file():
        raise BadFile(f"{folder.name} has no {CONFIG}.", "Choose the folder of a LoRA that PEFT has saved.")
    config = Config(read_json(folder / CONFIG), CONFIG)
    _refuse(config)
    if not (folder / WEIGHTS).is_file() and (folder / PICKLED).is_file():
        raise Unsupported(
            f"{folder.name} keeps its weights in a PyTorch file, which can hold programs.",
            "Save the adapter as safetensors (PEFT does so by default).",
        )
    if not (folder / WEIGHTS).is_file():
        raise BadFile(f"{folder.name} has no {WEIGHTS}.", DOWNLOAD_AGAIN)
    changes = {name: tuple(some) for name, some in _changes(config, read_header(folder / WEIGHTS)).items()}
    base = config.text("base_model_name_or_path", "")
    return Adapter(folder, base, config.number("lora_alpha", 8.0), changes, tuple(_warnings(base)))


def _refuse(config: Config) -> None:
    kind = config.text("peft_type", "LORA")
    if kind != "LORA":
        raise Unsupported(f"This adapter is of the kind {kind}, and Carryon merges LoRA only.", _MERGE_OUTSIDE)
    for key, what in _REFUSED.items():
        if config.values.get(key):
            raise Unsupported(f"This adapter {what} ({key}), which Carryon cannot merge.", _MERGE_OUTSIDE)
    begun = str(config.values.get("init_lora_weights")).lower()
    if begun.startswith(_CHANGED_BASES):
        raise Unsupported(
            f"This adapter was begun by {begun}, which changes the base model as well.",
            "Merge it with the program that trained it, or convert it there to a plain LoRA.",
        )


def _warnings(base: str) -> Iterator[str]:
    if re.search(r"(bnb-4bit|-4bit|-8bit|gptq|awq)", base, re.IGNORECASE):
        yield (
            f"The adapter was trained on {base}, a compressed copy. Merged into the original the model is usually "
            "as good or better, and not exactly the one that was trained."
        )


def _changes(config: Config, tensors: list[SourceTensor]) -> dict[str, list[Change]]:
    """By the base's tensor; a whole tensor that was saved beside low-rank matrices comes before them."""
    modules: dict[str, dict[str, Source]] = defaultdict(dict)
    for tensor in tensors:
        found = _PARTS.match(tensor.name) or _WHOLE.match(tensor.name)
        if found is None:
            raise Unsupported(f"The adapter holds {tensor.name}, which Carryon does not know.", _MERGE_OUTSIDE)
        modules[found["module"].removeprefix(_PREFIX)][found["part"]] = tensor
    changes: dict[str, list[Change]] = defaultdict(list)
    for module, parts in modules.items():
        for part in ("weight", "bias"):
            if part in parts:
                changes[f"{module}.{part}"].append(Rewritten(parts.pop(part)))
        _add_trained(config, module, parts, changes)
    return changes


def _add_trained(config: Config, module: str, parts: dict[str, Source], changes: dict[str, list[Change]]) -> None:
    weight = changes[f"{module}.weight"] if parts else []
    if base := parts.pop("base_layer.weight", None):
        weight.append(Rewritten(base))
    scale, magnitude = _scale(config, module, parts), _popped(parts, "lora_magnitude_vector")
    for first, second in (("lora_A.weight", "lora_B.weight"), ("lora_embedding_A", "lora_embedding_B")):
        a, b = parts.pop(first, None), parts.pop(second, None)
        if a is not None and b is not None:
            weight.append(_low_rank(a, b, scale, first == "lora_embedding_A", magnitude))
        elif a is not None or b is not None:
            raise BadFile(f"The adapter has only one of two matrices for {module}.", DOWNLOAD_AGAIN)
    if bias := parts.pop("lora_B.bias", None):
        changes[f"{module}.bias"].append(Shift(bias, scale))
    if rows := parts.pop("token_adapter.trainable_tokens_delta", None):
        weight.append(SomeRows(_token_numbers(config, module, rows), rows))


def _popped(parts: dict[str, Source], start: str) -> Source | None:
    name = next((name for name in parts if name.startswith(start)), "")
    return parts.pop(name, None)


def _low_rank(a: Source, b: Source, scale: float, is_embedding: bool, magnitude: Source | None) -> LowRank:
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1] or 0 in a.shape + b.shape:
        raise BadFile(f"{a.name} and the matrix beside it do not fit each other.", DOWNLOAD_AGAIN)
    change = LowRank(a, b, scale, is_embedding, magnitude)
    if magnitude is not None and (is_embedding or math.prod(magnitude.shape) != change.shape[0]):
        raise Unsupported(f"{magnitude.name} has a shape that Carryon cannot merge.", _MERGE_OUTSIDE)
    return change


def _scale(config: Config, module: str, parts: Mapping[str, Source]) -> float:
    """alpha / rank, or alpha / sqrt(rank) for a rank-stabilised LoRA; the matrices themselves tell the rank."""
    matrix = parts.get("lora_A.weight") or parts.get("lora_embedding_A")
    rank = matrix.shape[0] if matrix and matrix.shape else 0
    alpha = _by_pattern(config, "alpha_pattern", module, config.number("lora_alpha", 8.0))
    if not rank:
        return 0.0
    return alpha / math.sqrt(rank) if config.flag("use_rslora", False) else alpha / rank


def _by_pattern(config: Config, key: str, module: str, default: float) -> float:
    """The value of the first pattern that the module's name ends in (peft, `get_pattern_key`)."""
    section = config.section(key)
    for pattern in section.values:
        if not _PLAIN_PATTERN.fullmatch(pattern):
            raise Unsupported(f"The adapter's {key} has a pattern that Carryon does not follow.", _MERGE_OUTSIDE)
        try:
            if re.match(rf"(.*\.)?({pattern})$", module):
                return section.number(pattern)
        except re.error as error:
            raise BadFile(f"{CONFIG} is damaged: {pattern[:40]!r} is no pattern.", DOWNLOAD_AGAIN) from error
    return default


def _token_numbers(config: Config, module: str, rows: Source) -> tuple[int, ...]:
    """Which tokens were trained: a list for the embedding, or lists by module."""
    value = config.values.get("trainable_token_indices")
    if isinstance(value, dict):
        value = next((one for key, one in value.items() if f".{module}".endswith(f".{key}")), None)
    if not isinstance(value, list) or not all(type(one) is int and 0 <= one < 2**31 for one in value):
        raise BadFile(f"{CONFIG} does not say which tokens were trained.", DOWNLOAD_AGAIN)
    if len(rows.shape) != 2 or rows.shape[0] != len(value) or len(set(value)) < len(value):
        raise BadFile(f"{CONFIG} names {len(value)} tokens, but {rows.name} has other rows.", DOWNLOAD_AGAIN)
    return tuple(sorted(value))
