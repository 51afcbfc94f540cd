"""NVIDIA's GPUs through NVML, and every way in which NVML may refuse."""

import inspect

import pynvml
import pytest

from carryon.hardware.machine import GpuProcess, Vendor
from carryon.hardware.nvidia import NvidiaOnBus, read_nvidia
from carryon.hardware.world import load_nvml

GIB = 1 << 30
GEFORCE = NvidiaOnBus("NVIDIA GeForce RTX 4060", "nvidia")
CALLS = (
    "nvmlInit", "nvmlShutdown", "nvmlSystemGetDriverVersion", "nvmlSystemGetProcessName", "nvmlDeviceGetCount",
    "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetCudaComputeCapability",
    "nvmlDeviceGetDisplayActive", "nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses",
)
FATAL = ("nvmlInit", "nvmlDeviceGetCount")
ERROR_CODES = (*range(1, 31), 999)


def error(code):
    return pynvml.NVMLError(code)


def test_a_gpu_is_read_whole(nvml_with, gpu):
    facts = read_nvidia(nvml_with(gpu()))
    (card,) = facts.gpus
    assert (card.vendor, card.name, card.driver) == (Vendor.NVIDIA, "NVIDIA GeForce RTX 4060", "550.54.14")
    assert (card.total_bytes, card.free_bytes) == (8 * GIB, 7 * GIB)
    assert (card.compute_capability, card.is_integrated, card.drives_display) == ("8.9", False, True)
    assert facts.problems == ()


def test_programs_that_hold_memory_come_largest_first_and_once(nvml_with, gpu):
    card = gpu(computing={10: GIB, 11: 2 * GIB}, drawing={10: GIB, 12: 5000})
    names = {10: "/usr/lib/firefox/firefox -contentproc -prefsLen 7", 11: r"C:\Program Files\Blender\blender.exe"}
    (read,) = read_nvidia(nvml_with(card, names=names)).gpus
    assert read.processes == (
        GpuProcess(11, "blender.exe", 2 * GIB),
        GpuProcess(10, "firefox", GIB),
        GpuProcess(12, None, 5000),
    )


def test_windows_does_not_tell_how_much_a_program_holds(nvml_with, gpu):
    (read,) = read_nvidia(nvml_with(gpu(drawing={7: None}))).gpus
    assert read.processes == (GpuProcess(7, None, None),)


def test_two_gpus_keep_their_order(nvml_with, gpu):
    facts = read_nvidia(nvml_with(gpu(name="one"), gpu(name="two")))
    assert [card.name for card in facts.gpus] == ["one", "two"]


def test_a_gpu_that_shares_the_ram_tells_no_memory(nvml_with, gpu):
    load = nvml_with(gpu(), failing={"nvmlDeviceGetMemoryInfo": error(pynvml.NVML_ERROR_NOT_SUPPORTED)})
    (card,) = read_nvidia(load).gpus
    assert (card.total_bytes, card.free_bytes) == (None, None)


@pytest.mark.parametrize("code", ERROR_CODES)
@pytest.mark.parametrize("call", CALLS)
def test_no_call_that_fails_can_crash_the_probe(nvml_with, gpu, call, code):
    facts = read_nvidia(nvml_with(gpu(computing={10: GIB}), failing={call: error(code)}), [GEFORCE])
    assert facts.gpus or facts.problems
    if call in FATAL:
        assert facts.problems
    assert all(problem.endswith((".", ").")) for problem in facts.problems)


@pytest.mark.parametrize("refusal", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "?"), AttributeError("old binding")])
@pytest.mark.parametrize("call", [call for call in CALLS if call not in FATAL])
def test_garbled_names_and_missing_functions_are_refusals_too(nvml_with, gpu, call, refusal):
    facts = read_nvidia(nvml_with(gpu(computing={10: GIB}), failing={call: refusal}), [GEFORCE])
    assert facts.gpus or facts.problems


def test_nvml_is_closed_again(nvml_with, gpu):
    load = nvml_with(gpu())
    read_nvidia(load)
    assert load.library.calls.count("nvmlInit") == load.library.calls.count("nvmlShutdown") == 1


def test_a_silent_gpu_does_not_hide_the_others(nvml_with, gpu):
    load = nvml_with(gpu(), gpu(), failing={"nvmlDeviceGetHandleByIndex": error(pynvml.NVML_ERROR_GPU_IS_LOST)})
    facts = read_nvidia(load)
    assert facts.gpus == ()
    assert facts.problems[1].startswith("NVIDIA GPU 1 does not answer.")


def test_an_updated_driver_asks_for_a_restart(nvml_with):
    load = nvml_with(failing={"nvmlInit": error(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)})
    (problem,) = read_nvidia(load).problems
    assert "no longer match" in problem
    assert "Restart the computer" in problem


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED])
def test_without_driver_and_without_card_there_is_nothing_to_say(nvml_with, code):
    facts = read_nvidia(nvml_with(failing={"nvmlInit": error(code)}), on_bus=[])
    assert (facts.gpus, facts.problems) == ((), ())


@pytest.mark.parametrize(
    ("kernel_driver", "next_step"),
    [("nouveau", "Install NVIDIA's own driver"), (None, "Install NVIDIA's driver"),
     ("vfio-pci", "give it to the NVIDIA driver"), ("nvidia", "Reinstall the driver")],
)
def test_a_card_without_a_working_driver_says_the_next_step(nvml_with, kernel_driver, next_step):
    load = nvml_with(failing={"nvmlInit": error(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)})
    (problem,) = read_nvidia(load, [NvidiaOnBus("NVIDIA GeForce RTX 4060", kernel_driver)]).problems
    assert next_step in problem


def test_two_equal_cards_are_one_sentence(nvml_with):
    load = nvml_with(failing={"nvmlInit": error(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)})
    assert len(read_nvidia(load, [GEFORCE, GEFORCE]).problems) == 1


def test_a_driver_that_drives_no_gpu_is_said(nvml_with):
    (problem,) = read_nvidia(nvml_with(), [GEFORCE]).problems
    assert "not loaded" in problem


def test_a_missing_binding_matters_only_with_a_card():
    def load():
        raise ImportError("No module named 'pynvml'")

    assert read_nvidia(load).problems == ()
    assert "nvidia-ml-py" in read_nvidia(load, [GEFORCE]).problems[0]


@pytest.mark.parametrize("call", CALLS)
def test_the_fake_has_the_functions_of_the_true_binding(nvml_with, call):
    true = inspect.signature(getattr(pynvml, call)).parameters
    fake = inspect.signature(getattr(nvml_with().library, call)).parameters
    assert len(fake) <= len(true)
    assert all(one.default is not one.empty for one in list(true.values())[len(fake):])


def test_this_machines_own_nvml_never_raises():
    facts = read_nvidia(load_nvml)
    assert all(gpu.vendor is Vendor.NVIDIA for gpu in facts.gpus)
