"""What a load would take, without taking it: an upper bound by formula, and llama.cpp's own planning run."""

from carryon.worker.llama import Context, LoadFailed, Model
from carryon.worker.memory import Use, breakdown
from carryon.worker.parameters import Placing, Sizing

# One entry of llama_kv_cells: position, shift, a bit for each of 256 sequences. Planning really allocates these.
CELL_BYTES = 48


def kv_bound_bytes(model: Model, sizing: Sizing) -> int:
    """No KV cache is larger: as if every layer kept every token. Sliding windows and MLA need less."""
    key, value = model.head_sizes
    numbers = model.n_layers * sizing.n_ctx * model.n_kv_heads * (key + value)
    return round(numbers * sizing.kv_type.ggml.bits_per_weight / 8)


def planned_uses(path: str, placing: Placing, sizing: Sizing) -> dict[str, Use] | None:
    """Buffer type -> use of a load that never happens; None where it cannot be read, or the engine will not plan.

    Takes as long as reading the file's header. The lines that it logs are about a load that never happens.
    """
    try:
        model = Model.load(path, placing, is_plan=True)
    except LoadFailed:
        return None
    try:
        context = Context(model, sizing)
        uses = breakdown(context.handle)
        context.free()
    except LoadFailed:
        return None
    finally:
        model.free()
    return uses
