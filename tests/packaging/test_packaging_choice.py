"""Which engine suits which machine."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from engine_choice import (
    BASE_FLAGS,
    CUDA_WHEELS,
    Accelerator,
    Facts,
    Nvidia,
    Prebuilt,
    Source,
    choices,
    nvidia_by_nvml,
    nvidia_of,
    nvml,
    read_facts,
)


def first(facts: Facts) -> str:
    best = choices(facts)[0]
    return best.variant if isinstance(best, Prebuilt) else "source"


@pytest.mark.parametrize(("cuda", "capability", "variant"), [
    ((11, 4), (8, 6), "cpu"),              # older than the oldest wheel
    ((11, 8), (8, 6), "cu118"),
    ((11, 8), (9, 0), "cpu"),              # cu118 holds no code for Hopper
    ((12, 0), (8, 6), "cu118"),
    ((12, 1), (8, 6), "cu121"),
    ((12, 2), (7, 0), "cu122"),
    ((12, 3), (7, 5), "cu123"),
    ((12, 4), (8, 9), "cu124"),
    ((12, 5), (6, 1), "cu125"),
    ((12, 8), (12, 0), "cu125"),           # Blackwell by PTX
    ((13, 0), (8, 6), "cu130"),
    ((13, 0), (6, 1), "cu125"),            # a driver for CUDA 13 with a Pascal card, which CUDA 13 dropped
    ((13, 1), (9, 0), "cu130"),
    ((13, 2), (9, 0), "cu132"),
    ((14, 0), (9, 0), "cu132"),
    ((12, 4), (5, 2), "cpu"),              # Maxwell: no wheel holds code for it
])
def test_the_wheel_is_the_newest_that_the_driver_and_the_gpu_run(cuda, capability, variant):
    assert first(Facts("linux", Nvidia(cuda, (capability,)))) == variant


def test_every_gpu_of_the_machine_counts():
    assert first(Facts("linux", Nvidia((13, 0), ((6, 1), (9, 0))))) == "cu125"


def test_a_driver_that_hides_the_gpus_capability_still_gets_a_wheel():
    assert first(Facts("linux", Nvidia((12, 4), ()))) == "cu124"


def test_a_missing_wheel_leaves_the_older_ones_and_then_the_cpu():
    names = [one.variant for one in choices(Facts("win32", Nvidia((12, 3), ((8, 6),)))) if isinstance(one, Prebuilt)]
    assert names == ["cu123", "cu122", "cu121", "cu118", "cpu"]


def test_a_mac_gets_metal():
    wanted = choices(Facts("darwin"))
    assert wanted[0] == Prebuilt("metal", Accelerator.METAL)
    assert "-DGGML_METAL=ON" in wanted[-1].flags


def test_a_machine_without_a_gpu_gets_the_cpu_wheel_then_the_source():
    wanted = choices(Facts("linux", has_nvcc=True))
    built = Source(BASE_FLAGS, Accelerator.NONE)
    assert wanted == [Prebuilt("cpu", Accelerator.NONE), built]


def test_from_source_asks_no_index():
    assert all(isinstance(one, Source) for one in choices(Facts("linux", Nvidia((12, 4), ())), from_source=True))


@pytest.mark.parametrize(("has_nvcc", "first_accelerator"), [(True, Accelerator.CUDA), (False, Accelerator.NONE)])
def test_cuda_is_built_where_the_toolkit_is_and_never_hides_the_cpu(has_nvcc, first_accelerator):
    wanted = choices(Facts("linux", Nvidia((12, 4), ()), has_nvcc=has_nvcc), from_source=True)
    assert wanted[0].accelerator is first_accelerator
    assert ("-DGGML_CUDA=ON" in wanted[0].flags) is has_nvcc
    assert wanted[-1].accelerator is Accelerator.NONE


def test_ones_own_cmake_flags_come_last_and_so_win(monkeypatch):
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_NATIVE=OFF '-DCMAKE_CXX_FLAGS=-O2 -g'")
    assert choices(read_facts())[-1].flags[-2:] == ("-DGGML_NATIVE=OFF", "-DCMAKE_CXX_FLAGS=-O2 -g")


@pytest.mark.skipif(platform.machine() != "x86_64" or not shutil.which("cmake"), reason="for a compiler of x86")
@pytest.mark.parametrize(("flags", "is_built"), [(BASE_FLAGS, True), (("-DGGML_RPC=ON",), False)])
def test_ggmls_amx_code_is_left_out_and_ones_own_cflags_are_kept(tmp_path, monkeypatch, flags, is_built):
    lists = ("cmake_minimum_required(VERSION 3.14)", "project(p C CXX)", "add_library(p p.c q.cpp)")
    (tmp_path / "CMakeLists.txt").write_text("\n".join(lists))
    for name in ("p.c", "q.cpp"):
        (tmp_path / name).write_text("#if !defined(__AMX_TILE__) || defined(__AMX_INT8__)\n#error\n#endif\n")
    for variable in ("CFLAGS", "CXXFLAGS"):
        monkeypatch.setenv(variable, "-mamx-tile -mamx-int8")
    subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "b", *flags], check=True, capture_output=True)
    built = subprocess.run(["cmake", "--build", tmp_path / "b"], check=False, capture_output=True)
    assert (built.returncode == 0) is is_built


def test_the_table_is_newest_first():
    assert [one.cuda for one in CUDA_WHEELS] == sorted((one.cuda for one in CUDA_WHEELS), reverse=True)


def test_nvidia_smi_is_understood():
    overview = "| NVIDIA-SMI 550.54.15    Driver Version: 550.54.15    CUDA Version: 12.4     |"
    assert nvidia_of(overview, "8.6\n9.0\n") == Nvidia((12, 4), ((8, 6), (9, 0)))


@pytest.mark.parametrize("overview", [
    "", "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
    "| NVIDIA-SMI 550   CUDA Version: N/A |"])
def test_a_driver_that_does_not_answer_counts_as_none(overview):
    assert nvidia_of(overview, "") is None


FAKE_NVML = """
int nvmlInit_v2(void) { return %(init)d; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12040; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = %(gpus)d; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(long)(index + 8); return 0; }
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) {
    *major = (int)(long)device; *minor = 6; return 0; }
"""


def fake_nvml(folder: Path, source: str) -> Path:
    """A true shared library with NVML's functions."""
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler to make the fake driver library")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=source, text=True, check=True)
    return library


def test_the_driver_is_asked_through_nvml(tmp_path):
    library = nvml(["libdoesnotexist.so.1", str(fake_nvml(tmp_path, FAKE_NVML % {"init": 0, "gpus": 2}))])
    assert nvidia_by_nvml(library) == Nvidia((12, 4), ((8, 6), (9, 6)))


@pytest.mark.parametrize("source", [FAKE_NVML % {"init": 18, "gpus": 1},          # library and driver differ
                                    FAKE_NVML % {"init": 0, "gpus": 0}, "int nothing;"])
def test_a_broken_nvml_counts_as_none(tmp_path, source):
    assert nvidia_by_nvml(nvml([str(fake_nvml(tmp_path, source))])) is None


def test_no_driver_is_no_library():
    assert nvml(["libdoesnotexist.so.1"]) is None
