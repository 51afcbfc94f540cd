"""Finds out what machine this is; whatever is broken becomes a sentence in the report, never a crash."""

from collections.abc import Generator

from carryon.hardware.apple import AppleFacts, read_apple
from carryon.hardware.cpu import read_cpu
from carryon.hardware.engine_devices import EngineAnswer, asking_engine, may_see_gpus
from carryon.hardware.kernelfiles import text_in
from carryon.hardware.machine import Machine
from carryon.hardware.memory import read_memory
from carryon.hardware.nvidia import read_nvidia
from carryon.hardware.sysfs import find_nvidia, read_cards
from carryon.hardware.world import World


def probe(ask_engine: bool = True, world: World | None = None) -> Machine:
    """Everything about this machine: some milliseconds, and about a second more when the engine is asked too."""
    work = probing(ask_engine, world)
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def probing(
    ask_engine: bool = True, world: World | None = None, *, only_for_gpus: bool = False
) -> Generator[None, None, Machine]:
    """The same as work for a Runner: yields None while it waits for the engine; closing it ends the engine's child.

    `only_for_gpus`: the engine is not asked where it could tell of none, since no driver shows one and the engine has
    no library for any. One that only the engine would find (Vulkan without a driver that sysfs shows) is not lost.
    """
    world = world or World()
    apple = read_apple(world.sysctl) if world.system == "Darwin" else AppleFacts()
    nvidia = read_nvidia(world.load_nvml, find_nvidia(world.root))
    gpus = (*nvidia.gpus, *read_cards(world.root), *apple.gpus)
    answer = EngineAnswer(None, None)
    if ask_engine and (not only_for_gpus or gpus or may_see_gpus(world.find_engine())):
        answer = yield from asking_engine(world.engine_command, world.engine_timeout_s)
    return Machine(
        os_name=_os_name(world),
        cpu=read_cpu(world),
        ram=read_memory(world.root),
        gpus=gpus,
        is_unified_memory=apple.is_unified_memory,
        engine=answer.devices,
        problems=(*nvidia.problems, *apple.problems, *([answer.problem] if answer.problem else [])),
    )


def _os_name(world: World) -> str:
    """'Debian GNU/Linux 12 (bookworm), x86_64'."""
    return f"{_distribution(world) or f'{world.system} {world.release}'.strip()}, {world.architecture}"


def _distribution(world: World) -> str | None:
    """The name by https://www.freedesktop.org/software/systemd/man/os-release.html; None outside Linux."""
    if world.system != "Linux":
        return None
    lines = (text_in(world.root / "etc/os-release") or "").splitlines()
    names = (line.partition("=")[2].strip("\"'") for line in lines if line.startswith("PRETTY_NAME="))
    return next(names, None)
