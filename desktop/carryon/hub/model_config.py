"""The sizes of a model that is not GGUF yet, by the `config.json` of its repository: enough for an estimate."""

import json
from collections.abc import Sequence
from typing import Any

from carryon.base.errors import BadFile
from carryon.gguf.sketch import Parameters

LARGEST_BYTES = 1 << 20
_LARGEST = 1 << 31
# What the families of models call the same thing; the first that is there counts.
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_EMBEDDING = ("hidden_size", "n_embd", "d_model", "dim")
_HEADS = ("num_attention_heads", "n_head", "n_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads")
_FEED_FORWARD = ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "hidden_dim")
_CONTEXT = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_EXPERTS_USED = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k")


def parameters_of(content: bytes, name: str = "") -> Parameters:
    """The sizes that a config tells. Raises BadFile where it does not, and BadInput where they contradict."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadFile("The model's config.json cannot be read.", "Look for another repository of the model.") from error
    text = told.get("text_config") if isinstance(told, dict) else None
    config = _Config((text if isinstance(text, dict) else {}), told if isinstance(told, dict) else {})
    return config.parameters(name)


class _Config:
    """Reads one of several names, of the text model first, as a whole number that can be meant."""

    def __init__(self, *levels: dict[str, Any]) -> None:
        self._levels = levels

    def parameters(self, name: str) -> Parameters:
        n_embd, n_layers, n_heads = self._needed(_EMBEDDING), self._needed(_LAYERS), self._needed(_HEADS)
        n_experts = self._number(_EXPERTS)
        return Parameters(
            n_layers=n_layers,
            n_embd=n_embd,
            n_heads=n_heads,
            n_kv_heads=self._number(_KV_HEADS),
            head_length=self._number(("head_dim",)) or -(-n_embd // n_heads),
            n_ff=self._number(_FEED_FORWARD) or 4 * n_embd,
            n_vocab=self._needed(("vocab_size",)),
            n_ctx_train=self._number(_CONTEXT) or 4096,
            n_experts=n_experts,
            n_experts_used=(self._number(_EXPERTS_USED) or 1) if n_experts else 0,
            n_ff_expert=self._number(("moe_intermediate_size", *_FEED_FORWARD)) if n_experts else 0,
            n_dense_layers=min(self._number(("first_k_dense_replace",)), n_layers) if n_experts else 0,
            is_tied=self._first(("tie_word_embeddings",)) is True,
            name=name,
        )

    def _needed(self, names: Sequence[str]) -> int:
        found = self._number(names)
        if not found:
            raise BadFile(
                f"The model's config.json does not say its “{names[0]}”.",
                "It may be of a kind that cannot be converted; look for a GGUF of it.",
            )
        return found

    def _number(self, names: Sequence[str]) -> int:
        value = self._first(names)
        is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST
        return int(value) if is_number else 0

    def _first(self, names: Sequence[str]) -> Any:
        for level in self._levels:
            for name in names:
                if level.get(name) is not None:
                    return level[name]
        return None
