"""What a model needs on each device: weights and KV cache to the byte, compute buffers by closed form."""

from dataclasses import dataclass, field

from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape

CONTEXT_PADDING = 256  # llama-context.cpp pads every context to a multiple of it
DEFAULT_UBATCH = 512


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


@dataclass(frozen=True)
class DeviceNeed:
    """What one device has to hold, in bytes."""

    weights_bytes: int = 0
    kv_bytes: int = 0
    compute_bytes: int = 0
    output_bytes: int = 0
    extra_bytes: int = 0  # projector, adapters, draft model

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.output_bytes + self.extra_bytes


@dataclass(frozen=True)
class Need:
    """What every device has to hold: the RAM, and the GPUs of the rooms in their order."""

    ram: DeviceNeed
    gpus: tuple[DeviceNeed, ...] = ()

    @property
    def total_bytes(self) -> int:
        return self.ram.total_bytes + sum(one.total_bytes for one in self.gpus)
