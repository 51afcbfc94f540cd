"""Which build of the engine suits this machine: facts about the driver in, choices out, the best first."""

import ctypes
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

Version = tuple[int, int]


class Accelerator(Enum):
    """What computes beside the CPU."""

    CUDA = "cuda"
    METAL = "metal"
    NONE = "cpu"


@dataclass(frozen=True)
class Nvidia:
    """An NVIDIA driver that answers: the newest CUDA it runs, and its oldest and newest GPU's compute capability."""

    cuda: Version
    capabilities: tuple[Version, ...]        # () when the driver does not say


@dataclass(frozen=True)
class Facts:
    """What the choice hangs on."""

    system: str                              # as sys.platform says it
    nvidia: Nvidia | None = None
    is_driver_silent: bool = False           # its library is installed, and does not answer
    has_nvcc: bool = False
    own_flags: tuple[str, ...] = ()          # of the user's CMAKE_ARGS


@dataclass(frozen=True)
class Prebuilt:
    """A wheel of llama-cpp-python's own index; `variant` is the index's folder, such as cu124."""

    variant: str
    accelerator: Accelerator


@dataclass(frozen=True)
class Source:
    """A build from the source distribution with these CMake flags, for this machine alone."""

    flags: tuple[str, ...]
    accelerator: Accelerator


Choice = Prebuilt | Source


@dataclass(frozen=True)
class CudaWheel:
    """A CUDA variant of the index: what the driver must run, and the compute capabilities it holds code for."""

    variant: str
    cuda: Version
    oldest: Version
    newest: Version | None = None            # None: it also holds code that a driver translates for newer GPUs


# From llama-cpp-python 0.3.36, .github/workflows/build-wheels-cuda.yaml: the toolkits of its matrix and their
# CMAKE_CUDA_ARCHITECTURES (11.8: 60 to 89 and nothing newer; 12: 60 to 90 and PTX; 13: 75 to 90 and PTX). Newest first.
CUDA_WHEELS = (
    CudaWheel("cu132", (13, 2), oldest=(7, 5)),
    CudaWheel("cu130", (13, 0), oldest=(7, 5)),
    CudaWheel("cu125", (12, 5), oldest=(6, 0)),
    CudaWheel("cu124", (12, 4), oldest=(6, 0)),
    CudaWheel("cu123", (12, 3), oldest=(6, 0)),
    CudaWheel("cu122", (12, 2), oldest=(6, 0)),
    CudaWheel("cu121", (12, 1), oldest=(6, 0)),
    CudaWheel("cu118", (11, 8), oldest=(6, 0), newest=(8, 9)),
)

NATIVE = "-DGGML_NATIVE=ON"                  # said aloud: it is off by default where SOURCE_DATE_EPOCH is set
# ggml's AMX code is left out, which is compiled where __AMX_INT8__ is defined. It dies of SIGILL wherever the compiler
# drops the tile configuration as unused (GCC up to 12 at least; ggml-org/llama.cpp#26954), and it keeps the weights in
# a buffer type of its own, for which no memory was ever checked. _INIT leaves the user's CFLAGS and CXXFLAGS in place.
WITHOUT_AMX = ("-DCMAKE_C_FLAGS_INIT=-U__AMX_INT8__", "-DCMAKE_CXX_FLAGS_INIT=-U__AMX_INT8__")
BASE_FLAGS = ("-DGGML_RPC=ON", NATIVE, *WITHOUT_AMX)
FLAGS = {Accelerator.CUDA: ("-DGGML_CUDA=ON",), Accelerator.METAL: ("-DGGML_METAL=ON",), Accelerator.NONE: ()}


def choices(facts: Facts, *, from_source: bool = False) -> list[Choice]:
    """Every build that can work here, the best first; the last one is a build for the CPU from source."""
    if from_source:
        return [*sources(facts)]
    if facts.system == "darwin":
        return [Prebuilt("metal", Accelerator.METAL), *sources(facts)]
    cuda = [Prebuilt(wheel.variant, Accelerator.CUDA) for wheel in cuda_wheels(facts.nvidia)]
    with_gpu = [source for source in sources(facts) if source.accelerator is Accelerator.CUDA]
    return [*cuda, *with_gpu, Prebuilt("cpu", Accelerator.NONE), source_for(facts, Accelerator.NONE)]


def cuda_wheels(nvidia: Nvidia | None) -> list[CudaWheel]:
    """The CUDA wheels that the driver runs and that hold code for every GPU here, the newest first.

    A wheel newer than the driver would start by CUDA's minor-version rule, but a driver translates no PTX that is
    newer than itself, so the rule is the strict one.
    """
    if nvidia is None:
        return []
    return [wheel for wheel in CUDA_WHEELS if wheel.cuda <= nvidia.cuda and _holds_code_for(wheel, nvidia.capabilities)]


def _holds_code_for(wheel: CudaWheel, capabilities: tuple[Version, ...]) -> bool:
    return all(wheel.oldest <= one and (wheel.newest is None or one <= wheel.newest) for one in capabilities)


def sources(facts: Facts) -> list[Source]:
    """The builds from source that can work here, the best first."""
    if facts.system == "darwin":
        return [source_for(facts, Accelerator.METAL)]
    cuda = [source_for(facts, Accelerator.CUDA)] if facts.nvidia and facts.has_nvcc else []
    return [*cuda, source_for(facts, Accelerator.NONE)]


def source_for(facts: Facts, accelerator: Accelerator) -> Source:
    """The build from source for one accelerator; the user's own CMAKE_ARGS come last and so win."""
    return Source((*BASE_FLAGS, *FLAGS[accelerator], *facts.own_flags), accelerator)


def read_facts(environment: Mapping[str, str] = os.environ) -> Facts:
    """The facts of this machine; a broken driver counts as none."""
    own_flags = tuple(shlex.split(environment.get("CMAKE_ARGS", "")))
    if sys.platform == "darwin":
        return Facts(sys.platform, own_flags=own_flags)
    library = nvml(NVML_WINDOWS if sys.platform == "win32" else NVML_LINUX)
    nvidia = (nvidia_by_nvml(library) if library else None) or nvidia_by_smi()
    is_silent = library is not None and nvidia is None
    return Facts(sys.platform, nvidia, is_silent, shutil.which("nvcc") is not None, own_flags)


NVML_LINUX = ("libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1")
NVML_WINDOWS = ("nvml.dll", "C:/Program Files/NVIDIA Corporation/NVSMI/nvml.dll")


def nvml(names: Iterable[str]) -> ctypes.CDLL | None:
    """The driver's own library, None where no driver is installed."""
    for name in names:
        with suppress(OSError):
            return ctypes.CDLL(name)
    return None


def nvidia_by_nvml(library: ctypes.CDLL) -> Nvidia | None:
    """What the driver says (NVML reference, nvmlSystemGetCudaDriverVersion: 12040 is CUDA 12.4); None when broken."""
    try:
        if library.nvmlInit_v2() != 0:
            return None
        try:
            return _nvidia_of(library)
        finally:
            library.nvmlShutdown()
    except AttributeError:                                   # a library older than these functions
        return None


def _nvidia_of(library: ctypes.CDLL) -> Nvidia | None:
    version, count = ctypes.c_int(), ctypes.c_uint()
    if library.nvmlSystemGetCudaDriverVersion_v2(ctypes.byref(version)):
        return None
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) or not count.value:
        return None
    capabilities = tuple(filter(None, (_capability(library, index) for index in range(count.value))))
    return Nvidia((version.value // 1000, version.value % 1000 // 10), capabilities)


def _capability(library: ctypes.CDLL, index: int) -> Version | None:
    device, major, minor = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int()
    if library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(device)):
        return None
    if library.nvmlDeviceGetCudaComputeCapability(device, ctypes.byref(major), ctypes.byref(minor)):
        return None
    return major.value, minor.value


def nvidia_by_smi() -> Nvidia | None:
    """The same from the nvidia-smi program, for systems that hide the library."""
    return nvidia_of(_quietly("nvidia-smi"), _quietly("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"))


def nvidia_of(overview: str, capabilities: str) -> Nvidia | None:
    """The driver told by nvidia-smi's overview ("CUDA Version: 12.4") and its list of compute capabilities."""
    found = re.search(r"CUDA Version:\s*(\d+)\.(\d+)", overview)
    if not found:
        return None
    told = re.findall(r"^\s*(\d+)\.(\d+)\s*$", capabilities, re.MULTILINE)
    return Nvidia((int(found[1]), int(found[2])), tuple((int(major), int(minor)) for major, minor in told))


def _quietly(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
