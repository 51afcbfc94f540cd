"""Whom a probe asks: the system's files, NVIDIA's library, sysctl, the engine. A test hands in others."""

import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

ENGINE_COMMAND = (sys.executable, "-m", "carryon.worker.devices")
ENGINE_TIMEOUT_S = 20.0   # a first CUDA start compiles and caches kernels; longer than this is a hang


def load_nvml() -> Any:
    """NVIDIA's management library as `pynvml` binds it; raises ImportError where the binding is missing."""
    return importlib.import_module("pynvml")


def find_engine() -> Path | None:
    """The folder of the engine's libraries, as its bindings look for it; None where they are not installed."""
    if told := os.environ.get("LLAMA_CPP_LIB_PATH"):
        return Path(told)
    spec = PathFinder.find_spec("llama_cpp")   # which imports nothing
    folders = spec.submodule_search_locations if spec else None
    return Path(next(iter(folders))) / "lib" if folders else None


def run_sysctl(names: Sequence[str]) -> str:
    """macOS's answer, one "name: value" line for each name it knows (-i skips the others); empty when there is none."""
    command = ("/usr/sbin/sysctl", "-i", *names)
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.decode(errors="replace")


def read_windows_cpu_name() -> str | None:
    """The processor's name from the registry; None on any other system."""
    if sys.platform != "win32":
        return None
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0])
    except OSError:
        return None


def has_windows_cpu_feature(number: int) -> bool:
    """Whether Windows reports this PF_* processor feature as usable; False on any other system."""
    if sys.platform != "win32":
        return False
    import ctypes

    return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(number))


@dataclass(frozen=True)
class World:
    """Where the facts come from; the defaults are the machine we run on."""

    system: str = field(default_factory=platform.system)     # "Linux", "Darwin", "Windows"
    release: str = field(default_factory=platform.release)
    architecture: str = field(default_factory=platform.machine)
    root: Path = Path("/")                                   # above proc/, sys/, etc/ and usr/
    load_nvml: Callable[[], Any] = load_nvml
    sysctl: Callable[[Sequence[str]], str] = run_sysctl
    windows_cpu_name: Callable[[], str | None] = read_windows_cpu_name
    windows_cpu_feature: Callable[[int], bool] = has_windows_cpu_feature
    engine_command: tuple[str, ...] = ENGINE_COMMAND
    engine_timeout_s: float = ENGINE_TIMEOUT_S
    find_engine: Callable[[], Path | None] = find_engine
