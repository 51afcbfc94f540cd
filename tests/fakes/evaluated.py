"""What an evaluation of a model of 8 B parameters would say."""

from dataclasses import replace
from pathlib import Path

from carryon.evaluate.result import Measured

BASE = Measured(
    path=Path("/models/m-F16.gguf"),
    quant="F16",
    size_bytes=16_100_000_000,
    bits_per_weight=16.0,
    perplexity=6.2332,
    perplexity_error=0.039,
    kl_divergence=None,
    kl_error=None,
    same_top=None,
    rms_probability_change=None,
    prefill_tokens_per_s=38.0,
    decode_tokens_per_s=3.1,
    memory_bytes=16_500_000_000,
    n_tokens=2040,
    text_sha256="a" * 64,
    engine_version="llama.cpp 1",
    when_s=1_800_000_000.0,
    n_ctx=512,
)
MEASURED = replace(
    BASE,
    path=Path("/models/m-Q4_K_M.gguf"),
    quant="Q4_K_M",
    size_bytes=4_920_000_000,
    bits_per_weight=4.9,
    perplexity=6.2332 * 1.012,
    perplexity_error=0.04,
    kl_divergence=0.0131,
    kl_error=0.0004,
    same_top=0.93,
    rms_probability_change=0.031,
    prefill_tokens_per_s=41.0,
    decode_tokens_per_s=9.1,
    memory_bytes=5_400_000_000,
    base=BASE.path,
    base_quant="F16",
    base_perplexity=6.2332,
)
