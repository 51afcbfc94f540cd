"""Asking how full the memories are, as work for a job. No Qt."""

from collections.abc import Callable, Generator

from carryon.hardware.machine import MemoryUse

Metering = Callable[[], Generator[None, None, MemoryUse]]


def metering() -> Generator[None, None, MemoryUse]:
    """Some milliseconds; the first time it opens NVML."""
    from carryon.hardware.meter import memory_now  # with psutil, which the first frame does not need

    yield None
    return memory_now()
