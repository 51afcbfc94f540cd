"""What the two commands of the README do, step by step; started by bootstrap.py once the Python is new enough."""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import checks
import torch_cpu
from build_cache import BuildCache, cache_root
from engine_choice import Accelerator, Choice, Facts, choices, read_facts
from engine_install import Engine, Workshop, recipe
from narration import SetupFailed, say
from system_packages import how_to_install, missing_libraries, packager
from virtual_env import VirtualEnv
from wheel_index import ADDRESS, WheelIndex

ROOT = Path(__file__).resolve().parents[1]
DESCRIPTION = """Sets Carryon up in .venv, beside this checkout, and opens it.

The first run downloads what Carryon needs and an engine (llama.cpp) that suits this
machine: a prebuilt one for your NVIDIA driver, for Metal or for the CPU; where none can
be had, the engine is built from source, once. Later runs start in about a second.
"""
EXAMPLES = """examples:
  python3 packaging/bootstrap.py                  set up, then open the window
  python3 packaging/bootstrap.py --test           set up, then check the code and run every test
  python3 packaging/bootstrap.py --test -- -k fit the same, with words for pytest after the --
  python3 packaging/bootstrap.py --from-source    use an engine built for exactly this machine

environment:
  CARRYON_ENGINE_CACHE   where built engines are kept (default: carryon in the user's cache folder)
  CARRYON_WHEEL_INDEX    another index of prebuilt engines, laid out as llama-cpp-python's
  CARRYON_TORCH_INDEX    another index with torch's CPU build (only --test installs torch)
  CMAKE_ARGS             more CMake flags where the engine is built, such as -DGGML_VULKAN=ON
"""


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    tests: bool
    opens: bool
    from_source: bool
    wheel_index: str
    pytest_words: tuple[str, ...]

    @property
    def extras(self) -> str:
        return "dev" if self.tests else ""


@dataclass(frozen=True)
class Stamp:
    """What was set up here; where it says the same as what is wanted, nothing is left to do."""

    root: str
    python: str                              # the Python behind the environment's: a system upgrade can change it
    files: str                               # sum of pyproject.toml and constraints.txt
    extras: str
    engine_key: str
    accelerator: str
    is_from_source: bool
    has_rpc: bool

    def suits(self, root: Path, wish: Wish, engine: "WantedEngine") -> bool:
        """Whether this is the wanted environment."""
        return (self.files == files_sum(root) and wish.extras in ("", self.extras)
                and engine.is_met_by(self))

    def is_of(self, root: Path, env: VirtualEnv) -> bool:
        """Whether the environment is still the one that was made here: a moved or copied checkout is not."""
        return self.root == str(root) and self.python == str(env.python.resolve()) and env.python.exists()


@dataclass(frozen=True)
class WantedEngine:
    """The engines that would do here, the best first."""

    version: str
    facts: Facts
    choices: tuple[Choice, ...]
    must_be_built: bool                      # --from-source: then a change of flags counts too

    @property
    def accelerator(self) -> Accelerator:
        return self.choices[0].accelerator

    def is_met_by(self, stamp: Stamp) -> bool:
        """Whether the engine that is there may stay: a newer driver alone is no reason to fetch another one."""
        if self.must_be_built:
            return stamp.engine_key in [recipe(one, self.version, self.facts).key for one in self.choices]
        return stamp.engine_key.startswith(f"{self.version}-") and stamp.accelerator == self.accelerator.value


def wanted_engine(root: Path, wish: Wish) -> WantedEngine:
    """What this machine wants, of the version that the project pins."""
    facts = read_facts()
    wanted = tuple(choices(facts, from_source=wish.from_source))
    return WantedEngine(engine_version(root), facts, wanted, wish.from_source)


def wish_of(arguments: Sequence[str] | None, environment: Mapping[str, str] = os.environ) -> Wish:
    """Reads the command line; --help teaches."""
    parser = argparse.ArgumentParser(prog="bootstrap.py", description=DESCRIPTION, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test", action="store_true", help="run ruff, mypy, the layer contracts and all tests")
    parser.add_argument("--no-open", action="store_true", help="set up only")
    parser.add_argument("--from-source", action="store_true", help="build the engine here, ask no wheel index")
    parser.add_argument("--wheel-index", metavar="URL", default=environment.get("CARRYON_WHEEL_INDEX") or ADDRESS,
                        help="the index of prebuilt engines (default: llama-cpp-python's own)")
    parser.add_argument("pytest_words", nargs="*", metavar="-- PYTEST", help="words for pytest, with --test")
    told = parser.parse_args(arguments)
    if told.pytest_words and not told.test:
        parser.error(f"{told.pytest_words[0]!r} means nothing without --test")
    return Wish(told.test, not told.no_open, told.from_source, told.wheel_index, tuple(told.pytest_words))


def set_up(root: Path, wish: Wish) -> VirtualEnv:
    """The environment, ready for what is wished. Raises SetupFailed."""
    wanted, env = wanted_engine(root, wish), VirtualEnv(root / ".venv")
    stamp = read_stamp(env)
    if stamp and not stamp.is_of(root, env):
        stamp = None
    if stamp and stamp.suits(root, wish, wanted):
        return env
    say(f"Setting up Carryon in {env.folder}.")
    if not (stamp and env.is_usable):
        env.create()
        stamp = None
    _stamp_file(env).unlink(missing_ok=True)                 # a setup that fails from here on is done again
    engine = _engine(root, env, wish, wanted, stamp)
    _install_project(root, env, wish)
    write_stamp(env, Stamp(str(root), str(env.python.resolve()), files_sum(root), wish.extras, *engine))
    return env


def _engine(root: Path, env: VirtualEnv, wish: Wish, wanted: WantedEngine,
            stamp: Stamp | None) -> tuple[str, str, bool, bool]:
    """The installed engine as the stamp notes it; the old one stays where it still suits."""
    if stamp and wanted.is_met_by(stamp):
        return stamp.engine_key, stamp.accelerator, stamp.is_from_source, stamp.has_rpc
    say(machine_text(wanted.facts))
    shop = Workshop(env, BuildCache(cache_root() / "engines"), WheelIndex(wish.wheel_index), wanted.facts,
                    wanted.version, _constraints(root), built_in_model(root))
    engine = shop.install(wanted.choices)
    say(engine_text(engine, wanted.accelerator))
    return engine.key, wanted.accelerator.value, engine.is_from_source, engine.has_rpc


def _install_project(root: Path, env: VirtualEnv, wish: Wish) -> None:
    if wish.tests:
        torch_cpu.install(env, _constraints(root))
    project = f"{root}[{wish.extras}]" if wish.extras else str(root)
    env.pip("Installing Carryon", "install", "-c", _constraints(root), "--editable", project)


def engine_version(root: Path) -> str:
    """The version of llama-cpp-python that pyproject.toml pins."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = next(one for one in project["dependencies"] if one.startswith("llama-cpp-python=="))
    return str(pinned).removeprefix("llama-cpp-python==").strip()


def built_in_model(root: Path) -> Path | None:
    """The built-in model, for the engine's probe to compute with."""
    return next(iter(sorted((root / "resources").rglob("*.gguf"))), None)


def _constraints(root: Path) -> Path:
    return root / "packaging" / "constraints.txt"


def files_sum(root: Path) -> str:
    """Changes when the wanted packages do."""
    told = b"\0".join(path.read_bytes() for path in (root / "pyproject.toml", _constraints(root)))
    return hashlib.sha256(told).hexdigest()


def _stamp_file(env: VirtualEnv) -> Path:
    return env.folder / "carryon-setup.json"


def read_stamp(env: VirtualEnv) -> Stamp | None:
    """What was set up before; None when nothing was, or another version of this file wrote it."""
    with suppress(OSError, ValueError, TypeError):
        return Stamp(**json.loads(_stamp_file(env).read_text(encoding="utf-8")))
    return None


def write_stamp(env: VirtualEnv, stamp: Stamp) -> None:
    """Notes what is set up."""
    _stamp_file(env).write_text(json.dumps(asdict(stamp), indent=2), encoding="utf-8")


def machine_text(facts: Facts) -> str:
    """What decides the engine, in words."""
    if facts.nvidia:
        major, minor = facts.nvidia.cuda
        return f"This machine: an NVIDIA driver that runs CUDA {major}.{minor}."
    if facts.is_driver_silent:
        return ("This machine: an NVIDIA driver is installed and does not answer (nvidia-smi may say why); "
                "the engine will use the CPU.")
    if facts.system == "darwin":
        return "This machine: a Mac; the engine uses Metal."
    return "This machine: no NVIDIA driver; the engine uses the CPU."


def engine_text(engine: Engine, wanted: Accelerator) -> str:
    """What was installed, in words; where it is less than wanted, what to do about it."""
    made = "built from source" if engine.is_from_source else "prebuilt"
    text = f"Engine: {made}, sees {', '.join(engine.devices)}."
    if wanted is Accelerator.CUDA and engine.accelerator is Accelerator.NONE:
        text += "\nThe GPU is not used: install NVIDIA's CUDA toolkit (nvcc) and run this again with --from-source."
    return text


def open_app(env: VirtualEnv, environment: Mapping[str, str] = os.environ) -> int:
    """Opens the window and waits for its end. Raises SetupFailed where no window can open."""
    is_linux = sys.platform.startswith("linux")
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if is_linux and not any(environment.get(name) for name in displays):
        raise SetupFailed("Carryon is set up, but there is no display here to open a window on.",
                          f"Chat in the terminal: {env.program('carryon')} run guide -p \"What is a KV cache?\"")
    if hint := qt_hint(env):
        say(hint)
    command = [str(env.python), "-m", "carryon"]
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(command[0], command)                        # the window takes our place: no parent stays beside it
    return subprocess.call(command)


def qt_hint(env: VirtualEnv) -> str:
    """What Qt's window needs and this Linux lacks, with the packages; "" when all is there."""
    missing = missing_libraries(qt_libraries(env))
    if not missing:
        return ""
    return f"Qt lacks {', '.join(missing)} for its window. {how_to_install(missing, packager())}"


def qt_libraries(env: VirtualEnv) -> list[Path]:
    """The files of Qt that need the most of the system: the window platforms and the tests' platform without one."""
    places = env.folder.glob("lib*/python*/site-packages/PySide6/Qt/plugins/platforms/libq*.so")
    return [file for file in places if file.name in ("libqxcb.so", "libqoffscreen.so")]


def run(wish: Wish, root: Path = ROOT) -> int:
    """Does what is wished; the exit code."""
    env = set_up(root, wish)
    if wish.tests:
        return run_tests(root, env, wish)
    if wish.opens:
        return open_app(env)
    say(f"Carryon is set up. Open it: {env.program('carryon')}")
    return 0


def run_tests(root: Path, env: VirtualEnv, wish: Wish) -> int:
    """Runs the checks and the tests, whose closing line is the last. Raises SetupFailed where Qt cannot start."""
    if hint := qt_hint(env):
        raise SetupFailed("The tests open Qt, and Qt cannot start here.", hint)
    stamp = read_stamp(env)
    if stamp and not stamp.has_rpc:
        say("This engine has no RPC, as prebuilt ones: the tests that offload over RPC skip. --from-source runs them.")
    return checks.run(root, env, wish.pytest_words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Every error a person can meet ends here as a sentence and the next step."""
    for name in ("SIGTERM", "SIGHUP"):                       # as Ctrl+C: a build must not outlive us
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        return run(wish_of(arguments))
    except SetupFailed as error:
        print(f"\n{error.text}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\n{error.filename or 'A file'} cannot be used: {error.strerror or error}.\n"
              "Check that the disk has room and that the folder is yours, and run this again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. Run the same command again to go on; what was finished is kept.", file=sys.stderr)
        return 130


