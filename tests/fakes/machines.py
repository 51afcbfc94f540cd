"""Machines for tests: values a probe could have found."""

from dataclasses import replace

from carryon.hardware.machine import (
    Cpu,
    DeviceKind,
    EngineDevice,
    EngineDevices,
    Gpu,
    GpuProcess,
    Machine,
    Memory,
    Vendor,
)

GB = 10**9
_RTX = "NVIDIA GeForce RTX 4060"

CPU_ONLY = Machine(
    os_name="Debian GNU/Linux 12 (bookworm), x86_64",
    cpu=Cpu("AMD Ryzen 7 5800X", 8, 16, ("AVX2", "FMA")),
    ram=Memory(33_600_000_000, 21_000_000_000, 2 * GB, 2 * GB),
    engine=EngineDevices(
        "llama.cpp (llama-cpp-python 0.3.36)",
        False,
        (EngineDevice("CPU", "AMD Ryzen 7 5800X", DeviceKind.CPU, 21_000_000_000, 33_600_000_000),),
    ),
)

WITH_GPU = replace(
    CPU_ONLY,
    gpus=(
        Gpu(
            Vendor.NVIDIA,
            _RTX,
            total_bytes=8_188_000_000,
            free_bytes=7_600_000_000,
            driver="570.86",
            compute_capability="8.9",
            drives_display=True,
            processes=(GpuProcess(1234, "firefox", 400_000_000),),
        ),
    ),
    engine=EngineDevices(
        "llama.cpp (llama-cpp-python 0.3.36)",
        True,
        (
            EngineDevice("CUDA0", _RTX, DeviceKind.GPU, 7_600_000_000, 8_188_000_000),
            EngineDevice("CPU", "AMD Ryzen 7 5800X", DeviceKind.CPU, 21_000_000_000, 33_600_000_000),
        ),
    ),
)

GPU_WITHOUT_ENGINE_SUPPORT = replace(WITH_GPU, engine=CPU_ONLY.engine)

RPC_ONLY = replace(
    CPU_ONLY,
    engine=EngineDevices(
        "llama.cpp (llama-cpp-python 0.3.36)",
        True,
        (
            EngineDevice("RPC0", "127.0.0.1:50052", DeviceKind.RPC, 8 * GB, 8 * GB),
            EngineDevice("CPU", "AMD Ryzen 7 5800X", DeviceKind.CPU, 21_000_000_000, 33_600_000_000),
        ),
    ),
)

BROKEN = replace(
    CPU_ONLY,
    engine=None,
    problems=("The engine cannot be loaded (exit code 1). Reinstall Carryon; the log in Settings has the details.",),
)


def probing(machine):
    """A probe that finds this machine, as the work that services run."""

    def work():
        yield None
        return machine

    return work
