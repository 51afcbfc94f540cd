"""The engine's working memory: the buffer that its graph needs on each device, by laying the graph out as it does."""

from typing import Any, NamedTuple

from carryon.fit.placement import Load, Placement, padded
from carryon.fit.remembered import per_family, per_shape
from carryon.fit.room import Backend, Rooms
from carryon.fit.spread import Span, Spread
from carryon.fit.storage import ALIGNMENT, aligned
from carryon.fit.working.body import Batch, Work, body_of, layers_with_staged_experts, peak_bytes, staged_layers
from carryon.fit.working.flow import Program
from carryon.fit.working.graph import F32, answers_handed_over, embedding, handed_over
from carryon.fit.working.inputs import cache_cells, input_bytes
from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape

# How far the buffers have been off at most, as a share of themselves, and beside that always this much. Against the
# engine's dry run: 17 models (tests/benchmarks/fit_accuracy.py), and small models of 145 architectures, of which those
# that are named here were within 2 %, other transformers within 20 %. For weights that a GPU copies from RAM: against
# an RPC device that was given CUDA's op_offload, alignment and alloc_size; what others measured on an MI300X is met to
# 0.01 MiB (tests/fakes/published_compute.py).
_CHECKED_NAMES = """
    apertus arcee arctic baichuan bailingmoe2 bitnet chameleon chatglm codeshell cogvlm dbrx deci deepseek deepseek2
    dots1 ernie4_5 ernie4_5-moe exaone exaone-moe exaone4 falcon gemma gemma2 gemma3 gemma3n gemma4 glm4 glm4moe gpt-oss
    gptneox granite granitemoe grovemoe hunyuan-dense hunyuan_vl internlm2 jais2 llama maincoder maple mellum mimo2
    minicpm minimax-m2 mistral3 mistral4 muse-glimmer nemotron olmo2 olmoe openelm orion paddleocr pangu-embedded phi2
    phi3 phimoe plamo3 qwen qwen2 qwen2vl qwen3 qwen35 qwen3moe qwen3vl qwen3vlmoe seed_oss smallthinker smollm3
    spark2_5 stablelm starcoder2 xverse
"""
_CHECKED = frozenset(_CHECKED_NAMES.split())
_OFF_BY, _OFF_BY_UNCHECKED = 0.02, 0.2
_OFF_BY_STAGED = 0.25
_OFF_BY_ROUGH = 0.6  # states instead of caches, indexers: every family has a graph of its own
_ALWAYS_OFF_BYTES = 1 << 20

_OFFLOAD_MIN_BATCH = 32  # GGML_OP_OFFLOAD_MIN_BATCH
_PIPELINE_COPIES = 4  # GGML_SCHED_MAX_COPIES of ggml-backend.cpp
_TOKEN_BYTES = 4


class Share(NamedTuple):
    """What one device has to do, with all that its buffer depends on; a key that is quick to compare."""

    span: Span
    n_cpu_experts: int
    load: Load
    backend: Backend
    n_copies: int
    is_staging: bool  # the GPU computes what lies in RAM
    is_first: bool  # no GPU before this one has a layer
    n_gpus: int
    is_full: bool  # no layer lies in RAM


def compute_bytes(shape: ModelShape, spread: Spread, placement: Placement, rooms: Rooms) -> tuple[int, tuple[int, ...]]:
    """The RAM's compute buffer and that of every GPU of the rooms."""
    backends = tuple([room.backend for room in rooms.gpus])
    n_chosen = len(placement.gpus) or len(backends)
    is_parted = not spread.ram.has_output and (spread.ram.n_layers or spread.n_cpu_experts)
    work_out = _parted_bytes if is_parted else _whole_bytes
    return work_out(shape, spread, placement.load, backends, n_chosen)


@per_family
def _whole_bytes(shape: ModelShape, *how: Any) -> tuple[int, tuple[int, ...]]:
    """All in RAM or all on GPUs: the same for every quant."""
    return _device_bytes(shape, *how)


@per_shape
def _parted_bytes(shape: ModelShape, *how: Any) -> tuple[int, tuple[int, ...]]:
    """A GPU may copy tensors, which every quant has in types of its own."""
    return _device_bytes(shape, *how)


def _device_bytes(
    shape: ModelShape, spread: Spread, load: Load, backends: tuple[Backend, ...], n_chosen: int
) -> tuple[int, tuple[int, ...]]:
    """`n_chosen`: GPUs that may take layers."""
    first = next((index for index, span in enumerate(spread.gpus) if not span.is_empty), None)
    is_staging = first is not None and _stages(spread, load, backends[first])
    n_copies = _PIPELINE_COPIES if _is_pipelined(spread, n_chosen) else 1
    n_gpus, is_full = spread.n_devices, not spread.ram.n_layers
    gpus = [0] * len(spread.gpus)
    for index, (span, backend) in enumerate(zip(spread.gpus, backends, strict=True)):
        if not span.is_empty:
            is_first = index == first
            gpus[index] = _gpu_bytes(shape, Share(
                span, spread.n_cpu_experts, load, backend, n_copies, is_staging and is_first, is_first, n_gpus,
                is_full,
            ))  # fmt: skip
    ram = Share(spread.ram, spread.n_cpu_experts, load, Backend.CPU, n_copies, is_staging, False, n_gpus, is_full)
    return _ram_bytes(shape, ram), tuple(gpus)


def compute_error_bytes(shape: ModelShape, placement: Placement, compute: int, backend: Backend) -> int:
    """How far the compute buffer of a device can be off; the engine's dry run knows better."""
    is_partial = bool(placement.n_cpu_experts) or 0 < placement.n_gpu_layers <= shape.n_layers
    if any(layer.attention is None for layer in shape.layers) or _has_indexer(shape):
        share = _OFF_BY_ROUGH
    elif is_partial and backend not in (Backend.CPU, Backend.RPC):
        share = _OFF_BY_STAGED
    else:
        share = _OFF_BY if shape.architecture in _CHECKED else _OFF_BY_UNCHECKED
    return round(compute * share) + _ALWAYS_OFF_BYTES


@per_family
def _has_indexer(shape: ModelShape) -> bool:
    return any(".indexer." in one.name for layer in shape.layers for one in layer.tensors)


def _stages(spread: Spread, load: Load, backend: Backend) -> bool:
    """Whether long batches are computed on the GPU although weights are in RAM: all but RPC have offload_op."""
    has_weights = spread.ram.n_layers or spread.n_cpu_experts
    return bool(has_weights) and backend is not Backend.RPC and load.n_tokens >= _OFFLOAD_MIN_BATCH


def _is_pipelined(spread: Spread, n_chosen: int) -> bool:
    """Several GPUs, and nothing but the embedding in RAM: llama-context.cpp, cparams.pipeline_parallel."""
    return n_chosen > 1 and not spread.ram.n_layers and not spread.ram.has_output and not spread.n_cpu_experts


@per_family
def _ram_bytes(shape: ModelShape, share: Share) -> int:
    span, load = share.span, share.load
    body = body_of(shape, load.kv_type, Backend.CPU)
    programs: tuple[Program, ...] = (embedding(shape.n_embd),)
    if share.is_staging:
        left = body.stored.between(0, span.end)
    else:
        programs += body.whole.between(0, span.end)
        left = body.experts.between(span.end, share.n_cpu_experts)
    if not span.has_output:
        programs += (handed_over(shape.n_embd),)
    if share.is_staging or share.n_gpus > 1:  # the inputs stay until the last device has its copies
        programs, left = programs + left, ()
    every = Span(0, shape.n_layers, has_output=True)
    ends = [aligned(size, Backend.CPU) for size in (_TOKEN_BYTES * load.n_tokens, F32 * load.n_tokens * shape.n_embd)]
    inputs = (ends[0], *_inputs(shape, every, load, Backend.CPU), ends[1])
    batch = _batch(shape, load, Backend.CPU)
    return peak_bytes(Work(programs, inputs, batch, share.n_copies, _tail_bytes(shape, span, batch), left))


def _gpu_bytes(shape: ModelShape, share: Share) -> int:
    return _staging_bytes(shape, share) if share.is_staging else _own_bytes(shape, share)


@per_family
def _own_bytes(shape: ModelShape, share: Share) -> int:
    return _peak(shape, share, _own(shape, share))


@per_shape
def _staging_bytes(shape: ModelShape, share: Share) -> int:
    """It copies tensors, which every quant has in types of its own."""
    span, kv_type = share.span, share.load.kv_type
    parted = max(span.first, min(share.n_cpu_experts, span.end))
    return _peak(shape, share, _staging(shape, span.first, parted, span.end, kv_type, share.backend))


def _peak(shape: ModelShape, share: Share, programs: tuple[Program, ...]) -> int:
    has_inputs = share.span.n_layers and not (share.is_staging and share.span.first)
    inputs = _inputs(shape, share.span, share.load, share.backend) if has_inputs else ()
    batch = _batch(shape, share.load, share.backend)
    own = programs or (answers_handed_over(shape.n_embd),)
    return peak_bytes(Work(own, inputs, batch, share.n_copies, _tail_bytes(shape, share.span, batch)))


def _own(shape: ModelShape, share: Share) -> tuple[Program, ...]:
    """A GPU that computes nothing but its own layers."""
    span, body = share.span, body_of(shape, share.load.kv_type, share.backend)
    first = span.first
    programs: tuple[Program, ...] = ()
    if first and share.is_first:
        programs = (body.after_ram[first - 1],)
    elif first and span.n_layers and not share.is_full:  # with all layers on GPUs each norm is kept with its layer
        programs = (body.after_gpu[first],)
        first += 1
    parted = max(first, min(share.n_cpu_experts, span.end))
    return programs + body.without_experts.between(first, parted) + body.whole.between(parted, span.end)


@per_shape
def _staging(
    shape: ModelShape, first: int, parted: int, end: int, kv_type: KvType, backend: Backend
) -> tuple[Program, ...]:
    """The first GPU, when it computes layers in RAM too, and the experts in RAM of those below `parted`."""
    return (
        *staged_layers(shape, kv_type, backend).between(0, first),
        *layers_with_staged_experts(shape, kv_type, backend).between(first, parted),
        *body_of(shape, kv_type, backend).whole.between(parted, end),
    )


def _tail_bytes(shape: ModelShape, span: Span, batch: Batch) -> int:
    return padded(F32 * shape.n_vocab * batch.n_outputs, batch.alignment) if span.has_output else 0


@per_family
def _inputs(shape: ModelShape, span: Span, load: Load, backend: Backend) -> tuple[int, ...]:
    return tuple([aligned(size, backend) for size in input_bytes(shape, span, load)])


@per_family
def _batch(shape: ModelShape, load: Load, backend: Backend) -> Batch:
    return Batch(load.n_tokens, load.n_parallel, cache_cells(shape, load), ALIGNMENT[backend])
