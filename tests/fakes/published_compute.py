"""Compute buffers that somebody measured on a real GPU, and the models that they were measured with.

github.com/gpustack/gguf-parser-go/issues/45 (24 August 2026): llama-server on an MI300X (ROCm), context 4096, flash
attention on, keys and values q8_0, -b 2048 -ub 512 -np 1; the sched_reserve line of the log. With 1, 2 and 4 layers
on the GPU the figure was the same. The quants are not said there; the sizes of the matrices in it give them away.
"""

from dataclasses import dataclass

from fakes.header_models import header_from, llama_like, qwen3moe

from carryon.gguf.mix import requantized
from carryon.gguf.shape import ModelShape, shape_of


@dataclass(frozen=True)
class Measured:
    """One model on the MI300X: MiB of its compute buffer there with some and with all layers on the GPU."""

    name: str
    shape: ModelShape
    some_layers_mib: float
    all_layers_mib: float


def measured() -> list[Measured]:
    """The three models whose architectures our headers can make."""
    return [
        Measured("OLMoE-1B-7B", _olmoe(), 172.37, 64.09),
        Measured("granite-3.0-3b-a800m", _granite_moe(), 73.02, 61.04),
        Measured("Qwen3-0.6B", _qwen3(), 41.64, 32.09),
    ]


def _olmoe():
    fields, tensors = qwen3moe("OLMoE", 16, 2048, 0, 16, 16, 4096, 50304, 128, 64, 8, 1024)
    norms = ("attn_q_norm.weight", "attn_k_norm.weight")  # as wide as all heads together
    tensors = [(name, [2048] if name.endswith(norms) else shape, kind) for name, shape, kind in tensors]
    return _made(_renamed(fields, "olmoe"), tensors, "Q4_K_M")


def _granite_moe():
    fields, tensors = qwen3moe("granite", 32, 1536, 0, 24, 8, 4096, 49155, 64, 40, 8, 512)
    left_out = ("attn_q_norm.weight", "attn_k_norm.weight")
    tensors = [one for one in tensors if not one[0].endswith(left_out) and one[0] != "output.weight"]
    return _made(_renamed(fields, "granitemoe"), tensors, "Q4_K_M")


def _qwen3():
    model = llama_like("qwen3", "Qwen3-0.6B", 28, 1024, 3072, 16, 8, 40960, 151936, head=128, has_norms=True,
                       is_tied=True)  # fmt: skip
    return _made(*model, "Q8_0")


def _renamed(fields, architecture):
    renamed = {key.replace("qwen3moe", architecture): value for key, value in fields.items()}
    return renamed | {"general.architecture": architecture}


def _made(fields, tensors, quant):
    return requantized(shape_of([header_from(fields, tensors)]), quant)
