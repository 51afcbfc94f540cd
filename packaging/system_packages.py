"""What the system itself must bring (a compiler, Qt's libraries), and how its package manager calls it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path

from narration import SetupFailed

Which = Callable[[str], str | None]


class Packager(Enum):
    """A package manager, as the words that install with it."""

    APT = "sudo apt install"
    DNF = "sudo dnf install"
    PACMAN = "sudo pacman -S"
    ZYPPER = "sudo zypper install"
    BREW = "brew install"


ORDER = (Packager.APT, Packager.DNF, Packager.PACMAN, Packager.ZYPPER)
PROGRAM = {Packager.APT: "apt-get", Packager.DNF: "dnf", Packager.PACMAN: "pacman", Packager.ZYPPER: "zypper",
           Packager.BREW: "brew"}

COMPILER = "a C++ compiler"
CMAKE = "cmake"
VENV = "Python's venv module"

# The packages in ORDER. Debian's names were tried on Debian 12; the others are those of Fedora 40, Arch and
# openSUSE Tumbleweed as their package searches give them.
NAMES: dict[str, tuple[str, str, str, str]] = {
    COMPILER: ("build-essential", "gcc-c++", "base-devel", "gcc-c++"),
    CMAKE: ("cmake", "cmake", "cmake", "cmake"),
    VENV: ("python3-venv", "python3", "python", "python3"),
    "libEGL.so.1": ("libegl1", "libglvnd-egl", "libglvnd", "libglvnd"),
    "libGL.so.1": ("libgl1", "libglvnd-glx", "libglvnd", "libglvnd"),
    "libOpenGL.so.0": ("libopengl0", "libglvnd-opengl", "libglvnd", "libglvnd"),
    "libX11-xcb.so.1": ("libx11-xcb1", "libX11-xcb", "libx11", "libX11-xcb1"),
    "libX11.so.6": ("libx11-6", "libX11", "libx11", "libX11-6"),
    "libdbus-1.so.3": ("libdbus-1-3", "dbus-libs", "dbus", "libdbus-1-3"),
    "libfontconfig.so.1": ("libfontconfig1", "fontconfig", "fontconfig", "libfontconfig1"),
    "libfreetype.so.6": ("libfreetype6", "freetype", "freetype2", "libfreetype6"),
    "libglib-2.0.so.0": ("libglib2.0-0", "glib2", "glib2", "libglib-2_0-0"),
    "libgthread-2.0.so.0": ("libglib2.0-0", "glib2", "glib2", "libgthread-2_0-0"),
    "libgomp.so.1": ("libgomp1", "libgomp", "gcc-libs", "libgomp1"),
    "libxcb-cursor.so.0": ("libxcb-cursor0", "xcb-util-cursor", "xcb-util-cursor", "libxcb-cursor0"),
    "libxcb-icccm.so.4": ("libxcb-icccm4", "xcb-util-wm", "xcb-util-wm", "libxcb-icccm4"),
    "libxcb-image.so.0": ("libxcb-image0", "xcb-util-image", "xcb-util-image", "libxcb-image0"),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1", "xcb-util-keysyms", "xcb-util-keysyms", "libxcb-keysyms1"),
    "libxcb-randr.so.0": ("libxcb-randr0", "libxcb", "libxcb", "libxcb-randr0"),
    "libxcb-render-util.so.0": ("libxcb-render-util0", "xcb-util-renderutil", "xcb-util-renderutil",
                                "libxcb-render-util0"),
    "libxcb-render.so.0": ("libxcb-render0", "libxcb", "libxcb", "libxcb-render0"),
    "libxcb-shape.so.0": ("libxcb-shape0", "libxcb", "libxcb", "libxcb-shape0"),
    "libxcb-shm.so.0": ("libxcb-shm0", "libxcb", "libxcb", "libxcb-shm0"),
    "libxcb-sync.so.1": ("libxcb-sync1", "libxcb", "libxcb", "libxcb-sync1"),
    "libxcb-util.so.1": ("libxcb-util1", "xcb-util", "xcb-util", "libxcb-util1"),
    "libxcb-xfixes.so.0": ("libxcb-xfixes0", "libxcb", "libxcb", "libxcb-xfixes0"),
    "libxcb-xinerama.so.0": ("libxcb-xinerama0", "libxcb", "libxcb", "libxcb-xinerama0"),
    "libxcb-xkb.so.1": ("libxcb-xkb1", "libxcb", "libxcb", "libxcb-xkb1"),
    "libxcb.so.1": ("libxcb1", "libxcb", "libxcb", "libxcb1"),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0", "libxkbcommon-x11", "libxkbcommon-x11", "libxkbcommon-x11-0"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon", "libxkbcommon", "libxkbcommon0"),
    "libz.so.1": ("zlib1g", "zlib", "zlib", "libz1"),
    "libzstd.so.1": ("libzstd1", "libzstd", "zstd", "libzstd1"),
}


def packager(which: Which = shutil.which) -> Packager | None:
    """This system's package manager, None when it has none that we know."""
    return next((one for one in Packager if which(PROGRAM[one])), None)


def names(things: Iterable[str], manager: Packager | None) -> list[str]:
    """The packages that bring `things`; a thing without a known package stands for itself."""
    if manager not in ORDER:
        return sorted(set(things))
    return sorted({NAMES[thing][ORDER.index(manager)] if thing in NAMES else thing for thing in things})


def how_to_install(things: Sequence[str], manager: Packager | None) -> str:
    """The next step for a person who lacks `things`."""
    if sys.platform == "darwin" and COMPILER in things:
        return "Install Apple's command line tools: xcode-select --install"
    if sys.platform == "win32":
        return "Install the Visual Studio Build Tools with C++: winget install Microsoft.VisualStudio.2022.BuildTools"
    if manager is None:
        return f"Install {', '.join(things)} with this system's package manager."
    return f"Install what is missing: {manager.value} {' '.join(names(things, manager))}"


def has_compiler(environment: Mapping[str, str] = os.environ, which: Which = shutil.which) -> bool:
    """Whether C++ can be compiled here; CXX names a compiler of one's own."""
    if sys.platform == "win32":
        return bool(which("cl") or which("clang-cl") or _visual_studio(environment).is_file())
    if sys.platform == "darwin" and not _answers("xcode-select", "-p"):
        return False                                         # /usr/bin/c++ is there all the same, and useless
    own = environment.get("CXX", "").split()
    return any(which(name) for name in (own[:1] or ("c++", "g++", "clang++")))


def _visual_studio(environment: Mapping[str, str]) -> Path:
    """The tool that CMake asks for Visual Studio; Microsoft keeps it at this place."""
    return Path(environment.get("ProgramFiles(x86)", "C:/")) / "Microsoft Visual Studio" / "Installer" / "vswhere.exe"


def _answers(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def require_compiler(environment: Mapping[str, str] = os.environ, which: Which = shutil.which) -> None:
    """Raises SetupFailed with the package names when nothing here compiles C++."""
    if not has_compiler(environment, which):
        raise SetupFailed("Building the engine needs a C++ compiler, and there is none here.",
                          f"{how_to_install([COMPILER, CMAKE], packager(which))}\nThen run this again.")


def require_for_peers(environment: Mapping[str, str] = os.environ, which: Which = shutil.which) -> None:
    """Raises SetupFailed when llama.cpp's tools cannot be built; unlike the engine's build, nothing fetches cmake."""
    needed = {COMPILER: has_compiler(environment, which), CMAKE: which("cmake")}
    missing = [thing for thing, is_there in needed.items() if not is_there]
    if missing:
        raise SetupFailed(f"Building llama.cpp's tools needs {' and '.join(missing)}.",
                          f"{how_to_install(missing, packager(which))}\nThen run this again.")


def missing_libraries(libraries: Iterable[Path], ldd: Callable[[Path], str] | None = None) -> list[str]:
    """The system libraries that `libraries` (files of Qt) ask for and the loader does not find; [] off Linux."""
    ask = ldd or _ldd
    told = "\n".join(ask(library) for library in libraries if library.is_file())
    return sorted(set(re.findall(r"^\s*(\S+) => not found", told, re.MULTILINE)))


def _ldd(library: Path) -> str:
    if not sys.platform.startswith("linux"):
        return ""
    try:
        return subprocess.run(["ldd", library], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
