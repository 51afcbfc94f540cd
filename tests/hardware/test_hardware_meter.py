"""The live meters of the status bar."""

import psutil
import pynvml
import pytest

from carryon.hardware.machine import GpuUse
from carryon.hardware.meter import MemoryMeter, memory_now
from carryon.hardware.world import World

GIB = 1 << 30


def test_every_gpu_has_its_gauge(tree, nvml_with, gpu):
    device = tree.card(0, "0000:03:00.0", "0x1002", "0x744c", "amdgpu")
    tree.write(f"{device}/mem_info_vram_total", 24 * GIB).write(f"{device}/mem_info_vram_used", 3 * GIB)
    meter = MemoryMeter(World(root=tree.root, load_nvml=nvml_with(gpu())))
    assert meter.now().gpus == (
        GpuUse("NVIDIA GeForce RTX 4060", 1 * GIB, 8 * GIB), GpuUse("AMD GPU 744c", 3 * GIB, 24 * GIB),
    )


def test_a_tick_asks_only_for_the_memory(tree, nvml_with, gpu):
    load = nvml_with(gpu())
    meter = MemoryMeter(World(root=tree.root, load_nvml=load))
    load.library.calls.clear()
    for _ in range(3):
        meter.now()
    assert load.library.calls == ["nvmlDeviceGetMemoryInfo"] * 3


def test_a_gpu_that_drops_out_shows_nothing_and_comes_back(tree, nvml_with, gpu):
    load = nvml_with(gpu())
    meter = MemoryMeter(World(root=tree.root, load_nvml=load))
    load.library.failing = {"nvmlDeviceGetMemoryInfo": pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)}
    assert meter.now().gpus == (GpuUse("NVIDIA GeForce RTX 4060", None, None),)
    load.library.failing = {}
    assert meter.now().gpus[0].used_bytes == 1 * GIB


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_a_broken_driver_leaves_the_ram_meter(tree, nvml_with, gpu, call):
    load = nvml_with(gpu(), failing={call: pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)})
    use = MemoryMeter(World(root=tree.root, load_nvml=load)).now()
    assert use.gpus == ()
    assert use.ram.total_bytes == psutil.virtual_memory().total


def test_this_machine():
    use = memory_now()
    assert 0 < use.ram.used_bytes < use.ram.total_bytes <= psutil.virtual_memory().total
