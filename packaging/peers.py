"""Builds llama.cpp's own tools from the engine's source distribution, to compare with: nothing of the app needs them.

    python3 packaging/peers.py            builds once (about 25 minutes of CPU) and prints the folder of the programs
    python3 packaging/peers.py --where    prints the folder and builds nothing; exit code 1 when it is not there

They come from the same source as the engine, with the same native instructions, so a difference in speed is ours.
"""

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from build_cache import BuildCache, Recipe, cache_root, cpu_identity, system_identity
from engine_choice import BASE_FLAGS
from narration import SetupFailed, run_shown, say
from system_packages import require_for_peers

VERSION = "0.3.36"
SDIST = f"llama_cpp_python-{VERSION}.tar.gz"
SDIST_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
PROGRAMS = ("llama-bench", "llama-quantize", "llama-perplexity", "llama-server")
FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    *BASE_FLAGS,                          # the engine's own: native, and without AMX
    "-DLLAMA_BUILD_UI=OFF",               # the server's web page needs a download
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",  # the programs find their libraries beside them, wherever they are moved
    "-DCMAKE_INSTALL_RPATH=" + ("@loader_path" if sys.platform == "darwin" else "$ORIGIN"),
)


def recipe() -> Recipe:
    """What a build on this machine is."""
    return Recipe(VERSION, "tools", (*FLAGS, *PROGRAMS), cpu_identity(), system_identity())


def cache() -> BuildCache:
    """Where the builds are kept."""
    return BuildCache(cache_root() / "peers")


def programs_folder() -> Path | None:
    """The folder of the built programs, None when they were not built yet."""
    entry = cache().find(recipe())
    return entry and entry / "bin"


def build(jobs: int) -> Path:
    """The folder of the built programs; builds them first where it must. Raises SetupFailed."""
    require_for_peers()
    with cache().alone(recipe(), waiting=lambda: say("Another process is building them; waiting for it.")):
        return programs_folder() or _build_alone(jobs)


def _build_alone(jobs: int) -> Path:
    log = cache().log(recipe())
    log.unlink(missing_ok=True)
    with cache().filling(recipe()) as folder:
        source = unpacked(fetched_sdist(folder, log), folder / "source")
        ninja = ["-G", "Ninja"] if shutil.which("ninja") else []
        _run("Configuring llama.cpp's tools", ["cmake", *ninja, "-S", source, "-B", folder / "build", *FLAGS], log)
        _run("Building llama.cpp's tools",
             ["cmake", "--build", folder / "build", "--config", "Release", "-j", jobs, "--target", *PROGRAMS], log)
        shutil.copytree(folder / "build" / "bin", folder / "bin", symlinks=True)
        for scaffold in ("build", "source", SDIST):
            _remove(folder / scaffold)
    found = programs_folder()
    assert found is not None
    return found


def fetched_sdist(folder: Path, log: Path) -> Path:
    """The source distribution as the user's package index gives it, its sum checked."""
    wanted = ["--no-deps", "--no-binary", "llama-cpp-python", f"llama-cpp-python=={VERSION}"]
    _run("Fetching the source", [_python_with_pip(), "-m", "pip", "download", "--dest", folder, *wanted], log)
    sdist = folder / SDIST
    if not sdist.is_file() or hashlib.sha256(sdist.read_bytes()).hexdigest() != SDIST_SHA256:
        raise SetupFailed(f"The package index gave another {SDIST} than the one we know.",
                          "Use another package index (PIP_INDEX_URL) and run this again.")
    return sdist


def unpacked(sdist: Path, target: Path) -> Path:
    """llama.cpp's folder inside the unpacked source distribution."""
    shutil.unpack_archive(sdist, target)
    return target / SDIST.removesuffix(".tar.gz") / "vendor" / "llama.cpp"


def _python_with_pip() -> Path:
    """The project's own Python where bootstrap has made one: a bare system Python often has no pip."""
    name = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    ours = Path(__file__).resolve().parents[1] / ".venv" / name
    return ours if ours.exists() else Path(sys.executable)


def _run(title: str, command: Sequence[object], log: Path) -> None:
    ended = run_shown(title, [str(part) for part in command], log=log, out=sys.stderr)
    if not ended.is_good:
        raise SetupFailed(f"{title} failed: {next(reversed(ended.lines), 'no output')}",
                          f"The whole output is in {log}.")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the folder of the programs on stdout; everything else goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="compilers at a time (all cores)")
    parser.add_argument("--where", action="store_true", help="only print the folder")
    wish = parser.parse_args(arguments)
    try:
        folder = programs_folder() if wish.where else build(wish.jobs)
    except SetupFailed as error:
        print(error.text, file=sys.stderr)
        return 1
    if folder is None:
        print("Not built yet: run python3 packaging/peers.py", file=sys.stderr)
        return 1
    say(str(folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
