"""NVIDIA GPUs by NVML. A driver that does not work is a sentence with the next step, never a crash."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from carryon.hardware.machine import Gpu, GpuProcess, GpuUse, Vendor

# nvml.h, nvmlReturn_t
_NO_PERMISSION, _DRIVER_NOT_LOADED, _LIBRARY_NOT_FOUND, _GPU_IS_LOST, _LIB_RM_VERSION_MISMATCH = 4, 9, 12, 15, 18
_NO_DRIVER = (_DRIVER_NOT_LOADED, _LIBRARY_NOT_FOUND)

_RESTART = "Restart the computer; if that does not help, reinstall the driver."
_CHECK_SLOT = "Restart the computer; if that does not help, check the GPU's power and its slot."
_CAUSES = {
    _NO_PERMISSION: (
        "The NVIDIA driver does not let this user use the GPU. "
        "Add the user to the groups 'video' and 'render', then log in again."
    ),
    _DRIVER_NOT_LOADED: f"The NVIDIA driver is installed but not loaded. {_RESTART}",
    _LIBRARY_NOT_FOUND: (
        "The NVIDIA driver's library is missing. "
        "Reinstall the driver; a container must be started with access to the GPU (docker: --gpus all)."
    ),
    _GPU_IS_LOST: f"An NVIDIA GPU stopped answering. {_CHECK_SLOT}",
    _LIB_RM_VERSION_MISMATCH: (
        "The NVIDIA driver was updated while the computer was running and its parts no longer match. "
        "Restart the computer."
    ),
}
# What the kernel driver that holds a card says about why NVIDIA's own driver does not; None: nothing holds it.
_HELD_BY = {
    "nouveau": "{name} runs on the open driver nouveau, which cannot compute. Install NVIDIA's own driver and restart.",
    "vfio-pci": "{name} is set aside for virtual machines (vfio-pci). To use it here, give it to the NVIDIA driver.",
    None: "{name} has no driver. Install NVIDIA's driver and restart.",
}
_BINDING_MISSING = "The Python package nvidia-ml-py is missing, so the NVIDIA GPU cannot be asked. Reinstall Carryon."


@dataclass(frozen=True)
class NvidiaOnBus:
    """An NVIDIA GPU on the PCI bus, and the kernel driver that holds it (None: nothing does)."""

    name: str
    kernel_driver: str | None


@dataclass(frozen=True)
class NvidiaFacts:
    """The GPUs that answered, and what is wrong in sentences."""

    gpus: tuple[Gpu, ...] = ()
    problems: tuple[str, ...] = ()


class NvmlFailed(Exception):
    """NVML cannot be used; `code` is its nvmlReturn_t, None where the Python binding itself is missing."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"NVML error {code}")
        self.code = code


class Nvml:
    """An open NVML. Every question answers None where this driver or this GPU cannot tell."""

    def __init__(self, library: Any) -> None:
        """Opens NVML through the binding `library`; raises NvmlFailed."""
        self._library = library
        # UnicodeDecodeError: the binding decodes names as UTF-8; AttributeError: a call that an older binding lacks.
        self._refusals = (library.NVMLError, UnicodeDecodeError, AttributeError)
        try:
            library.nvmlInit()
        except library.NVMLError as error:
            raise NvmlFailed(_code(error)) from error

    def close(self) -> None:
        self.ask("nvmlShutdown")

    def ask(self, call: str, *arguments: Any) -> Any:
        """The answer of one NVML call, None when it refuses."""
        try:
            return getattr(self._library, call)(*arguments)
        except self._refusals:
            return None

    def handles(self) -> tuple[Any | None, ...]:
        """One handle for each GPU, None for one that does not answer; raises NvmlFailed when they cannot be counted."""
        try:
            count = int(self._library.nvmlDeviceGetCount())
        except self._library.NVMLError as error:
            raise NvmlFailed(_code(error)) from error
        return tuple(self.ask("nvmlDeviceGetHandleByIndex", index) for index in range(count))

    def name(self, handle: Any) -> str:
        return self.ask("nvmlDeviceGetName", handle) or "NVIDIA GPU"


def open_nvml(load: Callable[[], Any]) -> Nvml:
    """Loads the binding and opens NVML; raises NvmlFailed."""
    try:
        library = load()
    except ImportError as error:
        raise NvmlFailed(None) from error
    return Nvml(library)


def read_nvidia(load: Callable[[], Any], on_bus: Sequence[NvidiaOnBus] = ()) -> NvidiaFacts:
    """All NVIDIA GPUs; `on_bus` are those that the PCI bus shows, where it can be asked.

    Without a driver and without a card on the bus there is nothing to report.
    """
    try:
        nvml = open_nvml(load)
    except NvmlFailed as failure:
        return NvidiaFacts(problems=_explain(failure.code, on_bus))
    try:
        return _read(nvml, on_bus)
    except NvmlFailed as failure:
        return NvidiaFacts(problems=_explain(failure.code, on_bus))
    finally:
        nvml.close()


def nvidia_use(nvml: Nvml, handle: Any, name: str) -> GpuUse:
    """How full one GPU is now; a few microseconds once NVML is open."""
    memory = nvml.ask("nvmlDeviceGetMemoryInfo", handle)
    if memory is None:
        return GpuUse(name, None, None)
    return GpuUse(name, int(memory.total) - int(memory.free), int(memory.total))


def _read(nvml: Nvml, on_bus: Sequence[NvidiaOnBus]) -> NvidiaFacts:
    handles = nvml.handles()
    if not handles:
        return NvidiaFacts(problems=_explain(_DRIVER_NOT_LOADED, on_bus))
    silent = [index for index, handle in enumerate(handles) if handle is None]
    gpus = tuple(_gpu(nvml, handle) for handle in handles if handle is not None)
    return NvidiaFacts(gpus, tuple(_silent_gpu(index) for index in silent))


def _gpu(nvml: Nvml, handle: Any) -> Gpu:
    memory = nvml.ask("nvmlDeviceGetMemoryInfo", handle)   # refused where the GPU shares the RAM, as on DGX Spark
    version = nvml.ask("nvmlDeviceGetCudaComputeCapability", handle)
    display = nvml.ask("nvmlDeviceGetDisplayActive", handle)
    return Gpu(
        vendor=Vendor.NVIDIA,
        name=nvml.name(handle),
        total_bytes=int(memory.total) if memory else None,
        free_bytes=int(memory.free) if memory else None,
        driver=nvml.ask("nvmlSystemGetDriverVersion"),
        compute_capability=f"{version[0]}.{version[1]}" if version else None,
        drives_display=None if display is None else bool(display),
        processes=tuple(_processes(nvml, handle)),
    )


def _processes(nvml: Nvml, handle: Any) -> Iterator[GpuProcess]:
    """Largest first. A program that computes and draws stands in both lists, with the same figure."""
    used: dict[int, int | None] = {}
    for call in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
        for process in nvml.ask(call, handle) or ():
            used[process.pid] = _larger(used.get(process.pid), process.usedGpuMemory)
    for pid in sorted(used, key=lambda pid: (-(used[pid] or 0), pid)):
        yield GpuProcess(pid, _program(nvml.ask("nvmlSystemGetProcessName", pid)), used[pid])


def _larger(one: int | None, other: int | None) -> int | None:
    known = [size for size in (one, other) if size is not None]
    return max(known) if known else None


def _program(command: str | None) -> str | None:
    """The program's own name out of NVML's path, which may carry arguments.

    psutil is no help here: NVML's pids are the host's, and in a container they mean other programs.
    """
    if not command:
        return None
    path = command.split(" -")[0].strip()
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2] or None


def _explain(code: int | None, on_bus: Sequence[NvidiaOnBus]) -> tuple[str, ...]:
    """Why no GPU answers: nothing to say without driver and card, else the cause with its next step."""
    if code is None:
        return (_BINDING_MISSING,) if on_bus else ()
    if code not in _NO_DRIVER:
        return (_CAUSES.get(code) or f"The NVIDIA driver does not answer (NVML error {code}). {_RESTART}",)
    lines = (_HELD_BY.get(card.kernel_driver, _CAUSES[code]).format(name=card.name) for card in on_bus)
    return tuple(dict.fromkeys(lines))


def _silent_gpu(index: int) -> str:
    return f"NVIDIA GPU {index} does not answer. {_CHECK_SLOT}"


def _code(error: Any) -> int:
    return int(error.value)


