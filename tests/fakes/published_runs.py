"""Speeds that others measured with llama.cpp and published, and the models they measured them with."""

from dataclasses import dataclass
from functools import cache

from fakes.header_models import MODELS, MORE_MODELS, gemma3, header_from

from carryon.gguf.mix import requantized
from carryon.gguf.shape import ModelShape, shape_of
from carryon.gguf.sketch import Parameters, sketched

DAI = "XiongjieDai/GPU-Benchmarks-on-LLM-Inference, May 2024, tg512 / pp512"
QUANTIZE = "llama.cpp tools/quantize/README.md, Llama-3.1-8B, tg128 on one GPU that is not named"
LLMFIT_2080 = "llmfit #755, #773, #774, #775, #778: RTX 2080, i9-10900X, July 2026"
LLMFIT_7900XT = "llmfit #808: RX 7900 XT, Vulkan, July 2026; gpt-oss-20b as reference/fit.md has it"
LLMFIT_M2PRO = "llmfit #1031: M2 Pro, September 2026"
LLMFIT_4060L = "llmfit #958: RTX 4060 Laptop, August 2026"
NORMIE = "normiebench #3, #4, #10, #38, #40, #42, #46: March 2026"
GAESSLER = "llama.cpp #14262, #15802 (RTX 3090), #16715 (MI50): 2025"
GAESSLER_MMQ = "llama.cpp #7860: RTX 4090, June 2024, pp2048 in batches of 512"
HIP_2026 = "llama.cpp #26284: RX 7900 XTX, 2026"
COFFIE = "calebcoffie.com: RTX 3090, 2026"
KHMEL = "pavlokhmel.com, June 2026: through a server, one request at a time"
GEERLING = "geerlingguy/beowulf-ai-cluster #17: M3 Ultra, December 2025"
DMATORA = "dmatora/LLM-inference-speed-benchmarks #12: RTX 3080, August 2024"


@dataclass(frozen=True)
class Run:
    """One published figure."""

    source: str
    gpus: tuple[str, ...]
    model: str
    quant: str
    tokens_per_s: float
    n_gpu_layers: int = 999
    n_cpu_experts: int = 0
    depth_tokens: int = 128
    cpu: str | None = None
    is_vulkan: bool = False
    ram_gb: int = 64


def _each(source, gpus, rows, **more):
    return [Run(source, gpus, model, quant, speed, **more) for model, quant, speed in rows]


# The engine of May 2024: its fixed costs were about twice those of today (no CUDA graphs, no fused kernels).
OLD_DECODE = (
    *_each(DAI, ("RTX 4080",), [("llama31-8b", "Q4_K_M", 108.15), ("llama31-8b", "F16", 40.58)], depth_tokens=256),
    *_each(DAI, ("RTX 3090",), [("llama31-8b", "Q4_K_M", 115.42), ("llama31-8b", "F16", 47.40)], depth_tokens=256),
    *_each(DAI, ("RTX 4090",), [("llama31-8b", "Q4_K_M", 130.58), ("llama31-8b", "F16", 54.84)], depth_tokens=256),
    *_each(DAI, ("M2 Ultra",), [("llama31-8b", "Q4_K_M", 78.81), ("llama31-8b", "F16", 36.90)], ram_gb=192),
    *_each(DAI, ("RTX 3090", "RTX 3090"), [("llama33-70b", "Q4_K_M", 16.57)], depth_tokens=256),
    *_each(DAI, ("RTX 4090", "RTX 4090"), [("llama33-70b", "Q4_K_M", 19.22)], depth_tokens=256),
    *_each(DAI, ("M2 Ultra",), [("llama33-70b", "Q4_K_M", 12.48), ("llama33-70b", "F16", 4.76)], ram_gb=192),
)
OLD_LAYER_US = {"RTX 4080": 74, "RTX 3090": 97, "RTX 4090": 91, "M2 Ultra": 195}  # reference/fit.md, section 4.1

# Engines of 2025 and 2026, everything on the GPU.
DECODE = (
    *_each(LLMFIT_2080, ("RTX 2080",), [
        ("llama31-8b", "Q4_K_M", 71.9), ("qwen3-8b", "Q4_K_M", 69.3), ("mistral-7b-v03", "Q4_K_M", 77.8),
        ("qwen25-7b", "Q4_K_M", 77.0), ("granite33-8b", "Q4_K_M", 65.6), ("llama32-3b", "Q4_K_M", 140.3),
        ("llama32-1b", "Q4_K_M", 304.3), ("qwen3-4b", "Q4_K_M", 110.6), ("gemma2-2b", "Q4_K_M", 140.3),
    ]),
    *_each(LLMFIT_7900XT, ("RX 7900 XT",), [
        ("qwen3-30b-a3b", "Q4_K_M", 151.77), ("gptoss-20b", "MXFP4_MOE", 162.6), ("qwen3-32b", "Q4_K_M", 31.58),
        ("qwen25-32b", "Q4_K_M", 31.13), ("mistral-small-24b", "Q4_K_M", 43.69), ("gemma3-27b", "Q4_K_M", 32.65),
    ], is_vulkan=True),
    *_each(LLMFIT_M2PRO, ("M2 Pro",), [
        ("llama31-8b", "Q4_K_M", 33.0), ("llama31-8b", "Q8_0", 22.0), ("phi4", "Q4_K_M", 17.2),
        ("qwen25-14b", "Q4_K_M", 17.6), ("gemma3-12b", "Q4_K_M", 19.8), ("gptoss-20b", "MXFP4_MOE", 50.4),
    ], ram_gb=32),
    *_each(LLMFIT_4060L, ("RTX 4060 Laptop",), [("llama31-8b", "Q4_K_M", 47.2), ("qwen25-7b", "Q4_K_M", 48.7)]),
    *_each(NORMIE, ("RTX 4070 Laptop",), [("llama31-8b", "Q4_K_M", 48.12)]),
    *_each(NORMIE, ("M4",), [("llama31-8b", "Q4_K_M", 20.87)], ram_gb=16),
    *_each(NORMIE, ("M1 Max",), [("llama31-8b", "Q4_K_M", 46.2)], ram_gb=64),
    *_each(GAESSLER, ("RTX 3090",), [("llama31-8b", "Q4_0", 156.56), ("llama31-8b", "F16", 58.2)]),
    *_each(COFFIE, ("RTX 3090",), [("gemma3-4b", "Q4_K_M", 189.0)]),
    *_each(GAESSLER, ("Instinct MI50",), [("llama31-8b", "Q4_0", 91.74), ("gptoss-20b", "MXFP4_MOE", 119.9)]),
    *_each(HIP_2026, ("RX 7900 XTX",), [("llama31-8b", "Q4_K_M", 105.8)]),
    *_each(KHMEL, ("RTX 4080",), [("gptoss-20b", "MXFP4_MOE", 210), ("ministral3-3b", "Q4_K_M", 210)]),
    *_each(KHMEL, ("RTX 4090",), [("gptoss-20b", "MXFP4_MOE", 266), ("ministral3-3b", "Q4_K_M", 271)]),
    *_each(KHMEL, ("A100 SXM4 80GB",), [("gptoss-20b", "MXFP4_MOE", 189), ("ministral3-3b", "Q4_K_M", 211)]),
    *_each(KHMEL, ("A100 PCIE 40GB",), [("gptoss-20b", "MXFP4_MOE", 180), ("ministral3-3b", "Q4_K_M", 184)]),
    *_each(KHMEL, ("H100 SXM",), [("gptoss-20b", "MXFP4_MOE", 286), ("ministral3-3b", "Q4_K_M", 305)]),
    *_each(KHMEL, ("H200",), [("gptoss-20b", "MXFP4_MOE", 292), ("ministral3-3b", "Q4_K_M", 312)]),
    *_each(KHMEL, ("Tesla V100",), [("gptoss-20b", "MXFP4_MOE", 138), ("ministral3-3b", "Q4_K_M", 151)]),
    *_each(KHMEL, ("Tesla P100",), [("gptoss-20b", "MXFP4_MOE", 65), ("ministral3-3b", "Q4_K_M", 65)]),
    *_each(KHMEL, ("GTX 1080",), [("ministral3-3b", "Q4_K_M", 65)]),
    *_each(KHMEL, ("M1",), [("gptoss-20b", "MXFP4_MOE", 21), ("ministral3-3b", "Q4_K_M", 21)], ram_gb=16),
    *_each(KHMEL, ("M5",), [("gptoss-20b", "MXFP4_MOE", 48), ("ministral3-3b", "Q4_K_M", 50)], ram_gb=32),
    *_each(GEERLING, ("M3 Ultra",), [("llama33-70b", "Q4_K_M", 14.41)], ram_gb=512),
)  # fmt: skip

# Layers or experts in RAM. The same machine for all, so one bandwidth has to explain them.
SPLIT = tuple(
    Run(LLMFIT_2080, ("RTX 2080",), model, "Q4_K_M", speed, n_gpu_layers=layers, n_cpu_experts=experts,
        cpu="Intel(R) Core(TM) i9-10900X CPU @ 3.70GHz")
    for model, speed, layers, experts in (
        ("qwen3-14b", 16.9, 32, 0), ("phi4", 16.7, 32, 0), ("qwen25-14b", 20.8, 42, 0), ("gemma3-12b", 26.1, 44, 0),
        ("mistral-small-24b", 5.2, 16, 0), ("qwen3-30b-a3b", 36.7, 999, 36), ("dsv2-lite", 49.6, 999, 16),
    )
)  # fmt: skip

# The CPU alone.
CPU = tuple(
    Run(NORMIE, (), "llama31-8b", "Q4_K_M", speed, cpu=cpu)
    for cpu, speed in (
        ("Intel(R) N100", 3.01), ("Intel(R) Core(TM) i7-7820HQ CPU @ 2.90GHz", 5.62),
        ("11th Gen Intel(R) Core(TM) i5-1135G7 @ 2.40GHz", 6.86),
    )
)  # fmt: skip

# Every quant type on one GPU: its two unknowns come from F16 and Q4_K_M, the others are predicted.
QUANT_TYPES = tuple(
    Run(QUANTIZE, ("?",), "llama31-8b", quant, speed)
    for quant, speed in (
        ("F16", 29.17), ("Q8_0", 50.93), ("Q6_K", 58.67), ("Q5_K_M", 67.23), ("Q5_K_S", 69.53), ("Q4_K_M", 71.93),
        ("Q4_K_S", 76.71), ("IQ4_NL", 76.71), ("IQ4_XS", 77.51), ("Q3_K_L", 69.38), ("Q3_K_S", 71.68), ("Q2_K", 79.85),
        ("IQ3_M", 70.15), ("IQ3_S", 69.31), ("IQ3_XXS", 73.95), ("IQ2_M", 74.44), ("IQ2_XXS", 79.86),
    )
)  # fmt: skip

# Reading 512 tokens.
PREFILL = (
    *_each(DAI, ("RTX 3070",), [("llama31-8b", "Q4_K_M", 2402.5)]),
    *_each(DAI, ("RTX 3080",), [("llama31-8b", "Q4_K_M", 3728.9)]),
    *_each(DAI, ("RTX 3090",), [("llama31-8b", "Q4_K_M", 4030.4), ("llama31-8b", "F16", 4444.7)]),
    *_each(DAI, ("RTX 4070 Ti",), [("llama31-8b", "Q4_K_M", 3936.3)]),
    *_each(DAI, ("RTX 4080",), [("llama31-8b", "Q4_K_M", 5389.7)]),
    *_each(DAI, ("RTX 4090",), [("llama31-8b", "Q4_K_M", 7139.0)]),
    *_each(GAESSLER_MMQ, ("RTX 4090",), [("llama31-8b", "Q4_K_S", 9278.6)]),
    *_each(DAI, ("M2 Ultra",), [("llama31-8b", "Q4_K_M", 994.0), ("llama33-70b", "Q4_K_M", 118.8)], ram_gb=192),
    *_each(DAI, ("M3 Max",), [("llama31-8b", "Q4_K_M", 693.3), ("llama33-70b", "Q4_K_M", 70.2)], ram_gb=64),
    *_each(DAI, ("M1 Max",), [("llama31-8b", "Q4_K_M", 408.2)], ram_gb=64),
    *_each(NORMIE, ("M1 Max",), [("llama31-8b", "Q4_K_M", 499.6)], ram_gb=64),
    *_each(NORMIE, ("M4",), [("llama31-8b", "Q4_K_M", 224.8)], ram_gb=16),
    *_each(NORMIE, ("RTX 4070 Laptop",), [("llama31-8b", "Q4_K_M", 2365.3)]),
    *_each(HIP_2026, ("RX 7900 XTX",), [("llama31-8b", "Q4_K_M", 3226.5)]),
    *_each(GEERLING, ("M3 Ultra",), [("llama33-70b", "Q4_K_M", 162.3)], ram_gb=512),
    *_each(DMATORA, ("RTX 3080",), [("llama31-8b", "Q4_K_M", 3806.9)]),
)

# Sizes by the models' config.json.
_SKETCHES = {
    "llama32-1b": Parameters(16, 2048, 32, 8192, 128256, 131072, 8, 64, is_tied=True),
    "llama32-3b": Parameters(28, 3072, 24, 8192, 128256, 131072, 8, 128, is_tied=True),
    "qwen3-4b": Parameters(36, 2560, 32, 9728, 151936, 40960, 8, 128, is_tied=True),
    "qwen3-14b": Parameters(40, 5120, 40, 17408, 151936, 40960, 8, 128),
    "qwen3-32b": Parameters(64, 5120, 64, 25600, 151936, 40960, 8, 128),
    "qwen25-14b": Parameters(48, 5120, 40, 13824, 152064, 32768, 8, 128),
    "qwen25-32b": Parameters(64, 5120, 40, 27648, 152064, 32768, 8, 128),
    "mistral-small-24b": Parameters(40, 5120, 32, 32768, 131072, 32768, 8, 128),
    "ministral3-3b": Parameters(26, 3072, 32, 9216, 131072, 262144, 8, 128, is_tied=True),
}
_HEADERS = {
    **MODELS,
    **MORE_MODELS,
    "gemma3-4b": lambda: gemma3("Gemma-3-4B", 34, 2560, 10240, 8, 4, 131072, 262208, 256, 1024),
    "gemma3-27b": lambda: gemma3("Gemma-3-27B", 62, 5376, 21504, 32, 16, 131072, 262208, 128, 1024),
}


@cache
def model(name: str, quant: str) -> ModelShape:
    """A model of the table in this quant type."""
    if name in _SKETCHES:
        return sketched(_SKETCHES[name], quant)
    shape = shape_of([header_from(*_HEADERS[name]())])
    return shape if quant in ("F16", "MXFP4_MOE") and name != "gptoss-20b" else requantized(shape, quant)
