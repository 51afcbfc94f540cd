"""The table of parts, and names as drivers write them: the right part or none, never a neighbour."""

import pytest

from carryon.base.errors import BadInput
from carryon.fit.priors import character_of
from carryon.fit.room import Backend
from carryon.hardware.machine import Cpu, DeviceKind, Vendor
from carryon.hardware.parts import machine_with, part_named, parts, ram_class

GB = 1 << 30
NAVI_31 = "AMD Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M]"


def name_of(told: str, gigabytes: float | None = None) -> str | None:
    part = part_named(told, None if gigabytes is None else round(gigabytes * GB))
    return part.name if part else None


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("NVIDIA GeForce RTX 4060", "GeForce RTX 4060"),
        ("NVIDIA GeForce RTX 4060 Ti", "GeForce RTX 4060 Ti"),
        ("NVIDIA GeForce RTX 4060 Laptop GPU", "GeForce RTX 4060 Laptop"),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", "GeForce RTX 4070 Ti SUPER"),
        ("NVIDIA GeForce RTX 4090 D", "GeForce RTX 4090 D"),
        ("NVIDIA GeForce GTX 1660 Ti", "GeForce GTX 1660 Ti"),
        ("NVIDIA GeForce RTX 3050 6GB Laptop GPU", "GeForce RTX 3050 6GB Laptop"),
        ("NVIDIA RTX 4000 Ada Generation", "RTX 4000 Ada"),
        ("NVIDIA RTX 4000 SFF Ada Generation", "RTX 4000 SFF Ada"),
        ("Quadro RTX 4000", "Quadro RTX 4000"),
        ("NVIDIA RTX A6000", "RTX A6000"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "RTX PRO 6000 Blackwell"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "RTX PRO 6000 Blackwell Max-Q"),
        ("NVIDIA A100-SXM4-80GB", "A100 SXM4 80GB"),
        ("NVIDIA A100 80GB PCIe", "A100 80GB PCIe"),
        ("NVIDIA A100-PCIE-40GB", "A100 PCIE 40GB"),
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("Tesla T4", "Tesla T4"),
        ("Tesla V100-SXM2-16GB", "Tesla V100"),
        ("NVIDIA GB10", "DGX Spark"),
        ("AMD Radeon RX 7900 XT", "Radeon RX 7900 XT"),
        ("AMD Radeon RX 7900 XT (RADV NAVI31)", "Radeon RX 7900 XT"),
        ("AMD Radeon RX 7900 XTX", "Radeon RX 7900 XTX"),
        ("AMD Radeon AI PRO R9700", "Radeon AI PRO R9700"),
        ("AMD Instinct MI210", "Instinct MI210"),
        ("AMD Instinct MI300X", "Instinct MI300X"),
        ("Radeon 8060S Graphics (RADV GFX1151)", "Radeon 8060S"),
        ("AMD Radeon Graphics (RADV GFX1151)", "Radeon 8060S"),
        ("AMD Radeon 780M Graphics (RADV PHOENIX)", "Radeon 780M"),
        ("Intel(R) Arc(TM) A770 Graphics (DG2)", "Arc A770"),
        ("Intel(R) Arc(TM) B580 Graphics", "Arc B580"),
        ("Intel DG2 [Arc A770]", "Arc A770"),
        ("Intel(R) Iris(R) Xe Graphics (TGL GT2)", "Iris Xe"),
        ("Intel(R) UHD Graphics 770 (ADL-S GT1)", "UHD 770"),
        ("Apple M1", "M1"),
        ("Apple M2 Ultra", "M2 Ultra"),
        ("Apple M4 Pro", "M4 Pro"),
        ("RTX 4090", "GeForce RTX 4090"),
        ("rtx4090", None),  # nobody calls it so
    ],
)
def test_drivers_names(told, meant):
    assert name_of(told) == meant


@pytest.mark.parametrize(
    "told",
    [
        "NVIDIA GeForce RTX 4060 Max",
        "NVIDIA GeForce RTX 9999",
        "NVIDIA RTX 5000 Ada Generation Laptop GPU",
        "NVIDIA GeForce RTX 2070 with Max-Q Design",
        "NVIDIA A100 80GB PCIe MIG 3g.40gb",
        "Tesla M4",  # not the Apple M4
        "Intel(R) UHD Graphics 630 (CFL GT2)",
        "AMD Radeon Graphics (RADV GFX1201)",  # a 9070 or a 9070 XT
        "AMD Radeon Graphics",
        "llvmpipe (LLVM 15.0.7, 256 bits)",
        "127.0.0.1:50052",
        "",
        "()[]",
    ],
)
def test_no_neighbour_stands_in_for_an_unknown_part(told):
    assert name_of(told) is None


@pytest.mark.parametrize(
    ("told", "gigabytes", "meant"),
    [
        ("NVIDIA GeForce RTX 3050", 8, "GeForce RTX 3050"),
        ("NVIDIA GeForce RTX 3050", 6, "GeForce RTX 3050 6GB"),
        ("NVIDIA GeForce RTX 3060", 11.9, "GeForce RTX 3060"),
        ("NVIDIA GeForce RTX 3060", 8, "GeForce RTX 3060 8GB"),
        ("NVIDIA GeForce RTX 3080", 12, "GeForce RTX 3080 12GB"),
        ("NVIDIA GeForce RTX 4060 Ti", 16, "GeForce RTX 4060 Ti"),
        ("Tesla T4", 15.6, "Tesla T4"),
        ("Apple M4 Max", 36, "M4 Max (32-core GPU)"),
        ("Apple M4 Max", 64, "M4 Max (40-core GPU)"),
        ("Apple M4 Max", 50, None),
        (NAVI_31, 20, "Radeon RX 7900 XT"),
        (NAVI_31, 24, "Radeon RX 7900 XTX"),
        (NAVI_31, 16, "Radeon RX 7900 GRE"),
        (NAVI_31, 12, None),
        (NAVI_31, None, None),
    ],
)
def test_memory_tells_apart_what_shares_a_name(told, gigabytes, meant):
    assert name_of(told, gigabytes) == meant


def test_the_table_covers_what_people_have():
    known = parts()
    assert len(known) >= 100
    assert {vendor: sum(one.vendor is vendor for one in known) > 10 for vendor in Vendor} == dict.fromkeys(Vendor, True)
    assert len({one.name for one in known}) == len(known)


@pytest.mark.parametrize("part", parts(), ids=lambda one: one.name)
def test_every_part_is_found_by_its_own_names_and_is_believable(part):
    assert part_named(part.name) is part
    assert part_named(part.full_name) is part
    size = part.memory_bytes[0] if part.memory_bytes else None
    assert size is None or part_named(part.full_name, size) is part
    assert part.source
    assert part.bytes_per_s or part.is_integrated
    assert part.bytes_per_s == 0 or 50e9 < part.bytes_per_s <= 8e12
    assert 1e12 < part.flops <= 2.5e15
    assert all(GB <= one <= 512 * GB for one in part.memory_bytes)


def test_every_generation_has_a_character():
    unknown = character_of(None, Backend.CUDA)
    assert all(character_of(part.generation, Backend.CUDA) is not unknown for part in parts())


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("AMD Ryzen 7 5800X 8-Core Processor", 45e9, 52e9),
        ("AMD Ryzen 9 7950X 16-Core Processor", 75e9, 100e9),
        ("13th Gen Intel(R) Core(TM) i7-13700K", 50e9, 90e9),
        ("Intel(R) Core(TM) i7-8700K CPU @ 3.70GHz", 40e9, 45e9),
        ("Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz", 20e9, 26e9),
        ("Intel(R) Core(TM) Ultra 7 155H", 80e9, 125e9),
        ("AMD EPYC 9654 96-Core Processor", 400e9, 470e9),
        ("AMD EPYC 7302P 16-Core Processor", 150e9, 205e9),
        ("AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", 250e9, 260e9),
        ("Apple M2 Ultra", 800e9, 820e9),
        ("Raspberry Pi 5 Model B Rev 1.0", 10e9, 20e9),
        (None, 30e9, 50e9),
        ("Something new", 30e9, 50e9),
    ],
)
def test_the_ram_is_guessed_by_the_processors_name(name, low, high):
    assert low <= ram_class(Cpu(name, 8, 16)).bytes_per_s <= high


def test_a_machine_for_the_picker():
    machine = machine_with(["RTX 4090"], 64 * GB)
    gpu, cpu = machine.engine.devices
    assert (gpu.name, gpu.description, gpu.kind) == ("CUDA0", "NVIDIA GeForce RTX 4090", DeviceKind.GPU)
    assert 22 * GB < gpu.free_bytes < gpu.total_bytes == 24 * GB
    assert cpu.kind is DeviceKind.CPU
    assert 56 * GB < machine.ram.available_bytes < machine.ram.total_bytes == 64 * GB


def test_several_gpus_are_numbered_as_the_engine_does():
    machine = machine_with(["RTX 3090", "RTX 3090", "RX 7900 XTX", "Arc B580"], 128 * GB)
    assert [one.name for one in machine.engine.gpus] == ["CUDA0", "CUDA1", "ROCm0", "Vulkan0"]
    first, second = machine.engine.gpus[:2]
    assert first.free_bytes < second.free_bytes  # the desktop hangs on the first


def test_a_mac_has_one_memory():
    machine = machine_with(["M4 Max"], 64 * GB)
    (gpu,) = machine.engine.gpus
    assert machine.is_unified_memory
    assert (gpu.name, gpu.description) == ("Metal0", "Apple M4 Max (40-core GPU)")
    assert gpu.total_bytes == 48 * GB  # three quarters
    assert machine.cpu.name == gpu.description


def test_an_integrated_gpu_works_in_the_ram():
    (gpu,) = machine_with(["Radeon 780M"], 32 * GB).engine.gpus
    assert gpu.kind is DeviceKind.IGPU
    assert gpu.total_bytes == 16 * GB


def test_a_new_gpu_is_thought_of_with_newer_ram_than_an_old_one():
    new, old = (ram_class(machine_with([gpu], 64 * GB).cpu).bytes_per_s for gpu in ("RTX 5090", "RTX 2080"))
    assert old < 60e9 < 70e9 < new


def test_a_machine_without_a_gpu():
    machine = machine_with([], 16 * GB)
    assert machine.engine.gpus == machine.gpus == ()


@pytest.mark.parametrize(
    ("gpus", "hint"), [(["RTX 9999"], "list"), (["M4 Max", "RTX 4090"], "without"), ([""], "list")]
)
def test_what_cannot_be_put_together_is_said(gpus, hint):
    with pytest.raises(BadInput) as caught:
        machine_with(gpus, 64 * GB)
    assert hint in caught.value.hint


def test_the_variant_that_was_chosen_stays_whatever_memory_it_is_sold_with():
    """64 GB are only sold with 40 cores; who picks 30 asks about 30."""
    assert machine_with(["M3 Max (30-core GPU)"], 64 << 30).gpus[0].name.endswith("M3 Max (30-core GPU)")
    assert machine_with(["M3 Max"], 64 << 30).gpus[0].name.endswith("M3 Max (40-core GPU)")
