"""When memory is short: weights stay in their file where they are mapped, and what cannot be kept is refused at once.

Systems promise more memory than there is, and kill when it is used; so it is looked at before anything is asked for.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from carryon.engine.protocol import Reason, Refused
from carryon.fit.room import ram_room
from carryon.hardware.machine import Memory
from carryon.hardware.memory import read_memory
from carryon.worker.engine_log import EngineLog
from carryon.worker.llama import Model
from carryon.worker.memory import Use, is_host, total
from carryon.worker.parameters import Placing, Sizing
from carryon.worker.plan import CELL_BYTES, kv_bound_bytes, planned_uses
from carryon.worker.refusals import LoadRefused

RUNS_FROM_DISK = (
    "Little memory is free, so the weights in RAM are read from the file while the model works, "
    "and not kept in the order that suits the processor best; that is slow."
)
# No usual model's cache takes more for a token: 1/2000 of the weights in GPT-2 at 4 bits, 1/5000 in SmolLM2-1.7B, far
# less where heads share keys. A first look that needs no header; what it cannot clear, the engine plans.
_CACHE_SHARE = 1 / 1000


def placed(files: Sequence[Path], placing: Placing, sizing: Sizing, log: EngineLog) -> Placing:
    """The same placing, without repacking where memory is too short for it.

    Repacked weights are a copy of their own that the system cannot drop: a mapped model that would run from the disk
    is killed with it. It is given up where a fit says "runs from disk" (fit.verdict), which keeps the same reserve.
    Raises LoadRefused when weights that are not mapped do not fit.
    """
    if not placing.use_mmap:
        _check_weights(files, placing, sizing, log)
        return placing
    return replace(placing, repack=not _is_short(files, placing, sizing, log))


def check_context(path: str, model: Model, sizing: Sizing, log: EngineLog) -> None:
    """Whether the KV cache fits; only when its bound comes near does the engine plan it exactly. Raises LoadRefused."""
    bound = kv_bound_bytes(model, sizing)
    if bound < _free_bytes() // 2:
        return
    if sizing.n_ctx * CELL_BYTES > _free_bytes():
        _refuse_beyond_memory(max(bound, sizing.n_ctx * CELL_BYTES))
    ram = _planned_ram(path, model.placing, sizing, log)
    if ram is not None:
        _refuse_beyond_memory(ram.kv_bytes + ram.compute_bytes)


def _is_short(files: Sequence[Path], placing: Placing, sizing: Sizing, log: EngineLog) -> bool:
    usable_bytes = ram_room(_memory()).usable_bytes
    if _size_bytes(files) * (1 + sizing.n_ctx * _CACHE_SHARE) <= usable_bytes:
        return False
    if sizing.n_ctx * CELL_BYTES > usable_bytes // 2:  # planning it would take memory itself
        return True
    ram = _planned_ram(str(files[0]), placing, sizing, log)
    if ram is not None:
        return ram.total_bytes > usable_bytes
    return not placing.n_gpu_layers and _size_bytes(files) > usable_bytes


def _check_weights(files: Sequence[Path], placing: Placing, sizing: Sizing, log: EngineLog) -> None:
    """Weights without mmap must lie in memory."""
    wanted_bytes = _size_bytes(files)
    if wanted_bytes <= _free_bytes():
        return
    if placing.n_gpu_layers:
        ram = _planned_ram(str(files[0]), placing, sizing, log)
        wanted_bytes = ram.weights_bytes if ram is not None else 0
    _refuse_beyond_memory(wanted_bytes)


def _planned_ram(path: str, placing: Placing, sizing: Sizing, log: EngineLog) -> Use | None:
    """What would lie in the RAM; None where nobody can tell."""
    with log.aside():
        uses = planned_uses(path, placing, sizing)
    return None if uses is None else total(use for name, use in uses.items() if is_host(name))


def _refuse_beyond_memory(wanted_bytes: int) -> None:
    free_bytes = _free_bytes()
    if wanted_bytes > free_bytes:
        facts = {"device": "CPU", "wanted_bytes": wanted_bytes}
        raise LoadRefused(Refused(Reason.OUT_OF_MEMORY, f"{free_bytes} bytes of memory are free", facts))


def _size_bytes(files: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def _free_bytes() -> int:
    """Swap counts, for nobody should be refused who can wait; in a container nobody knows how much of it is ours."""
    memory = _memory()
    return memory.available_bytes + (0 if memory.is_container_limit else memory.swap_free_bytes or 0)


def _memory() -> Memory:
    """What this process may take: of the system, of its container, and by its own limit (ulimit -d)."""
    memory = read_memory(Path("/"))
    limit_bytes = _own_limit_bytes()
    if limit_bytes is None or limit_bytes >= memory.total_bytes:
        return memory
    left_bytes = max(0, limit_bytes - psutil.Process().memory_info().data)
    available_bytes = min(memory.available_bytes, left_bytes)
    return Memory(limit_bytes, available_bytes, is_container_limit=True)


def _own_limit_bytes() -> int | None:
    """Of memory that is not a file's (Linux); None without a limit."""
    if not hasattr(psutil, "RLIMIT_DATA"):
        return None
    soft, _ = psutil.Process().rlimit(psutil.RLIMIT_DATA)
    return soft if soft >= 0 else None
