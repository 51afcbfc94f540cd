"""A system's files in a temporary folder, and an NVML that answers with pynvml's own structs and errors."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pynvml
import pytest

GIB = 1 << 30


class Tree:
    """A small root folder: proc, sys, etc and usr as the kernel and the distribution fill them."""

    def __init__(self, root: Path):
        self.root = root

    def write(self, path: str, content: object) -> "Tree":
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"{content}\n")
        return self

    def pci(self, slot: str, vendor: str, device: str, driver: str | None, kind: str = "0x030000") -> str:
        """A device on the PCI bus; returns its folder."""
        folder = f"sys/devices/pci0000:00/{slot}"
        self.write(f"{folder}/vendor", vendor).write(f"{folder}/device", device).write(f"{folder}/class", kind)
        self.write(f"{folder}/uevent", (f"DRIVER={driver}\n" if driver else "") + f"PCI_SLOT_NAME={slot}")
        self._link(f"sys/bus/pci/devices/{slot}", folder)
        return folder

    def card(self, number: int, slot: str, vendor: str, device: str, driver: str) -> str:
        """A graphics card; returns its device folder."""
        folder = self.pci(slot, vendor, device, driver)
        self._link(f"sys/class/drm/card{number}/device", folder)
        return folder

    def _link(self, path: str, target: str) -> None:
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(self.root / target)


@dataclass
class FakeGpu:
    """What one NVIDIA GPU tells NVML."""

    name: str = "NVIDIA GeForce RTX 4060"
    total_bytes: int = 8 * GIB
    used_bytes: int = 1 * GIB
    computing: dict[int, int | None] = field(default_factory=dict)    # pid -> bytes
    drawing: dict[int, int | None] = field(default_factory=dict)


class FakeNvml:
    """pynvml's functions with pynvml's structs; `failing` maps a function's name to the error that it raises."""

    NVMLError = pynvml.NVMLError

    def __init__(self, *gpus: FakeGpu, failing: dict[str, Exception] = {}, names: dict[int, str] = {}):  # noqa: B006
        self.gpus = gpus
        self.failing = failing
        self.names = names
        self.calls: list[str] = []

    def nvmlInit(self):
        self._called("nvmlInit")

    def nvmlShutdown(self):
        self._called("nvmlShutdown")

    def nvmlSystemGetDriverVersion(self):
        self._called("nvmlSystemGetDriverVersion")
        return "550.54.14"

    def nvmlSystemGetProcessName(self, pid):
        self._called("nvmlSystemGetProcessName")
        if pid not in self.names:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return self.names[pid]

    def nvmlDeviceGetCount(self):
        self._called("nvmlDeviceGetCount")
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index):
        self._called("nvmlDeviceGetHandleByIndex")
        return self.gpus[index]

    def nvmlDeviceGetName(self, handle):
        self._called("nvmlDeviceGetName")
        return handle.name

    def nvmlDeviceGetMemoryInfo(self, handle):
        self._called("nvmlDeviceGetMemoryInfo")
        return pynvml.c_nvmlMemory_t(handle.total_bytes, handle.total_bytes - handle.used_bytes, handle.used_bytes)

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        self._called("nvmlDeviceGetCudaComputeCapability")
        return (8, 9)

    def nvmlDeviceGetDisplayActive(self, handle):
        self._called("nvmlDeviceGetDisplayActive")
        return pynvml.NVML_FEATURE_ENABLED

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        self._called("nvmlDeviceGetComputeRunningProcesses")
        return _processes(handle.computing)

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle):
        self._called("nvmlDeviceGetGraphicsRunningProcesses")
        return _processes(handle.drawing)

    def _called(self, name):
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]


def _processes(used: dict[int, int | None]) -> list[object]:
    return [pynvml.nvmlFriendlyObject({"pid": pid, "usedGpuMemory": size}) for pid, size in used.items()]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    if os.name == "nt":
        pytest.skip("Linux's file names, with colons and links, do not exist here")
    return Tree(tmp_path / "root")


@pytest.fixture
def nvml_with():
    """Makes a loader of a fake NVML: nvml_with(gpu, failing={...}); `.library` is the fake itself."""

    def make(*gpus: FakeGpu, **options: object):
        library = FakeNvml(*gpus, **options)

        def load():
            return library

        load.library = library
        return load

    return make


@pytest.fixture
def gpu() -> type[FakeGpu]:
    return FakeGpu
