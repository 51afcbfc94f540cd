"""Where a model's layers go when nobody has chosen yet: as many on the GPU as fit with room to spare.

A cautious guess from the file's size alone, so that a GPU is never left unused without a word;
the engine's own plan takes its place with the fit.
"""

from carryon.app.models import ModelFacts

RESERVE_BYTES = 1 << 30  # llama.cpp's own margin for a device (common/fit.cpp)
ROOM_FOR_CONTEXT = 1.25  # KV cache and compute buffers of an 8k context against the file's size, on the large side


def first_split(model: ModelFacts, free_bytes: int) -> int:
    """How many layers to begin with, output layer included, on GPUs with `free_bytes` together: 0 is CPU only."""
    needed_bytes = model.size_bytes * ROOM_FOR_CONTEXT
    room_bytes = free_bytes - RESERVE_BYTES
    if room_bytes >= needed_bytes:
        return model.n_gpu_layers_max
    return max(0, int(model.n_layers * room_bytes / needed_bytes))
