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

GB, GIB = 10**9, 2**30
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


def _engine(*gpus, supports_rpc=True):
    """An engine that sees these: (name, description, total GiB, free GiB)."""
    devices = tuple(
        EngineDevice(name, description, DeviceKind.GPU, round(free * GIB), round(total * GIB))
        for name, description, total, free in gpus
    )
    return EngineDevices("llama.cpp (llama-cpp-python 0.3.36)", supports_rpc, devices)


def _nvidia(name, total, free, **more):
    return Gpu(Vendor.NVIDIA, name, round(total * GIB), round(free * GIB), **more)


_LAPTOP_GPU = "NVIDIA GeForce RTX 4060 Laptop GPU"
LAPTOP_8GB = replace(
    CPU_ONLY,
    cpu=Cpu("13th Gen Intel(R) Core(TM) i7-13700H", 14, 20, ("AVX2", "FMA")),
    ram=Memory(16 * GIB, 10 * GIB),
    gpus=(_nvidia(_LAPTOP_GPU, 8, 7.2, drives_display=True, processes=(GpuProcess(77, "firefox", GIB // 2),)),),
    engine=_engine(("CUDA0", _LAPTOP_GPU, 8, 7.2)),
)
GPU_12GB = replace(
    CPU_ONLY,
    ram=Memory(32 * GIB, 26 * GIB),
    gpus=(_nvidia("NVIDIA GeForce RTX 3060", 12, 11.4, drives_display=True),),
    engine=_engine(("CUDA0", "NVIDIA GeForce RTX 3060", 12, 11.4)),
)
GPU_24GB = replace(
    CPU_ONLY,
    ram=Memory(64 * GIB, 56 * GIB),
    gpus=(_nvidia("NVIDIA GeForce RTX 4090", 24, 23.2, drives_display=True),),
    engine=_engine(("CUDA0", "NVIDIA GeForce RTX 4090", 24, 23.2)),
)
UNEQUAL_GPUS = replace(
    CPU_ONLY,
    ram=Memory(64 * GIB, 56 * GIB),
    gpus=(
        _nvidia("NVIDIA GeForce RTX 3060", 12, 11.4, drives_display=True),
        _nvidia("NVIDIA GeForce RTX 3090", 24, 23.6, drives_display=False),
    ),
    engine=_engine(
        ("CUDA0", "NVIDIA GeForce RTX 3060", 12, 11.4),
        ("CUDA1", "NVIDIA GeForce RTX 3090", 24, 23.6),
    ),
)
MAC_36GB = replace(
    CPU_ONLY,
    os_name="macOS 15.1, arm64",
    cpu=Cpu("Apple M3 Pro", 12, 12, ("NEON",), 6),
    ram=Memory(36 * GIB, 28 * GIB),
    gpus=(Gpu(Vendor.APPLE, "Apple M3 Pro", shared_bytes=36 * GIB, is_integrated=True),),
    is_unified_memory=True,
    engine=_engine(("Metal", "Apple M3 Pro", 27, 27)),
)
CPU_16GB = replace(CPU_ONLY, ram=Memory(16 * GIB, 12 * GIB))
CONTAINER_4GB = replace(CPU_ONLY, ram=Memory(4 * GIB, 3 * GIB, is_container_limit=True))


def probing(machine):
    """A probe that finds this machine, as the work that services run."""

    def work():
        yield None
        return machine

    return work
