"""RAM and swap, cut down to what a container allows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import psutil

from carryon.hardware.kernelfiles import number_in, number_of, text_in
from carryon.hardware.machine import Memory


@dataclass(frozen=True)
class _Controller:
    """One version of the kernel's memory controller: where it is mounted and how its files are called."""

    mount: str
    limit: str
    usage: str
    cache_keys: tuple[str, ...]       # in memory.stat: page cache, which the kernel gives back when it is needed


# https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html
_V2 = _Controller("sys/fs/cgroup", "memory.max", "memory.current", ("active_file", "inactive_file"))
_V1 = _Controller(
    "sys/fs/cgroup/memory",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    ("total_active_file", "total_inactive_file"),
)


@dataclass(frozen=True)
class ContainerRoom:
    """What a control group allows and how much of that is free, in bytes."""

    limit_bytes: int
    free_bytes: int


def system_memory() -> Memory:
    """RAM and swap of the whole system; swap is None where the system does not tell."""
    ram = psutil.virtual_memory()
    memory = Memory(total_bytes=ram.total, available_bytes=ram.available)
    try:
        swap = psutil.swap_memory()
    except (OSError, RuntimeError):   # Windows with its performance counters switched off
        return memory
    return replace(memory, swap_total_bytes=swap.total, swap_free_bytes=swap.free)


def read_memory(root: Path, ask: Callable[[], Memory] = system_memory) -> Memory:
    """What this process may really use: the system's memory, or the container's where that is less."""
    memory = ask()
    room = container_room(root)
    if room is None or room.limit_bytes >= memory.total_bytes:
        return memory
    return replace(
        memory,
        total_bytes=room.limit_bytes,
        available_bytes=min(memory.available_bytes, room.free_bytes),
        is_container_limit=True,
    )


def container_room(root: Path) -> ContainerRoom | None:
    """The tightest memory limit of the control groups we are in; None without a limit (or without control groups)."""
    rooms = [room for controller, path in _memberships(root) for room in _rooms(root, controller, path)]
    if not rooms:
        return None
    return ContainerRoom(min(room.limit_bytes for room in rooms), min(room.free_bytes for room in rooms))


def _memberships(root: Path) -> Iterator[tuple[_Controller, PurePosixPath]]:
    """From lines "hierarchy:controllers:path" of /proc/self/cgroup; no controllers means version 2."""
    for line in (text_in(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if path and not controllers:
            yield _V2, PurePosixPath(path)
        if "memory" in controllers.split(","):
            yield _V1, PurePosixPath(path)


def _rooms(root: Path, controller: _Controller, path: PurePosixPath) -> Iterator[ContainerRoom]:
    """A limit counts at every level above us; levels that the container does not show are skipped."""
    mount = root / controller.mount
    for level in (path, *path.parents):
        room = _room(mount / str(level).lstrip("/"), controller)
        if room:
            yield room


def _room(folder: Path, controller: _Controller) -> ContainerRoom | None:
    limit_bytes = number_in(folder / controller.limit)
    if limit_bytes is None:           # "max", or no such file at this level
        return None
    used_bytes = number_in(folder / controller.usage) or 0
    needed_bytes = max(0, used_bytes - _cache_bytes(folder, controller))
    return ContainerRoom(limit_bytes, max(0, limit_bytes - needed_bytes))


def _cache_bytes(folder: Path, controller: _Controller) -> int:
    pairs = (line.split() for line in (text_in(folder / "memory.stat") or "").splitlines())
    return sum(number_of(pair[1]) or 0 for pair in pairs if len(pair) == 2 and pair[0] in controller.cache_keys)
