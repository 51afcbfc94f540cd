"""How a model is loaded: everything its memory and its speed depend on beside its shape."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape

CONTEXT_PADDING = 256  # llama-context.cpp pads every context to a multiple of it
DEFAULT_BATCH = 2048
DEFAULT_UBATCH = 512  # llama.cpp's defaults, which worker/llama.py keeps
_TOLD_DEPTH_TOKENS = 2048


class Load(NamedTuple):
    """What a placement asks of a graph, whatever the device."""

    n_tokens: int  # the most that are computed together
    n_parallel: int
    n_ctx: int  # of each sequence, as the engine pads it (llama-context.cpp: n_ctx_seq)
    kv_type: KvType


@dataclass(frozen=True)
class Extras:
    """What is loaded beside the model, in bytes of their files; a draft model is a shape of its own."""

    projector_bytes: int = 0
    adapter_bytes: int = 0
    draft: ModelShape | None = None


@dataclass(frozen=True)
class Placement:
    """How a model is loaded: everything its memory depends on beside its shape."""

    n_ctx: int
    kv_type: KvType = KvType.F16
    n_gpu_layers: int = 0  # 0 = CPU only; n_layers + 1 = all: the output layer counts and goes first
    n_cpu_experts: int = 0  # the experts of so many layers, counted from the first, stay in RAM
    gpus: tuple[str, ...] = ()  # the engine's names of the GPUs that take layers; empty with n_gpu_layers > 0: all
    split: tuple[float, ...] = ()  # the share of layers of each of them; empty: all on the first
    n_ubatch: int = DEFAULT_UBATCH
    n_parallel: int = 1  # sequences; n_ctx is shared out among them
    use_mmap: bool = True
    extras: Extras = field(default_factory=Extras)

    @property
    def depth_tokens(self) -> int:
        """So many tokens are in the context when a speed is told: a conversation, not an empty page."""
        return min(_TOLD_DEPTH_TOKENS, self.n_ctx // 2)

    @property
    def n_tokens(self) -> int:
        """The most tokens that are computed together."""
        return self.load.n_tokens

    @cached_property
    def load(self) -> Load:
        """What it asks of a graph."""
        n_ctx = padded(padded(self.n_ctx, CONTEXT_PADDING) // self.n_parallel, CONTEXT_PADDING)
        return Load(min(self.n_ubatch, DEFAULT_BATCH, n_ctx * self.n_parallel), self.n_parallel, n_ctx, self.kv_type)


def padded(size: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-size // step) * step
