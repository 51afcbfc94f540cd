"""What a loaded model holds of each memory, joined with what else is there."""

from dataclasses import replace

import pytest
from fakes import machines

from carryon.engine.protocol import DeviceMemory, Ready
from carryon.hardware.machine import DeviceKind, GpuUse, Memory, MemoryUse
from carryon.ui.memory_facts import DeviceBar, Part, PartKind, device_bars, gpu_bytes, ram_bytes

GB = 10**9
RTX = "NVIDIA GeForce RTX 4060"
CPU = DeviceMemory("CPU", "AMD Ryzen", DeviceKind.CPU, 2 * GB, GB, GB // 2, GB // 4)
CUDA = DeviceMemory("CUDA0", RTX, DeviceKind.GPU, 4 * GB, GB, GB // 2, 0)
USE = MemoryUse(Memory(32 * GB, 20 * GB), (GpuUse(RTX, 7 * GB, 8 * GB),))


def ready(*memory):
    return Ready(1, "t", "m", "llama", 32, 20, 4096, 4096, True, memory, 100.0)


def bars(*memory, machine=machines.WITH_GPU, use=USE):
    return device_bars(ready(*memory), machine, use)


def sizes(bar):
    return {part.kind: part.size_bytes for part in bar.parts}


def test_gpus_come_first_and_empty_devices_not_at_all():
    empty = DeviceMemory("CUDA1", RTX, DeviceKind.GPU, 0, 0, 0, 0)
    assert [bar.name for bar in bars(CPU, CUDA, empty)] == [RTX, "RAM"]


def test_compute_and_output_are_one_part():
    (bar,) = bars(CPU)
    assert sizes(bar)[PartKind.COMPUTE] == GB // 2 + GB // 4


def test_what_is_used_beyond_the_model_belongs_to_other_programs():
    gpu, ram = bars(CPU, CUDA)
    assert sizes(gpu)[PartKind.OTHER] == 7 * GB - CUDA.total_bytes
    assert sizes(ram)[PartKind.OTHER] == 12 * GB - CPU.total_bytes
    assert gpu.free_bytes == GB
    assert ram.free_bytes == 20 * GB


def test_mapped_weights_are_not_among_the_used_memory():
    (bar,) = bars(replace(CPU, mapped_bytes=GB // 2))  # the rest of its 2 GB is a copy in the processor's own order
    assert sizes(bar)[PartKind.WEIGHTS] == 2 * GB
    assert sizes(bar)[PartKind.OTHER] == 12 * GB - (CPU.total_bytes - GB // 2)


def test_a_device_nobody_measures_shows_only_what_the_model_holds():
    unknown = DeviceMemory("Vulkan0", "Some GPU", DeviceKind.GPU, GB, 0, 0, 0)
    (bar,) = bars(unknown, machine=None, use=None)
    assert bar == DeviceBar("Some GPU", (Part(PartKind.WEIGHTS, GB),), None)
    assert bar.free_bytes is None


def test_without_a_meter_the_engines_own_size_counts():
    (bar,) = bars(CUDA, use=MemoryUse(USE.ram, ()))
    assert bar.total_bytes == 8_188_000_000


def test_two_equal_gpus_are_told_apart_by_their_number():
    second = DeviceMemory("CUDA1", RTX, DeviceKind.GPU, GB, 0, 0, 0)
    use = MemoryUse(USE.ram, (GpuUse(RTX, 2 * GB, 8 * GB), GpuUse(RTX, 5 * GB, 8 * GB)))
    (bar,) = bars(second, use=use)
    assert sizes(bar)[PartKind.OTHER] == 4 * GB


def test_a_meter_that_lags_behind_never_gives_less_than_nothing():
    (bar,) = bars(CUDA, use=MemoryUse(USE.ram, (GpuUse(RTX, GB, 8 * GB),)))
    assert PartKind.OTHER not in sizes(bar)


def test_the_reserve_is_neither_used_nor_free():
    bar = DeviceBar("GPU", (Part(PartKind.WEIGHTS, 5), Part(PartKind.RESERVE, 2)), 8)
    assert (bar.used_bytes, bar.free_bytes) == (5, 1)


def test_more_than_fits_leaves_nothing_free():
    assert DeviceBar("GPU", (Part(PartKind.WEIGHTS, 9),), 8).free_bytes == 0


@pytest.mark.parametrize(("count", "expected"), [(gpu_bytes, CUDA.total_bytes), (ram_bytes, CPU.total_bytes)])
def test_what_lies_inside_and_outside_of_ram(count, expected):
    assert count(ready(CPU, CUDA)) == expected
