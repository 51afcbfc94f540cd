"""What a load would take, without taking it: an upper bound by formula, and llama.cpp's own planning run."""

from carryon.engine.protocol import KvType, LoadRequest
from carryon.worker.llama import Context, LoadFailed, Model
from carryon.worker.memory import Use, breakdown, is_host, total

# One entry of llama_kv_cells: position, shift, a bit for each of 256 sequences. Planning really allocates these.
CELL_BYTES = 48


def kv_bound_bytes(model: Model, n_ctx: int, kv_type: KvType) -> int:
    """No KV cache is larger: as if every layer kept every token. Sliding windows and MLA need less."""
    key, value = model.head_sizes
    return round(model.n_layers * n_ctx * model.n_kv_heads * (key + value) * kv_type.ggml.bits_per_weight / 8)


def planned_ram(request: LoadRequest, n_gpu_layers: int, n_threads: int) -> Use | None:
    """What would lie in this machine's RAM; None where the engine's account cannot be read, or it will not plan.

    Takes as long as reading the file's header. The lines that it logs are about a load that never happens.
    """
    try:
        model = Model.load(request.model_path, n_gpu_layers=n_gpu_layers, use_mmap=False, is_plan=True)
    except LoadFailed:
        return None
    try:
        context = Context(model, n_ctx=request.n_ctx, n_threads=n_threads, kv_type=request.kv_type)
        uses = breakdown(context.handle)
        context.free()
    except LoadFailed:
        return None
    finally:
        model.free()
    return None if uses is None else total(use for name, use in uses.items() if is_host(name))
