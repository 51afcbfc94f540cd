"""Where a model lies and how large its context is: values, and the C structs that say so to the engine."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from carryon.engine.protocol import KvType
from carryon.worker.capi import L, symbol

N_BATCH = 2048
N_UBATCH = 512  # llama.cpp's defaults: what llama-bench measures with
_FLASH_ATTENTION_AUTO = -1
# The experts of a layer, weights and biases: the pattern of llama.cpp's --n-cpu-moe (common/common.h), anchored,
# because the engine searches it anywhere in a name, and written as one, because it compiles each for every tensor.
_EXPERTS = r"^blk\.({layers})\.ffn_(up|down|gate_up|gate)_(ch|)exps"
MOST_LAYERS = 512  # LLAMA_MAX_LAYERS


@dataclass(frozen=True)
class Placing:
    """Where the weights of a model go."""

    n_gpu_layers: int = 0  # 0 = CPU only; negative = all
    devices: tuple[int, ...] = ()  # handles of the devices that take layers, in this order; empty: the engine's choice
    split: tuple[float, ...] = ()  # the share of each of them; empty: by their free memory
    n_cpu_experts: int = 0  # the experts of so many layers, counted from the first, stay in RAM
    use_mmap: bool = True
    repack: bool = True  # weights in RAM may lie in the processor's own order, a copy beside the mapped file


@dataclass(frozen=True)
class Sizing:
    """How large the context is and how it is kept."""

    n_ctx: int
    n_threads: int
    kv_type: KvType = KvType.F16
    n_ubatch: int = N_UBATCH
    n_parallel: int = 1
    n_outputs: int | None = None  # rows of logits that are kept of one decode; None: one for each sequence


class _Override(ctypes.Structure):
    """llama_model_tensor_buft_override of llama.h."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


class ModelParameters:
    """llama_model_params and everything they point at: keep it as long as the engine loads."""

    def __init__(self, placing: Placing, *, is_plan: bool) -> None:
        self.struct = L.llama_model_default_params()
        self.struct.n_gpu_layers = placing.n_gpu_layers
        # a plan that maps the file is an assertion of llama.cpp
        uses_mmap = placing.use_mmap and not is_plan
        self.struct.load_mode = L.LLAMA_LOAD_MODE_MMAP if uses_mmap else L.LLAMA_LOAD_MODE_NONE
        self.struct.no_alloc = is_plan
        self.struct.use_extra_bufts = placing.repack
        self._devices, self._split, self._overrides = _devices(placing), _split(placing.split), _overrides(placing)
        if self._devices is not None:
            self.struct.devices = ctypes.addressof(self._devices)
        if self._split is not None:
            self.struct.tensor_split = self._split
        if self._overrides is not None:
            self.struct.tensor_buft_overrides = ctypes.addressof(self._overrides)


def context_parameters(sizing: Sizing) -> Any:
    """llama_context_params as every context of ours has them, planned or real."""
    parameters = L.llama_context_default_params()
    parameters.n_ctx, parameters.n_ubatch = sizing.n_ctx, sizing.n_ubatch
    parameters.n_batch = max(N_BATCH, sizing.n_ubatch)
    parameters.n_seq_max = sizing.n_parallel
    # one row for each sequence: the default reserves logits for a whole batch, 300 MB at 152k words
    parameters.n_outputs_max = sizing.n_outputs or sizing.n_parallel
    parameters.n_threads = parameters.n_threads_batch = sizing.n_threads
    parameters.flash_attn_type = _FLASH_ATTENTION_AUTO
    parameters.type_k = parameters.type_v = sizing.kv_type.ggml.type_id
    parameters.offload_kqv = True
    parameters.swa_full = False  # 2.5 instead of 12.3 GB for Gemma-3-12B at 32k; keep_prefix has the guard it needs
    parameters.no_perf = True
    return parameters


def experts_pattern(n_layers: int) -> str:
    """The names of the expert tensors of the first so many layers."""
    return _EXPERTS.format(layers="|".join(map(str, range(min(n_layers, MOST_LAYERS)))))


def most_devices() -> int:
    """How many devices can share a model."""
    return int(L.llama_max_devices())


def _devices(placing: Placing) -> Any:
    """CPU only means it: no GPU is touched for long prompts either."""
    if placing.n_gpu_layers == 0:
        return (ctypes.c_void_p * 1)(None)
    if not placing.devices:
        return None
    return (ctypes.c_void_p * (len(placing.devices) + 1))(*placing.devices, None)


def _split(shares: Sequence[float]) -> Any:
    """The engine reads as many as there can be devices, whatever was asked."""
    return (ctypes.c_float * most_devices())(*shares) if shares else None


def _overrides(placing: Placing) -> Any:
    """None without experts in RAM; beside no GPU all of them lie there anyway."""
    if placing.n_cpu_experts == 0 or placing.n_gpu_layers == 0:
        return None
    cpu = symbol("ggml_backend_cpu_buffer_type", ctypes.c_void_p)()
    return (_Override * 2)(_Override(experts_pattern(placing.n_cpu_experts).encode(), cpu))
