"""Families that are nothing but a table: one engine that turns the table and a checkpoint into a plan."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from carryon.base.errors import Unsupported
from carryon.convert.advice import LOOK_FOR_GGUF
from carryon.convert.checkpoint import Checkpoint, Source
from carryon.convert.config import Config
from carryon.convert.families.model import (
    HEAD,
    Model,
    has_own_head,
    refuse_experts,
    refuse_unlike,
    sizes_of,
    text_model,
    window_warning,
)
from carryon.convert.families.rules import EMBEDDING, OUTPUT
from carryon.convert.families.shelf import Shelf, in_order
from carryon.convert.plan import FamilyPlan, Part, Rule, Stored
from carryon.convert.rope import PLAIN, Rope, Rotation, read_rope
from carryon.convert.write import Setting

SILU = ("silu", "swish")
Sizes = Mapping[str, int]


class Output(Enum):
    """What llama.cpp's architecture does about an output matrix."""

    OPTIONAL = auto()  # the embedding is used where there is none
    REQUIRED = auto()  # the embedding is written twice where there is none
    NEVER = auto()  # the embedding is always used


@dataclass(frozen=True)
class Key:
    """A setting: its name in GGUF without the architecture, in the config, and whether it is a whole number."""

    ours: str
    theirs: str
    is_whole: bool = False
    is_optional: bool = False

    def read(self, config: Config) -> Iterator[tuple[str, Setting]]:
        if self.is_optional and not config.has(self.theirs):
            return
        yield self.ours, config.whole(self.theirs) if self.is_whole else config.number(self.theirs)


RMS = Key("attention.layer_norm_rms_epsilon", "rms_norm_eps")
EXPERTS_USED = Key("expert_used_count", "num_experts_per_tok", is_whole=True)


def no_checks(model: Model, sizes: Sizes) -> None:
    """For families that can express whatever their configs say."""


def no_settings(model: Model) -> dict[str, Setting]:
    """For families whose settings are all in their keys."""
    return {}


def plain_rope(model: Model, head_size: int, rotation: Rotation) -> Rope:
    """One rotary embedding for all layers."""
    return read_rope(model.config, head_size, 10_000.0, rotation)


@dataclass(frozen=True)
class Family:
    """A row of the table. `defaults` are transformers' by model_type, `built_in` what llama.cpp's graph cannot vary."""

    gguf: str
    architectures: tuple[str, ...]
    rules: tuple[Rule, ...]
    keys: tuple[Key, ...]
    defaults: Mapping[str, Mapping[str, Any]]
    layouts: tuple[tuple[Rule, ...], ...] = ()  # further rules, in the ways they may be saved
    sizes: Mapping[str, str] = field(default_factory=dict)  # further names in shapes, and their places in the config
    output: Output = Output.OPTIONAL
    rotation: Rotation = PLAIN
    rope: Callable[[Model, int, Rotation], Rope] = plain_rope
    built_in: Mapping[str, Sequence[Any]] = field(default_factory=lambda: {"hidden_act": SILU})
    norms_are_from_one: bool = False  # stored as distances from one
    is_square: bool = False  # llama.cpp makes all heads together as wide as the model
    has_window: bool = False
    checks: Callable[[Model, Sizes], None] = no_checks
    settings: Callable[[Model], Mapping[str, Setting]] = no_settings

    def plan(self, checkpoint: Checkpoint) -> FamilyPlan:
        """What a checkpoint becomes in GGUF. Raises BadFile or Unsupported saying what does not fit."""
        model = text_model(checkpoint, self.defaults)
        refuse_unlike(model.config, self.built_in, self.gguf)
        sizes = self._sizes(model)
        self.checks(model, sizes)
        stored = self._stored(model, sizes)
        rope = self.rope(model, sizes["head"], self.rotation)
        settings = {**self._settings(model, sizes), **rope.settings}
        return FamilyPlan(
            self.gguf,
            {f"{self.gguf}.{key}": value for key, value in settings.items()},
            (*rope.tensors, *stored),
            sizes["vocab"],
            (*model.warnings, *self._window_warning(model.config), *rope.warnings),
        )

    def _sizes(self, model: Model) -> Sizes:
        sizes = sizes_of(model, self.sizes)
        if self.is_square and sizes["queries"] != sizes["hidden"]:
            raise Unsupported(
                f"This model's heads are together {sizes['queries']} wide and not {sizes['hidden']} as the model, "
                f"which llama.cpp's {self.gguf} cannot.",
                LOOK_FOR_GGUF,
            )
        if "experts" in sizes:
            refuse_experts(sizes, model.config.whole(EXPERTS_USED.theirs))
        return sizes

    def _window_warning(self, config: Config) -> Iterator[str]:
        if not self.has_window and config.flag("use_sliding_window", True):
            window = config.whole("sliding_window", 2**32 - 1, least=0)
            yield from window_warning(window or 2**32 - 1, config.whole("max_position_embeddings"))

    def _stored(self, model: Model, sizes: Sizes) -> list[Stored]:
        tensors, rules = self._with_output(model)
        rules = tuple(_as_promised(rule, model.config) for rule in rules)
        shelf = Shelf(tensors)
        found = in_order(shelf.follow((*rules, *_saved(self.layouts, tensors)), sizes, range(model.n_layers)))
        shelf.finish()
        if self.output is Output.REQUIRED and OUTPUT not in rules:
            embedding = Part(tensors[EMBEDDING.source])
            found.append(Stored(OUTPUT.target, embedding.source.shape, (embedding,)))
        return [self._from_one(tensor) for tensor in found] if self.norms_are_from_one else found

    def _with_output(self, model: Model) -> tuple[Mapping[str, Source], tuple[Rule, ...]]:
        """The tensors to convert and their rules. A tied model may still carry its output matrix; transformers
        ignores it, and so do we."""
        if has_own_head(model):
            if self.output is Output.NEVER:
                raise Unsupported(
                    f"This model has an output matrix of its own, for which llama.cpp's {self.gguf} has no place.",
                    LOOK_FOR_GGUF,
                )
            return model.tensors, (EMBEDDING, *self.rules, OUTPUT)
        tied = {name: source for name, source in model.tensors.items() if name != HEAD}
        return tied, (EMBEDDING, *self.rules)

    def _from_one(self, tensor: Stored) -> Stored:
        is_norm = tensor.name.endswith("_norm.weight")
        return Stored(tensor.name, tensor.shape, tensor.parts, plus_one=is_norm)

    def _settings(self, model: Model, sizes: Sizes) -> dict[str, Setting]:
        config = model.config
        usual = {
            "block_count": model.n_layers,
            "context_length": config.whole("max_position_embeddings"),
            "embedding_length": sizes["hidden"],
            "feed_forward_length": sizes["feed_forward"],
            "attention.head_count": sizes["heads"],
            "attention.head_count_kv": sizes["kv_heads"],
            "attention.key_length": sizes["head"],
            "attention.value_length": sizes["head"],
            "vocab_size": sizes["vocab"],
        }
        experts = {"expert_count": sizes["experts"]} if "experts" in sizes else {}
        named = {ours: value for key in self.keys for ours, value in key.read(config)}
        return {**usual, **experts, **named, **self.settings(model)}


def _as_promised(rule: Rule, config: Config) -> Rule:
    """A bias may be absent, but not where the config says that it is there."""
    flags = {".attn_": "attention_bias", ".ffn_": "mlp_bias"}
    is_promised = any(part in rule.target and config.flag(flag, False) for part, flag in flags.items())
    return replace(rule, is_optional=False) if rule.target.endswith(".bias") and is_promised else rule


def _saved(layouts: Sequence[tuple[Rule, ...]], tensors: Mapping[str, Source]) -> tuple[Rule, ...]:
    """The first layout of which a tensor of its own is there."""
    for rules in layouts:
        if any(rule.source.format(0, expert=0) in tensors for rule in rules[1:]):
            return rules
    return layouts[0] if layouts else ()
