"""What one layer of a model remembers of a conversation, as values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attention:
    """The KV cache geometry of one layer. `value_length` 0: only keys are kept (MLA)."""

    n_heads: int
    n_kv_heads: int
    key_length: int
    value_length: int
    window: int = 0  # tokens that the layer looks back; 0 = all of them


@dataclass(frozen=True)
class Kept:
    """What one layer remembers of a conversation."""

    attention: Attention | None = None  # None: no KV cache
    recurrent_bytes: int = 0  # of one sequence, whatever its length
