"""Gets the engine into the environment: from the cache, an index or the source; trusted only after it has computed."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cuda_runtime
from build_cache import BuildCache, Recipe, cpu_identity, system_identity
from engine_choice import Accelerator, Choice, Facts, Prebuilt, Source
from narration import Ended, SetupFailed, run_shown, say
from system_packages import require_compiler
from virtual_env import VirtualEnv, pip_failure, reason
from wheel_index import IndexSilent, WheelIndex, file_name

PROBE = Path(__file__).with_name("engine_probe.py")


@dataclass(frozen=True)
class Engine:
    """The engine that was installed and has computed."""

    key: str
    accelerator: Accelerator
    is_from_source: bool
    has_rpc: bool
    devices: tuple[str, ...]


class NotTrusted(SetupFailed):
    """A wheel that crashes or does not compute here; another one may."""


class NoGpu(SetupFailed):
    """A wheel that works and sees no GPU; the fault may be the driver's, so the wheel is kept."""


@dataclass(frozen=True)
class Workshop:
    """What installing an engine needs. `model` is a small GGUF for the probe to compute with, if there is one."""

    env: VirtualEnv
    cache: BuildCache
    index: WheelIndex
    facts: Facts
    version: str
    constraints: Path
    model: Path | None = None

    def install(self, choices: Sequence[Choice]) -> Engine:
        """Installs the first choice that can be had and works. Raises the last choice's SetupFailed when none does."""
        left = in_order(choices, self.is_cached)
        while left:
            choice = left.pop(0)
            try:
                return self._installed(choice)
            except SetupFailed as error:
                left = [one for one in left if not _is_hopeless(one, error)]
                if not left:
                    raise
                say(f"{error.message} Next: {described(left[0])}.")
        raise SetupFailed("No build of the engine suits this machine.", "Run this again with --from-source.")

    def is_cached(self, choice: Choice) -> bool:
        return self.cache.find(self.recipe(choice)) is not None

    def recipe(self, choice: Choice) -> Recipe:
        """What names this choice in the cache."""
        return recipe(choice, self.version, self.facts)

    def _installed(self, choice: Choice) -> Engine:
        was_cached = self.is_cached(choice)
        try:
            return self._tried(choice, self.wheel(choice))
        except NotTrusted as error:
            self.cache.forget(self.recipe(choice))
            if not was_cached:
                raise
            say(f"{error.message} It came from the cache, so it is fetched or built anew.")
        return self._tried(choice, self.wheel(choice))

    def wheel(self, choice: Choice) -> Path:
        """The wheel in the cache; fetches or builds it first where it must. Raises SetupFailed."""
        recipe = self.recipe(choice)
        with self.cache.alone(recipe, waiting=lambda: say("Another setup is making this engine; waiting for it.")):
            if not self.cache.find(recipe):
                with self.cache.filling(recipe) as folder:
                    self._obtain(choice, folder)
            entry = self.cache.find(recipe)
        assert entry is not None
        return next(entry.glob("*.whl"))

    def _obtain(self, choice: Choice, folder: Path) -> None:
        match choice:
            case Prebuilt(variant):
                self._fetch(variant, folder)
            case Source(flags):
                self._build(flags, folder)
        if not any(folder.glob("*.whl")):
            raise SetupFailed("pip made no wheel of the engine.", f"The whole output is in {self.env.log}.")

    def _fetch(self, variant: str, folder: Path) -> None:
        links = self.index.wheels(variant, self.version)
        if not links:
            raise SetupFailed(f"The index has no {variant} wheel of version {self.version} for this system.")
        for link in links:
            ended = self.env.try_pip(f"Fetching the engine ({variant})", "download", "--no-deps", "--retries", "1",
                                     "--timeout", "15", "--dest", folder, link)
            if ended.is_good:
                return
        raise SetupFailed(f"{file_name(links[-1])} could not be fetched: {reason(ended.lines)}.")

    def _build(self, flags: tuple[str, ...], folder: Path) -> None:
        require_compiler()
        say("This is done once: about 12 minutes on two cores, less on more. Every checkout then uses the same build.")
        scratch = folder / "scratch"
        scratch.mkdir()
        cores = str(os.cpu_count() or 1)                     # make, unlike ninja, uses one core unless told
        environment = {"CMAKE_BUILD_PARALLEL_LEVEL": cores, **os.environ, "CMAKE_ARGS": " ".join(flags),
                       "FORCE_CMAKE": "1", "TMPDIR": str(scratch)}
        wanted = ("--no-deps", "--no-cache-dir", "--no-binary", "llama-cpp-python", f"llama-cpp-python=={self.version}")
        ended = self.env.try_pip("Building the engine", "wheel", "--verbose", "--wheel-dir", folder, *wanted,
                                 environment=environment)
        shutil.rmtree(scratch, ignore_errors=True)
        if not ended.is_good:
            raise build_failure(ended, self.env.log)

    def _tried(self, choice: Choice, wheel: Path) -> Engine:
        self.env.pip("Installing the engine", "install", "--force-reinstall", "--no-deps", wheel)
        self.env.pip("Installing what the engine needs", "install", "-c", self.constraints,
                     f"llama-cpp-python=={self.version}")
        if isinstance(choice, Prebuilt) and choice.accelerator is Accelerator.CUDA:
            cuda_runtime.provide(self.env, int(choice.variant.removeprefix("cu")[:2]))
        found = probed(self.env, choice, self.model)
        return Engine(self.recipe(choice).key, choice.accelerator, isinstance(choice, Source), found.has_rpc,
                      tuple(name for name, _ in found.devices))


@dataclass(frozen=True)
class Found:
    """What the probe found in an engine: its devices by name and type."""

    devices: tuple[tuple[str, str], ...]
    has_rpc: bool


def probed(env: VirtualEnv, choice: Choice, model: Path | None) -> Found:
    """Runs the installed engine in a child. Raises NotTrusted when it dies or does not compute, NoGpu without a GPU."""
    ended = run_shown("Trying the engine", [env.python, PROBE, *([model] if model else [])], log=env.log)
    if not ended.is_good:
        raise NotTrusted(f"The engine ({described(choice)}) does not work here: {death(ended)}.",
                         f"The whole output is in {env.log}.")
    told = json.loads(ended.lines[-1])
    if choice.accelerator is Accelerator.CUDA and all(one["type"] == "CPU" for one in told["devices"]):
        raise NoGpu(f"The engine ({described(choice)}) starts, and sees no GPU.")
    return Found(tuple((one["name"], one["type"]) for one in told["devices"]), told["has_rpc"])


def recipe(choice: Choice, version: str, facts: Facts) -> Recipe:
    """What names a choice in the cache: only a build from source depends on the CPU (with CUDA, on the GPUs)."""
    match choice:
        case Prebuilt(variant):
            return Recipe(version, f"prebuilt-{variant}", (), "", system_identity())
        case Source(flags, Accelerator.CUDA):
            gpus = facts.nvidia.capabilities if facts.nvidia else ()
            return Recipe(version, "cuda", flags, f"{cpu_identity()}; GPUs {gpus}", system_identity())
        case Source(flags, accelerator):
            return Recipe(version, accelerator.value, flags, cpu_identity(), system_identity())


def in_order(choices: Sequence[Choice], is_cached: Callable[[Choice], bool]) -> list[Choice]:
    """The order to try in: what is in the cache before the rest, and there what was built for this very machine.

    Never across accelerators: a cached CPU build must not hide a GPU.
    """
    rank = {accelerator: place for place, accelerator in enumerate(dict.fromkeys(one.accelerator for one in choices))}
    return sorted(choices, key=lambda one: (
        rank[one.accelerator], not is_cached(one), is_cached(one) and isinstance(one, Prebuilt)))


def _is_hopeless(choice: Choice, error: SetupFailed) -> bool:
    """Whether a choice need not be tried after this error: a silent index is silent for every variant."""
    return isinstance(error, IndexSilent) and isinstance(choice, Prebuilt)


def described(choice: Choice) -> str:
    """A choice in words."""
    match choice:
        case Prebuilt(variant):
            return f"the prebuilt {variant} wheel"
        case Source(_, Accelerator.NONE):
            return "a build from source for this CPU"
        case Source(_, accelerator):
            return f"a build from source with {accelerator.name}"


def death(ended: Ended) -> str:
    """How the probe ended, in words."""
    if ended.code < 0:
        name = signal.Signals(-ended.code).name
        return "it needs instructions that this CPU lacks (SIGILL)" if name == "SIGILL" else f"it crashed ({name})"
    return reason(ended.lines)


def build_failure(ended: Ended, log: Path) -> SetupFailed:
    """What a failed build means to a person."""
    known = pip_failure(ended, log)
    if not known.message.startswith("pip could not"):
        return known
    return SetupFailed(f"Building the engine failed: {reason(ended.lines)}.", f"The whole output is in {log}.")
