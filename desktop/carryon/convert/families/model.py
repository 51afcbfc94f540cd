"""A checkpoint as a family sees it: one name for each fact and tensor, however the model was saved."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.advice import DOWNLOAD_AGAIN, LOOK_FOR_GGUF
from carryon.convert.checkpoint import Checkpoint, Source
from carryon.convert.config import Config

# Where models of several senses keep the settings of their text part.
TEXT_SECTIONS = ("text_config", "llm_config", "language_config")
# What newer releases of transformers call a thing, or other families, and what it is called here.
ALIASES = {"num_local_experts": "num_experts", "n_routed_experts": "num_experts", "torch_dtype": "dtype"}
PREFIX = re.compile(r"^(?:model\.)?(?:language_model\.)?(?:model\.)?")
OTHER_SENSES = re.compile(
    r"^(?:model\.)?(?:vision_tower|vision_model|visual|multi_modal_projector|mm_projector|vision_projector"
    r"|audio_tower|audio_model|embed_vision|embed_audio|vision_embed_tokens|image_newline)\."
)
HEAD = "lm_head.weight"
MAX_EXPERTS = 512  # LLAMA_MAX_EXPERTS: the engine aborts above it


@dataclass(frozen=True)
class Model:
    """The text part of a checkpoint. Tensors are called 'model.…', and the output matrix 'lm_head.weight'."""

    config: Config
    tensors: Mapping[str, Source]
    warnings: tuple[str, ...] = ()

    @property
    def n_layers(self) -> int:
        return self.config.whole("num_hidden_layers")


def text_model(checkpoint: Checkpoint, defaults: Mapping[str, Mapping[str, Any]] | None = None) -> Model:
    """The text part. `defaults` holds by model_type what transformers assumes where the config says nothing.

    Raises BadFile for a config that is damaged and tensors that stand twice.
    """
    config = text_config(checkpoint.config, defaults or {})
    kept = {name: source for name, source in checkpoint.tensors.items() if not OTHER_SENSES.match(name)}
    n_dropped = len(checkpoint.tensors) - len(kept)
    dropped = (f"{n_dropped} tensors for pictures or sound are left out: the file is for text only.",)
    return Model(config, _canonical(kept), dropped if n_dropped else ())


def text_config(config: Config, defaults: Mapping[str, Mapping[str, Any]]) -> Config:
    """The settings of the text part under their usual names. A null stays a null: only what is absent has a default."""
    section = next((key for key in TEXT_SECTIONS if isinstance(config.values.get(key), dict)), None)
    inner = config.section(section).values if section else {}
    values = _renamed({**config.values, **inner})
    own = defaults.get(str(values.get("model_type")), next(iter(defaults.values()), {}))
    return replace(config, values={**own, **values})


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    found = {ours: values[theirs] for theirs, ours in ALIASES.items() if theirs in values}
    return {**found, **values}


def _canonical(tensors: Mapping[str, Source]) -> dict[str, Source]:
    named: dict[str, Source] = {}
    for name, source in tensors.items():
        ours = canonical_name(name)
        if ours in named:
            raise BadFile(f"The model's weights hold both {named[ours].name} and {name}.", DOWNLOAD_AGAIN)
        named[ours] = source
    return named


def canonical_name(name: str) -> str:
    """'model.X' for 'X', 'language_model.model.X' and the other ways in which text models are nested."""
    bare = PREFIX.sub("", name)
    return bare if bare.startswith("lm_head.") else f"model.{bare}"


def sizes_of(model: Model, more: Mapping[str, str]) -> dict[str, int]:
    """The lengths that shapes are made of, by name; `more` names further ones and their places in the config.

    Raises BadFile for sizes that contradict each other.
    """
    config, embedding = model.config, model.tensors.get("model.embed_tokens.weight")
    hidden, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    kv_heads = config.whole("num_key_value_heads", heads)
    head = config.whole("head_dim", max(1, hidden // heads))
    if heads % kv_heads or head % 2:
        raise BadFile(
            f"config.json gives {heads} heads of size {head} and {kv_heads} for keys, which cannot be.", DOWNLOAD_AGAIN
        )
    feed_forward = config.whole("intermediate_size")
    sizes = {name: config.whole(key, least=0) for name, key in more.items()}
    return sizes | {
        "one": 1,
        "vocab": embedding.shape[0] if embedding and embedding.shape else 0,  # the rows are the truth, not vocab_size
        "hidden": hidden,
        "feed_forward": feed_forward,
        "heads": heads,
        "kv_heads": kv_heads,
        "head": head,
        "queries": heads * head,
        "keys": kv_heads * head,
        "queries_keys_values": (heads + 2 * kv_heads) * head,
        "gate_and_up": 2 * feed_forward,
        **{f"twice_{name}": 2 * size for name, size in sizes.items()},
    }


def refuse_unlike(config: Config, built_in: Mapping[str, Sequence[Any]], engine: str) -> None:
    """Raises Unsupported when a setting is another than the only ones that llama.cpp's graph has."""
    for key, values in built_in.items():
        value = config.values.get(key)
        if value is not None and value not in values:
            raise Unsupported(
                f"This model's {key} is {str(value)[:40]!r}; llama.cpp's {engine} always has {values[0]!r}.",
                LOOK_FOR_GGUF,
            )


def refuse_experts(sizes: Mapping[str, int], n_used: int) -> None:
    """Raises BadFile or Unsupported for numbers of experts at which the engine would abort."""
    if not 0 < n_used <= sizes["experts"]:
        raise BadFile(f"config.json uses {n_used} of {sizes['experts']} experts, which cannot be.", DOWNLOAD_AGAIN)
    if sizes["experts"] > MAX_EXPERTS:
        raise Unsupported(
            f"This model has {sizes['experts']} experts; llama.cpp has room for {MAX_EXPERTS}.", LOOK_FOR_GGUF
        )


def has_own_head(model: Model) -> bool:
    """Whether the output matrix is a tensor of its own and not the embedding used twice."""
    return not model.config.flag("tie_word_embeddings", HEAD not in model.tensors)


def window_warning(window: int, n_context: int) -> Iterator[str]:
    """For architectures of llama.cpp without a sliding window; within the window the two agree."""
    if window < n_context:
        yield f"This model looks back {window:,} tokens at most; llama.cpp looks at all, so long texts may differ."
