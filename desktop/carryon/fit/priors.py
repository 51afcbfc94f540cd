"""What the engine makes of a part before anything was measured here: shares of its peak, the fixed cost of a layer.

Every figure is fitted to published runs of llama.cpp and is checked against them in tests/fit/test_fit_speed.py.
"""

from dataclasses import dataclass, replace

from carryon.fit.room import Backend
from carryon.hardware.machine import Cpu, DeviceKind

MOE_OVERHEAD = 1.4  # routing and one more matrix multiplication a layer: 7900 XT, gpt-oss-20b and Qwen3-30B-A3B


@dataclass(frozen=True)
class Character:
    """How the engine uses a generation of GPUs."""

    weights_share: float  # of the memory's bandwidth, for weights at decode
    kv_share: float  # the same for the KV cache, with flash attention
    layer_us: float  # fixed cost of one layer of a dense model: launches, norms, attention of short contexts
    prefill_share: float  # of the dense FP16 rate
    upload_gb_per_s: float  # from RAM over PCIe, weights mapped from the file (not pinned)


# Shares and overheads: llmfit's community runs (2026: RTX 2080, RTX 5070, RX 7900 XT, M4 Pro, GTX 1050 Ti);
# GPU-Benchmarks-on-LLM-Inference (May 2024: 3070 to H100, M1 to M3; shares and prefill only, the engine's overhead has
# halved since, with CUDA graphs and fused kernels); llama.cpp pull requests #15131, #15802, #17505 (3090, 4090, 2025).
_GENERATIONS = {
    "pascal": Character(0.62, 0.40, 75, 0.45, 6),
    "volta": Character(0.75, 0.60, 75, 0.25, 6),
    "turing": Character(0.93, 0.60, 80, 0.30, 6),
    "ampere": Character(0.88, 0.75, 45, 0.45, 11),
    "ampere-datacenter": Character(0.75, 0.70, 75, 0.28, 14),
    "ada": Character(0.93, 0.85, 45, 0.42, 11),
    "hopper": Character(0.70, 0.70, 65, 0.16, 24),
    "blackwell": Character(0.85, 0.80, 45, 0.42, 22),
    "blackwell-datacenter": Character(0.60, 0.60, 65, 0.10, 24),
    "grace-blackwell": Character(0.85, 0.70, 60, 0.35, 0),
    "gcn": Character(0.55, 0.30, 100, 0.35, 6),
    "rdna1": Character(0.75, 0.35, 100, 0.35, 8),
    "rdna2": Character(0.80, 0.40, 90, 0.40, 10),
    "rdna3": Character(0.89, 0.50, 85, 0.42, 10),
    "rdna4": Character(0.88, 0.50, 85, 0.35, 16),
    "cdna": Character(0.55, 0.40, 110, 0.15, 14),
    "amd-integrated": Character(0.75, 0.30, 110, 0.25, 0),
    "strix-halo": Character(0.85, 0.40, 85, 0.25, 0),
    "arc-alchemist": Character(0.50, 0.25, 130, 0.20, 8),
    "arc-battlemage": Character(0.60, 0.30, 120, 0.25, 8),
    "intel-integrated": Character(0.70, 0.25, 150, 0.15, 0),
    "apple-m1": Character(0.83, 0.40, 140, 0.60, 0),
    "apple-m2": Character(0.88, 0.40, 130, 0.60, 0),
    "apple-m3": Character(0.90, 0.45, 100, 0.73, 0),
    "apple-m4": Character(0.91, 0.45, 92, 0.70, 0),
    "apple-m5": Character(0.91, 0.45, 80, 0.50, 0),
}
# A GPU that nobody knows: cautious on every count.
_UNKNOWN = Character(0.75, 0.35, 100, 0.25, 8)

# Vulkan against the makers' own backend, as shares of it: NVIDIA loses at prefill (llama.cpp discussion #10879), AMD's
# newer generations gain at decode (llama.cpp #20934: 7B Q4_0 on a 7900 XTX, 170 against 137 tokens/s).
_VULKAN_PREFILL, _VULKAN_LAYER_NVIDIA, _VULKAN_LAYER_AMD = 0.75, 1.3, 0.65
_NETWORK_LAYER_US = 150.0  # over RPC: every graph goes through the network

# Decode on the CPU. 4.1 of the reference: RTX 2080 + DDR4, four models split at 32 to 44 layers, 36 to 46 GB/s of the
# 51 GB/s that two channels of DDR4-3200 have on paper; a read probe reaches about nine tenths of that paper figure.
CPU_SHARE_OF_PAPER, CPU_SHARE_OF_PROBED, CPU_KV_SHARE, CPU_LAYER_US = 0.80, 0.88, 0.5, 20.0
# A processor's cores reach only a part of the bandwidth that is built for the GPU beside them (Apple, Strix Halo).
CPU_SHARE_OF_UNIFIED = 0.5
# One core of a desktop cannot unpack 4-bit weights faster than this, whatever the RAM gives.
CPU_CORE_BYTES_PER_S = 9e9
# Dense arithmetic of one core at prefill, by the widest instructions it has; measured figures replace it soon.
_CORE_FLOPS = (("AMX_INT8", 400e9), ("AVX512_VNNI", 190e9), ("AVX512F", 150e9), ("AVX2", 110e9), ("I8MM", 140e9))
_CORE_FLOPS_DOTPROD, _CORE_FLOPS_PLAIN = 80e9, 25e9

# An unknown GPU by its memory: bytes/s and FLOPS of the slower half of what is sold with so much.
_BY_MEMORY = ((20e9, 600e9, 50e12), (14e9, 350e9, 35e12), (10e9, 300e9, 25e12), (7e9, 220e9, 15e12), (0, 110e9, 5e12))
UNKNOWN_INTEGRATED_FLOPS = 2e12


def character_of(generation: str | None, backend: Backend) -> Character:
    """How the engine uses such a part through this backend; an unknown part gets a cautious character."""
    own = _GENERATIONS.get(generation or "", _UNKNOWN)
    if backend is Backend.RPC:
        return replace(own, layer_us=own.layer_us + _NETWORK_LAYER_US, upload_gb_per_s=0.1)
    if backend is not Backend.VULKAN:
        return own
    layer = _VULKAN_LAYER_AMD if (generation or "").startswith(("rdna", "strix", "amd")) else _VULKAN_LAYER_NVIDIA
    return replace(own, layer_us=own.layer_us * layer, prefill_share=own.prefill_share * _VULKAN_PREFILL)


def guessed_peak(total_bytes: int, kind: DeviceKind) -> tuple[float, float]:
    """Bytes/s and FLOPS of a GPU that the table does not know; bytes/s 0: that of the RAM."""
    if kind is DeviceKind.IGPU:
        return 0.0, UNKNOWN_INTEGRATED_FLOPS
    return next((speed, flops) for size, speed, flops in _BY_MEMORY if total_bytes >= size)


def cpu_flops(cpu: Cpu) -> float:
    """What all its cores together do at prefill."""
    sets = set(cpu.instruction_sets)
    plain = _CORE_FLOPS_DOTPROD if {"DOTPROD", "NEON"} & sets else _CORE_FLOPS_PLAIN
    each = next((flops for name, flops in _CORE_FLOPS if name in sets), plain)
    return each * (cpu.performance_cores or cpu.physical_cores or 4)
