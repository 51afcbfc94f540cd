"""The user's cache of what was built once for this machine: its place, the names of entries, filling them whole."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

LOCK_POLL_S = 0.5
# The families of x86 instructions that a compiler emits for a native build. The rest of /proc/cpuinfo's flags
# (mitigations, virtualization) changes with a kernel update, and must not cost a rebuild.
EMITTED = re.compile(r"(?:sse|ssse|avx|fma|f16c|bmi|abm|lzcnt|popcnt|movbe|adx|amx|gfni|vaes|vpclmul|pclmul|aes|sha)")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a build gives; two builds of one recipe are the same thing.

    pip's own wheel cache knows only the version: it would hand out a wheel of other CMake flags or of another CPU.
    """

    version: str
    label: str                    # for people who look into the folder, such as "cuda"
    flags: tuple[str, ...]
    cpu: str                      # "" for what does not depend on it, such as a prebuilt wheel
    system: str                   # operating system, architecture and C library

    @property
    def key(self) -> str:
        """The name of the entry's folder."""
        told = json.dumps(asdict(self), sort_keys=True).encode()
        return f"{self.version}-{self.label}-{hashlib.sha256(told).hexdigest()[:12]}"


def cache_root(environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> Path:
    """The user's cache folder of Carryon's builds; CARRYON_ENGINE_CACHE moves it."""
    if moved := environment.get("CARRYON_ENGINE_CACHE"):
        return Path(moved).expanduser().absolute()
    if system == "darwin":
        return Path.home() / "Library" / "Caches" / "carryon"
    if system == "win32":
        return Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "carryon" / "cache"
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "carryon"


def system_identity() -> str:
    """Operating system, architecture and C library: a library built on a newer glibc does not load on an older one."""
    return f"{sys.platform}-{platform.machine().lower()}-{_c_library() or platform.release()}"


def _c_library() -> str:
    """The glibc that runs, such as "glibc 2.36"; platform.libc_ver() tells the one that this Python was built with."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):            # Windows, macOS, musl
        return ""


def cpu_identity() -> str:
    """The CPU's model and its instruction sets: both, since virtual machines hide the model."""
    if sys.platform == "darwin":
        return _quietly("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()
    if sys.platform == "win32":
        return os.environ.get("PROCESSOR_IDENTIFIER", platform.processor())
    with suppress(OSError):
        return cpu_of(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    return platform.processor()


def cpu_of(cpuinfo: str) -> str:
    """The identity told by Linux's /proc/cpuinfo, of its first core (x86 says "flags", ARM says "Features")."""
    first_core = cpuinfo.split("\n\n", 1)[0]
    told = dict(re.findall(r"^([^\t:]+?)\s*: (.*)$", first_core, re.MULTILINE))
    model = told.get("model name") or told.get("CPU part") or platform.machine()
    emitted = filter(EMITTED.match, told["flags"].split()) if "flags" in told else told.get("Features", "").split()
    return f"{model}: {' '.join(sorted(emitted))}"


def _quietly(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


class BuildCache:
    """One folder of entries: each is there whole or not at all, and is built by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, recipe: Recipe) -> Path | None:
        """The entry's folder, None when it was never built."""
        entry = self.folder / recipe.key
        return entry if (entry / "recipe.json").is_file() else None

    def forget(self, recipe: Recipe) -> None:
        """Removes an entry that turned out not to work."""
        shutil.rmtree(self.folder / recipe.key, ignore_errors=True)

    def log(self, recipe: Recipe) -> Path:
        """Where the output of building an entry is kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{recipe.key}.log"

    @contextmanager
    def filling(self, recipe: Recipe) -> Iterator[Path]:
        """An empty folder that becomes the entry when the block ends well; an error leaves nothing behind.

        Hold `alone(recipe)` around it.
        """
        building = self.folder / f"{recipe.key}.building"
        shutil.rmtree(building, ignore_errors=True)          # of a build that was killed
        building.mkdir(parents=True)
        try:
            yield building
            (building / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2), encoding="utf-8")
            self.forget(recipe)
            building.rename(self.folder / recipe.key)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    @contextmanager
    def alone(self, recipe: Recipe, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Only one process at a time gets in; `waiting` is called once when another one is there first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{recipe.key}.lock").open("a+b") as handle:
            if not _try_lock(handle):
                waiting()
                while not _try_lock(handle):
                    time.sleep(LOCK_POLL_S)
            yield                                            # closing the file, or dying, unlocks it


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(handle: IO[bytes]) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
