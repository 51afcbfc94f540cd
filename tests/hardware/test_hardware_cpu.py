"""The processor, from the texts of several systems."""

import platform

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carryon.hardware.cpu import LINUX_FLAGS, from_cpuinfo, read_cpu
from carryon.hardware.world import World

RYZEN = """\
processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD Ryzen 7 7840U w/ Radeon  780M Graphics
flags\t\t: fpu ssse3 fma sse4_2 f16c avx avx2 bmi2 avx512f avx512_bf16 avx512vbmi avx512_vnni

processor\t: 1
model name\t: AMD Ryzen 7 7840U w/ Radeon  780M Graphics
flags\t\t: fpu
"""
RASPBERRY = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 asimdhp asimddp
CPU implementer\t: 0x41

Revision\t: c04170
Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""
M2_PRO = """\
machdep.cpu.brand_string: Apple M2 Pro
hw.nperflevels: 2
hw.perflevel0.physicalcpu: 8
hw.optional.neon: 1
hw.optional.AdvSIMD: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_SME: 0
"""
NO_COUNT = {False: None, True: None}.get


def test_an_x86_processor():
    name, sets = from_cpuinfo(RYZEN)
    assert name == "AMD Ryzen 7 7840U w/ Radeon 780M Graphics"
    assert sets == (
        "SSSE3", "SSE4_2", "AVX", "AVX2", "BMI2", "F16C", "FMA", "AVX512F", "AVX512_VBMI", "AVX512_VNNI", "AVX512_BF16",
    )


def test_an_arm_board_is_named_by_its_board():
    assert from_cpuinfo(RASPBERRY) == ("Raspberry Pi 5 Model B Rev 1.0", ("NEON", "FP16", "DOTPROD"))


@pytest.mark.parametrize("text", ["", ":", "model name", "model name:\nflags:", "\0\0", "flags : avx2extra"])
def test_what_is_not_told_is_unknown(text):
    assert from_cpuinfo(text) == (None, ())


@given(st.integers(0, len(RYZEN)), st.integers(0, len(RYZEN)), st.text())
def test_a_damaged_cpuinfo_gives_fewer_facts_and_no_false_ones(start, end, garbage):
    name, sets = from_cpuinfo(RYZEN[:start] + garbage + RYZEN[end:])
    assert name is None or name == " ".join(name.split()) != ""
    assert set(sets) <= set(LINUX_FLAGS.values())
    assert len(set(sets)) == len(sets)


def test_linux_reads_the_file_under_its_root(tree):
    tree.write("proc/cpuinfo", RYZEN)
    cpu = read_cpu(World(system="Linux", root=tree.root), NO_COUNT)
    assert cpu.name == "AMD Ryzen 7 7840U w/ Radeon 780M Graphics"
    assert (cpu.physical_cores, cpu.logical_cores) == (None, None)


def test_a_mac_with_two_kinds_of_cores():
    cpu = read_cpu(World(system="Darwin", sysctl=lambda names: M2_PRO), {False: 12, True: 12}.get)
    assert (cpu.name, cpu.performance_cores, cpu.physical_cores) == ("Apple M2 Pro", 8, 12)
    assert cpu.instruction_sets == ("NEON", "DOTPROD")


def test_an_intel_mac_has_one_kind_of_cores():
    answer = "machdep.cpu.brand_string: Intel(R) Core(TM) i7-9750H\nhw.optional.avx2_0: 1\nhw.optional.fma: 1\n"
    cpu = read_cpu(World(system="Darwin", sysctl=lambda names: answer), NO_COUNT)
    assert (cpu.instruction_sets, cpu.performance_cores) == (("AVX2", "FMA"), None)


def test_a_virtual_mac_has_one_kind_of_cores_and_says_so():
    answer = "machdep.cpu.brand_string: Apple processor\nhw.nperflevels: 1\nhw.perflevel0.physicalcpu: 4\n"
    assert read_cpu(World(system="Darwin", sysctl=lambda names: answer), NO_COUNT).performance_cores is None


def test_windows_asks_the_registry_and_the_kernel():
    name = "13th Gen Intel(R)  Core(TM) "
    world = World(system="Windows", windows_cpu_name=lambda: name, windows_cpu_feature={39, 40}.__contains__)
    cpu = read_cpu(world, NO_COUNT)
    assert (cpu.name, cpu.instruction_sets) == ("13th Gen Intel(R) Core(TM)", ("AVX", "AVX2"))


def test_this_machine():
    cpu = read_cpu(World())
    assert cpu.logical_cores == psutil.cpu_count()
    assert cpu.physical_cores is None or cpu.physical_cores <= cpu.logical_cores
    if platform.machine() in ("x86_64", "AMD64"):
        assert cpu.name
        assert "SSE4_2" in cpu.instruction_sets
