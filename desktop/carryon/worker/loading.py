"""From a LoadRequest to a model that is ready to speak, or to the reason why not."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from carryon.engine.protocol import LoadRequest, Reason, Refused
from carryon.worker import devices
from carryon.worker.capi import layout_complaint
from carryon.worker.devices import Device, RpcUnreachable
from carryon.worker.engine_log import EngineLog
from carryon.worker.llama import Context, LoadFailed, Model
from carryon.worker.plan import CELL_BYTES, kv_bound_bytes, planned_ram
from carryon.worker.refusals import refusal_of_file, refusal_of_load

_LARGEST_CONTEXT = 2**31 - 1
_NO_GPU = "No GPU was found, so all layers run on the CPU."
_BEYOND_TRAINING = (
    "The context of {asked:,} tokens is longer than the {trained:,} this model was trained on; "
    "its answers can get worse beyond that."
)


class LoadRefused(Exception):
    """The model cannot be loaded; carries the event that says why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


@dataclass(frozen=True)
class Loaded:
    """A model with its context, and what came out differently from what was asked."""

    model: Model
    context: Context
    devices: list[Device]
    load_ms: float
    notices: tuple[str, ...]


def load(request: LoadRequest, log: EngineLog, on_progress: Callable[[float], None]) -> Loaded:
    """Blocks until the model is loaded. Raises LoadRefused."""
    started = time.perf_counter()
    _check(request)
    found = _devices(request)
    n_gpu_layers, notices = _layers(request, found)
    _check_weights(request, n_gpu_layers, log)
    try:
        model = Model.load(request.model_path, n_gpu_layers=n_gpu_layers, use_mmap=request.use_mmap,
                           on_progress=on_progress)
        _check_kind(model)
        _check_context(request, model, log)
        context = Context(model, n_ctx=request.n_ctx, n_threads=_threads(request), kv_type=request.kv_type)
    except LoadFailed as error:
        raise LoadRefused(refusal_of_load(Path(request.model_path), log)) from error
    notices += _context_notices(request, model)
    return Loaded(model, context, found, (time.perf_counter() - started) * 1000, notices)


def physical_cores() -> int:
    """Hyper-threads share the units that do the work, so one thread per real core is fastest.

    Never more than the cores that this process may use: threads that wait for each other's turn are very slow.
    """
    real = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return min(real, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else real


def _check(request: LoadRequest) -> None:
    """What can be known before the engine is asked."""
    if complaint := layout_complaint():
        raise LoadRefused(Refused(Reason.UNKNOWN, complaint))
    if not 1 <= request.n_ctx <= _LARGEST_CONTEXT:
        raise LoadRefused(Refused(Reason.BAD_REQUEST, f"n_ctx must be from 1 to {_LARGEST_CONTEXT}"))
    if request.n_threads is not None and request.n_threads < 1:
        raise LoadRefused(Refused(Reason.BAD_REQUEST, "n_threads must be at least 1"))
    if refused := refusal_of_file(Path(request.model_path)):
        raise LoadRefused(refused)


def _devices(request: LoadRequest) -> list[Device]:
    """Every device, those of other machines included."""
    if request.rpc_endpoints and not devices.supports_rpc():
        facts = {"endpoint": request.rpc_endpoints[0]}
        raise LoadRefused(Refused(Reason.RPC_UNREACHABLE, "this build of the engine has no RPC", facts))
    try:
        devices.connect_rpc(request.rpc_endpoints)
    except RpcUnreachable as error:
        raise LoadRefused(Refused(Reason.RPC_UNREACHABLE, str(error), {"endpoint": error.endpoint})) from error
    return devices.list_devices()


def _layers(request: LoadRequest, found: list[Device]) -> tuple[int, tuple[str, ...]]:
    if request.n_gpu_layers and not any(device.takes_layers for device in found):
        return 0, (_NO_GPU,)
    return request.n_gpu_layers, ()


def _check_weights(request: LoadRequest, n_gpu_layers: int, log: EngineLog) -> None:
    """Weights without mmap are committed memory. Systems promise more of it than there is, and kill when it is used."""
    wanted = Path(request.model_path).stat().st_size
    if request.use_mmap or wanted <= _free_bytes():
        return
    if n_gpu_layers:
        with log.aside():
            plan = planned_ram(request, n_gpu_layers, _threads(request))
        wanted = plan.weights_bytes if plan else 0
    _refuse_beyond_memory(wanted)


def _check_context(request: LoadRequest, model: Model, log: EngineLog) -> None:
    """The same for the KV cache; only when the bound comes near does the engine plan it exactly."""
    bound = kv_bound_bytes(model, request.n_ctx, request.kv_type)
    if bound < _free_bytes() // 2:
        return
    if request.n_ctx * CELL_BYTES > _free_bytes():
        _refuse_beyond_memory(max(bound, request.n_ctx * CELL_BYTES))
    with log.aside():
        plan = planned_ram(request, model.n_gpu_layers, _threads(request))
    if plan is not None:
        _refuse_beyond_memory(plan.kv_bytes + plan.compute_bytes)


def _refuse_beyond_memory(wanted: int) -> None:
    free = _free_bytes()
    if wanted > free:
        facts = {"device": "CPU", "wanted_bytes": wanted}
        raise LoadRefused(Refused(Reason.OUT_OF_MEMORY, f"{free} bytes of memory are free", facts))


def _free_bytes() -> int:
    return int(psutil.virtual_memory().available + psutil.swap_memory().free)


def _threads(request: LoadRequest) -> int:
    return request.n_threads or physical_cores()


def _check_kind(model: Model) -> None:
    if why := model.why_it_cannot_chat():
        facts = {"architecture": model.architecture}
        raise LoadRefused(Refused(Reason.UNSUPPORTED_ARCHITECTURE, why, facts))


def _context_notices(request: LoadRequest, model: Model) -> tuple[str, ...]:
    if 0 < model.n_ctx_train < request.n_ctx:
        return (_BEYOND_TRAINING.format(asked=request.n_ctx, trained=model.n_ctx_train),)
    return ()
