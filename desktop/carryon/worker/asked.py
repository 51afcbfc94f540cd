"""What a LoadRequest asks for, checked and matched with the devices that there are: one way for loads and for plans."""

import math
import os
from pathlib import Path

import psutil

from carryon.engine.protocol import LoadRequest, Reason, Refused
from carryon.gguf.split import parts_of
from carryon.worker import devices
from carryon.worker.capi import layout_complaint
from carryon.worker.devices import Device, RpcUnreachable
from carryon.worker.parameters import Placing, Sizing, most_devices
from carryon.worker.refusals import LoadRefused, refusal_of_file

_LARGEST_CONTEXT = 2**31 - 1
_LARGEST_UBATCH = 2**16
_MOST_SEQUENCES = 256  # LLAMA_MAX_SEQ
_MOST = 2**31 - 1
_RANGES = {
    "n_ctx": ("the context in tokens", 1, _LARGEST_CONTEXT),
    "n_gpu_layers": ("the number of GPU layers", -1, _MOST),
    "n_cpu_experts": ("the number of layers with experts in RAM", 0, _MOST),
    "n_ubatch": ("the batch in tokens", 1, _LARGEST_UBATCH),
    "n_parallel": ("the number of parallel slots", 1, _MOST_SEQUENCES),
}
_NO_GPU = "No GPU was found, so all layers run on the CPU."


def check(request: LoadRequest) -> None:
    """Everything that can be known before the engine is asked. Raises LoadRefused."""
    if complaint := layout_complaint():
        raise LoadRefused(Refused(Reason.UNKNOWN, complaint))
    if complaint := _complaint(request):
        raise LoadRefused(Refused(Reason.BAD_REQUEST, complaint))
    for part in model_files(request):
        if refused := refusal_of_file(part):
            raise LoadRefused(refused)


def model_files(request: LoadRequest) -> tuple[Path, ...]:
    """All files of the model, the first one first: the engine wants that one and finds the others by its name."""
    return parts_of(Path(request.model_path))


def found_devices(request: LoadRequest) -> list[Device]:
    """Every device, those of other machines included. Raises LoadRefused."""
    if request.rpc_endpoints and not devices.supports_rpc():
        facts = {"endpoint": request.rpc_endpoints[0]}
        raise LoadRefused(Refused(Reason.RPC_UNREACHABLE, "this build of the engine has no RPC", facts))
    try:
        devices.connect_rpc(request.rpc_endpoints)
    except RpcUnreachable as error:
        raise LoadRefused(Refused(Reason.RPC_UNREACHABLE, str(error), {"endpoint": error.endpoint})) from error
    return devices.list_devices()


def placing(request: LoadRequest, found: list[Device]) -> tuple[Placing, tuple[str, ...]]:
    """Where the weights go, and in words what is not as asked. Raises LoadRefused when a device is not there."""
    chosen = _chosen(request.gpus, found)
    if request.n_gpu_layers and not any(device.takes_layers for device in found):
        return Placing(use_mmap=request.use_mmap), (_NO_GPU,)
    return Placing(
        n_gpu_layers=request.n_gpu_layers,
        devices=tuple(device.handle for device in chosen),
        split=request.split,
        n_cpu_experts=request.n_cpu_experts,
        use_mmap=request.use_mmap,
    ), ()


def sizing(request: LoadRequest) -> Sizing:
    """How large the context is to be."""
    return Sizing(
        n_ctx=request.n_ctx,
        n_threads=request.n_threads or physical_cores(),
        kv_type=request.kv_type,
        n_ubatch=request.n_ubatch,
        n_parallel=request.n_parallel,
    )


def physical_cores() -> int:
    """Hyper-threads share the units that do the work, so one thread per real core is fastest.

    Never more than the cores that this process may use: threads that wait for each other's turn are very slow.
    """
    real = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return min(real, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else real


def _complaint(request: LoadRequest) -> str | None:
    """What makes no sense about the request, as a phrase."""
    if not all(isinstance(text, str) for text in (request.model_path, *request.gpus, *request.rpc_endpoints)):
        return "paths, names of GPUs and addresses must be texts"
    for name, (words, least, most) in _RANGES.items():
        value = getattr(request, name)
        if type(value) is not int or not least <= value <= most:
            return f"{words} must be a whole number from {least:,} to {most:,}"
    if request.n_threads is not None and (type(request.n_threads) is not int or request.n_threads < 1):
        return "the number of threads must be at least 1"
    return _complaint_about_split(request)


def _complaint_about_split(request: LoadRequest) -> str | None:
    if max(len(request.gpus), len(request.split)) > most_devices():
        return f"a model can be shared by {most_devices()} devices at most"
    if len(set(request.gpus)) < len(request.gpus):
        return "a GPU is named twice"
    if request.gpus and request.split and len(request.gpus) != len(request.split):
        return "there are not as many shares as GPUs"
    if not all(isinstance(share, int | float) and math.isfinite(share) and share >= 0 for share in request.split):
        return "the shares of the GPUs must be numbers from 0 up"
    return "the shares of the GPUs are all 0" if request.split and not any(request.split) else None


def _chosen(names: tuple[str, ...], found: list[Device]) -> list[Device]:
    takers = {device.name: device for device in found if device.takes_layers}
    if missing := [name for name in names if name not in takers]:
        there = f"it sees {', '.join(takers)}" if takers else "it sees none"
        detail = f"the engine has no GPU called {', '.join(map(str, missing))} ({there})"
        raise LoadRefused(Refused(Reason.BAD_REQUEST, detail, {"gpus": missing}))
    return [takers[name] for name in names]
