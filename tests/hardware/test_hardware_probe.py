"""The whole probe: this machine for true, and other machines out of fakes."""

import platform
import sys

import psutil
import pynvml
import pytest

from carryon.base.jobs import Done, drained, drive
from carryon.hardware.codec import NotUnderstood, decode_machine, encode_machine
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
from carryon.hardware.probe import probe, probing
from carryon.hardware.world import World

DEAD_ENGINE = (sys.executable, "-c", "raise SystemExit(1)")
WORKSTATION = Machine(
    os_name="Debian GNU/Linux 12 (bookworm), x86_64",
    cpu=Cpu("A processor", 8, 16, ("AVX2", "FMA"), 4),
    ram=Memory(64, 32, 8, None, True),
    gpus=(
        Gpu(Vendor.NVIDIA, "A card", 8, 7, None, "550", "8.9", False, True, (GpuProcess(1, "firefox", None),)),
        Gpu(Vendor.AMD, "Radeon “780M”", 1, None, 9, "amdgpu", None, True),
    ),
    engine=EngineDevices("llama.cpp", True, (EngineDevice("CUDA0", "A card", DeviceKind.GPU, 7, 8),)),
    problems=("Something is wrong. Restart the computer.",),
)


def test_this_machine_without_its_engine():
    machine = probe(ask_engine=False)
    assert machine.engine is None
    assert machine.ram.total_bytes <= psutil.virtual_memory().total
    assert machine.cpu.logical_cores == psutil.cpu_count()
    assert platform.machine() in machine.os_name


def test_this_machine_with_its_engine():
    """The true engine in its true child process."""
    machine = probe()
    assert machine.engine, machine.problems
    cpus = [device for device in machine.engine.devices if device.kind is DeviceKind.CPU]
    assert len(cpus) == 1
    assert cpus[0].description


def test_a_dead_engine_is_a_line_in_the_report():
    machine = probe(world=World(engine_command=DEAD_ENGINE))
    assert machine.engine is None
    assert any(problem.startswith("The engine cannot be loaded") for problem in machine.problems)


def test_the_probe_is_work_for_a_runner():
    outcome = drive(probing(world=World(engine_command=DEAD_ENGINE)), lambda _: None, lambda: False)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.result, Machine)


@pytest.fixture
def nothing_but(tree, nvml_with, tmp_path):
    """A machine whose drivers show no GPU, with an engine of these libraries; it says so when it is asked."""
    folder = tmp_path / "lib"
    folder.mkdir()
    load = nvml_with(failing={"nvmlInit": pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)})

    def world(*names):
        for name in names:
            (folder / name).touch()
        return World("Linux", "6.1", "x86_64", tree.root, load, engine_command=DEAD_ENGINE, find_engine=lambda: folder)

    return world


def is_asked(world):
    """A dead engine that was asked is a problem."""
    return bool(drained(probing(world=world, only_for_gpus=True)).problems)


CPU_BUILD = ("libllama.so", "libggml.so.0", "libggml-base.so", "libggml-cpu-haswell.so", "libggml-rpc.so.0.25.3")


def test_an_engine_for_processors_is_not_asked_for_gpus_where_there_are_none(nothing_but):
    assert not is_asked(nothing_but(*CPU_BUILD, "libggml-blas.so"))


@pytest.mark.parametrize("name", ["libggml-vulkan.so", "ggml-cuda.dll", "libggml-metal.dylib", "libggml-hip.so.0"])
def test_an_engine_for_gpus_is_asked_even_where_no_driver_shows_one(nothing_but, name):
    assert is_asked(nothing_but(*CPU_BUILD, name))


def test_an_engine_is_asked_where_a_driver_shows_a_gpu(nothing_but, tree):
    tree.card(1, "0000:04:00.0", "0x1002", "0x1506", "amdgpu")
    assert is_asked(nothing_but(*CPU_BUILD))


@pytest.mark.parametrize("names", [(), ("libllama.so",), ("libggml-base.so",)])
def test_an_engine_of_which_nobody_can_tell_is_asked(nothing_but, names):
    assert is_asked(nothing_but(*names))


def test_this_engine_is_found():
    """Ours has the processor's library, wherever it was installed."""
    assert any("ggml-cpu" in one.name for one in World().find_engine().iterdir())


def test_a_linux_workstation(tree, nvml_with, gpu):
    tree.write("etc/os-release", 'ID=fedora\nPRETTY_NAME="Fedora Linux 42 (Workstation)"')
    tree.write("proc/cpuinfo", "model name : AMD Ryzen\nflags : avx2")
    tree.card(1, "0000:04:00.0", "0x1002", "0x1506", "amdgpu")
    world = World(system="Linux", architecture="x86_64", root=tree.root, load_nvml=nvml_with(gpu()))
    machine = probe(ask_engine=False, world=world)
    assert machine.os_name == "Fedora Linux 42 (Workstation), x86_64"
    assert (machine.cpu.name, machine.cpu.instruction_sets) == ("AMD Ryzen", ("AVX2",))
    assert [one.vendor for one in machine.gpus] == [Vendor.NVIDIA, Vendor.AMD]
    assert machine.problems == ()


def test_an_nvidia_card_under_nouveau_is_a_problem_and_no_gpu(tree, nvml_with):
    tree.pci("0000:01:00.0", "0x10de", "0x2882", "nouveau")
    load = nvml_with(failing={"nvmlInit": pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)})
    machine = probe(ask_engine=False, world=World(system="Linux", root=tree.root, load_nvml=load))
    assert machine.gpus == ()
    assert machine.problems[0].startswith("NVIDIA GPU 2882 runs on the open driver nouveau")


def test_a_mac(tree, nvml_with):
    answer = "hw.optional.arm64: 1\nmachdep.cpu.brand_string: Apple M2\nhw.memsize: 8589934592\n"
    load = nvml_with(failing={"nvmlInit": pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)})
    world = World("Darwin", "24.1.0", "arm64", tree.root, load, sysctl=lambda names: answer)
    machine = probe(ask_engine=False, world=world)
    assert (machine.os_name, machine.is_unified_memory) == ("Darwin 24.1.0, arm64", True)
    assert [(one.vendor, one.name) for one in machine.gpus] == [(Vendor.APPLE, "Apple M2")]


def test_an_empty_system_is_a_machine_too(tree, nvml_with):
    load = nvml_with(failing={"nvmlInit": pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)})
    machine = probe(ask_engine=False, world=World("Linux", "6.1", "riscv64", tree.root, load))
    assert (machine.os_name, machine.cpu.name, machine.gpus, machine.problems) == ("Linux 6.1, riscv64", None, (), ())


@pytest.mark.parametrize("machine", [WORKSTATION, Machine("Windows 11", Cpu(None, None, None), Memory(1, 1))])
def test_a_machine_survives_json(machine):
    assert decode_machine(encode_machine(machine)) == machine


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"cpu": 1}', encode_machine(WORKSTATION).replace("nvidia", "voodoo")]
)
def test_json_that_is_no_machine_is_refused(text):
    with pytest.raises(NotUnderstood):
        decode_machine(text)
