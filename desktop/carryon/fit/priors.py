"""What the engine makes of a part before anything was measured here: shares of its peak, the fixed cost of a layer.

Every figure is fitted to published runs of llama.cpp and is checked against them in tests/fit/test_fit_speed.py.
"""

from dataclasses import dataclass, replace

from carryon.fit.room import Backend
from carryon.hardware.machine import Cpu, DeviceKind

# What a layer costs beyond its bytes, against a plain dense one. Experts: routing and one more matrix multiplication;
# CUDA fuses it away (gpt-oss-20b on an RTX 4090: 266 tokens/s in 2026); on a 7900 XT with Vulkan gpt-oss-20b would ask
# for 1.4 and Qwen3-30B-A3B for 1.05.
_MOE_OVERHEAD, _MOE_OVERHEAD_CUDA = 1.2, 1.05
# Norms after attention and feed-forward as well, as in Gemma: 4B on an RTX 3090, 27B on a 7900 XT.
_SANDWICH_OVERHEAD = 1.5


@dataclass(frozen=True)
class Character:
    """How the engine uses a generation of GPUs."""

    weights_share: float  # of the memory's bandwidth, for weights at decode
    kv_share: float  # the same for the KV cache, with flash attention
    layer_us: float  # fixed cost of one layer of a dense model: launches, norms, attention of short contexts
    prefill_share: float  # of the dense FP16 rate
    upload_gb_per_s: float  # from RAM over PCIe, weights mapped from the file (not pinned)
    unpacking: float = 0.5  # the share of the unpacking of low-bit weights (traffic.py) that reading does not hide


# 8B IQ1_M runs at 167 tokens/s on an RTX 3090 and at 315 on a 4090 (llama.cpp #8215): Ada unpacks in passing.
# KV shares: 8B on a 4090 at a depth of 33,000 (llama.cpp #17505), on a 7900 XTX at 4096 (#26284); the rest by analogy.
# Shares and overheads: llmfit's community runs (2026: RTX 2080, RTX 5070, RX 7900 XT, M4 Pro, GTX 1050 Ti);
# GPU-Benchmarks-on-LLM-Inference (May 2024: 3070 to H100, M1 to M3; shares and prefill only, the engine's overhead has
# halved since, with CUDA graphs and fused kernels); llama.cpp pull requests #15131, #15802, #17505 (3090, 4090, 2025).
_GENERATIONS = {
    "pascal": Character(0.45, 0.40, 70, 0.45, 6),
    "pascal-gp100": Character(0.21, 0.30, 70, 0.25, 6),  # no dp4a: integer dot products are emulated
    "volta": Character(0.75, 0.60, 130, 0.25, 6),
    "turing": Character(0.93, 0.70, 83, 0.30, 6),
    "ampere": Character(0.87, 0.85, 43, 0.45, 11),
    "ampere-datacenter": Character(0.68, 0.75, 118, 0.28, 14),
    "ada": Character(0.93, 0.95, 52, 0.42, 11, 0.0),
    "hopper": Character(0.66, 0.75, 92, 0.16, 24, 0.0),
    "blackwell": Character(0.82, 0.85, 45, 0.42, 22, 0.0),
    "blackwell-datacenter": Character(0.50, 0.60, 90, 0.10, 24, 0.0),
    "grace-blackwell": Character(0.82, 0.70, 60, 0.35, 0),
    "gcn": Character(0.58, 0.30, 95, 0.35, 6),
    "rdna1": Character(0.75, 0.35, 115, 0.35, 8),
    "rdna2": Character(0.80, 0.55, 115, 0.40, 10),
    "rdna3": Character(0.86, 0.75, 115, 0.40, 10),
    "rdna4": Character(0.86, 0.70, 110, 0.35, 16),
    "cdna": Character(0.55, 0.40, 110, 0.15, 14),
    "amd-integrated": Character(0.80, 0.30, 110, 0.25, 0),
    "strix-halo": Character(0.85, 0.60, 100, 0.25, 0),
    "arc-alchemist": Character(0.45, 0.25, 130, 0.20, 8),
    "arc-battlemage": Character(0.60, 0.30, 120, 0.25, 8),
    "intel-integrated": Character(0.70, 0.25, 150, 0.15, 0),
    "apple-m1": Character(0.70, 0.50, 140, 0.66, 0),
    "apple-m2": Character(0.84, 0.50, 130, 0.60, 0),
    "apple-m3": Character(0.86, 0.55, 100, 0.75, 0),
    "apple-m4": Character(0.88, 0.55, 92, 0.76, 0),
    "apple-m5": Character(0.87, 0.55, 80, 0.50, 0),
}
# A GPU that nobody knows: cautious on every count.
_UNKNOWN = Character(0.75, 0.35, 100, 0.25, 8)

# A mixture reads a prompt with small batches for each expert: qwen3moe 30B.A3B and gpt-oss 20B on an RTX 4090, with
# batches of 512 to 1024 (llama.cpp #15631).
MOE_PREFILL_SHARE = 0.4

# Vulkan against the makers' own backend, as shares of it: NVIDIA loses at prefill (llama.cpp discussion #10879), AMD's
# newer generations gain at decode (llama.cpp #20934: 7B Q4_0 on a 7900 XTX, 170 against 137 tokens/s).
_VULKAN_PREFILL, _VULKAN_LAYER_NVIDIA, _VULKAN_LAYER_AMD = 0.75, 1.3, 0.65
_NETWORK_LAYER_US = 150.0  # over RPC: every graph goes through the network

# Decode on the CPU: normiebench's i7-7820HQ, i5-1135G7 and Threadripper 3970X reach 0.60 to 0.75 of what is on paper,
# an N100 and llmfit's i9-10900X (models split between it and an RTX 2080) about 0.5. A read probe reaches more than the
# engine, which has to unpack what it reads.
CPU_SHARE_OF_PAPER, CPU_SHARE_OF_PROBED, CPU_KV_SHARE, CPU_LAYER_US = 0.65, 0.75, 0.5, 20.0
CPU_UNPACKING = 0.6
CPU_START_LAYERS = 10.0  # waking the threads costs about as much as so many layers
# Our own loop takes 0.03 ms a token (tests/benchmarks/bench_python_cost.py), sending and sampling about as much.
TOKEN_S = 0.05e-3
# A processor's cores reach only a part of the bandwidth that is built for the GPU beside them (Apple, Strix Halo).
CPU_SHARE_OF_UNIFIED = 0.5
# One core of a desktop cannot unpack 4-bit weights faster than this, whatever the RAM gives.
CPU_CORE_BYTES_PER_S = 8e9
# Dense arithmetic of one core at prefill, by the widest instructions it has; measured figures replace it soon.
_CORE_FLOPS = (("AMX_INT8", 400e9), ("AVX512_VNNI", 190e9), ("AVX512F", 150e9), ("AVX2", 110e9), ("I8MM", 140e9))
_CORE_FLOPS_DOTPROD, _CORE_FLOPS_PLAIN = 80e9, 25e9

# An unknown GPU by its memory: bytes/s and FLOPS of the slower half of what is sold with so much.
_BY_MEMORY = ((20e9, 600e9, 50e12), (14e9, 350e9, 35e12), (10e9, 300e9, 25e12), (7e9, 220e9, 15e12), (0, 110e9, 5e12))
UNKNOWN_INTEGRATED_FLOPS = 2e12


def layer_overhead(backend: Backend, is_moe: bool, is_sandwiched: bool) -> float:
    """What a layer's fixed cost is multiplied with on such a device."""
    moe = (_MOE_OVERHEAD_CUDA if backend is Backend.CUDA else _MOE_OVERHEAD) if is_moe else 1.0
    return moe * (_SANDWICH_OVERHEAD if is_sandwiched else 1.0)


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
