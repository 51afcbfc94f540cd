"""CUDA's runtime beside a prebuilt CUDA engine: the wheels leave it out, and a driver alone does not bring it."""

import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from narration import say
from system_packages import missing_libraries
from virtual_env import VirtualEnv

# NVIDIA's own wheels on PyPI; the CUDA 13 ones lost their suffix. All 12.x run on any driver for CUDA 12 (CUDA
# Compatibility guide, "minor version compatibility"), so the newest of the major version is taken.
PACKAGES = {
    11: ("nvidia-cuda-runtime-cu11", "nvidia-cublas-cu11"),
    12: ("nvidia-cuda-runtime-cu12", "nvidia-cublas-cu12"),
    13: ("nvidia-cuda-runtime>=13,<14", "nvidia-cublas>=13,<14"),
}
# What libggml-cuda links to; auditwheel was told to leave these out (build-wheels-cuda.yaml, "--exclude").
RUNTIME = re.compile(r"(?:lib(?:cudart|cublas|cublasLt)\.so\.\d|(?:cudart|cublas|cublasLt)64_\d+\.dll)")


def provide(env: VirtualEnv, major: int) -> None:
    """Puts the runtime beside the engine's libraries where the system has none. Raises SetupFailed when pip cannot."""
    packages = env.packages_folder()
    libraries = packages / "llama_cpp" / "lib"
    if not lacks_runtime(libraries):
        return
    say("NVIDIA's CUDA runtime is not on this system; fetching it (about 500 MB, into .venv).")
    env.pip("Fetching the CUDA runtime", "install", *PACKAGES[major])
    for file in runtime_files(packages / "nvidia"):
        _put_beside(file, libraries)


def lacks_runtime(libraries: Path) -> bool:
    """Whether the engine's CUDA library asks for a runtime that the loader does not find."""
    if sys.platform == "win32":
        return not any(shutil.which(f"cudart64_{version}.dll") for version in (110, 12, 13))
    return any(map(RUNTIME.match, missing_libraries(libraries.glob("libggml-cuda.so*"))))


def runtime_files(folder: Path) -> Iterator[Path]:
    """The runtime's libraries among those of NVIDIA's packages."""
    return (file for file in _files(folder.rglob("*")) if RUNTIME.match(file.name))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in paths if path.is_file())


def _put_beside(file: Path, folder: Path) -> None:
    """A link (a copy on Windows): the engine's libraries look in their own folder first, their run path is $ORIGIN."""
    target = folder / file.name
    target.unlink(missing_ok=True)
    if sys.platform == "win32":
        shutil.copy2(file, target)
    else:
        target.symlink_to(file)
