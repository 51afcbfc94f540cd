"""Rooms: what of a machine's memory a model may take."""

from dataclasses import replace

import pytest
from fakes.machines import (
    BROKEN,
    CONTAINER_4GB,
    CPU_ONLY,
    GIB,
    LAPTOP_8GB,
    MAC_36GB,
    RPC_ONLY,
    UNEQUAL_GPUS,
    WITH_GPU,
)

from carryon.fit.room import Backend, backend_of, rooms_of
from carryon.hardware.machine import DeviceKind, EngineDevice, EngineDevices, Gpu, GpuProcess, Memory, Vendor

MIB = 2**20


def seen(machine, *devices):
    """The same machine with an engine that sees these devices."""
    return replace(machine, engine=EngineDevices("llama.cpp", True, devices))


def device(name, kind=DeviceKind.GPU, free=6 * GIB, total=8 * GIB, description="A GPU"):
    return EngineDevice(name, description, kind, free, total)


def test_a_gpu_is_a_room_by_the_engines_name_with_what_is_free_in_it():
    room = rooms_of(WITH_GPU).gpus[0]
    assert (room.name, room.label, room.backend) == ("CUDA0", "NVIDIA GeForce RTX 4060", Backend.CUDA)
    assert (room.free_bytes, room.total_bytes) == (7_600_000_000, 8_188_000_000)


def test_the_more_cautious_of_engine_and_driver_counts():
    vulkan = seen(WITH_GPU, device("Vulkan0", free=8 * GIB, description="NVIDIA GeForce RTX 4060"))
    assert rooms_of(vulkan).gpus[0].free_bytes == 7_600_000_000


def test_drivers_and_engines_are_matched_by_name_whatever_their_order():
    other = replace(UNEQUAL_GPUS, gpus=UNEQUAL_GPUS.gpus[::-1])
    assert rooms_of(other).gpus == rooms_of(UNEQUAL_GPUS).gpus


def test_two_equal_gpus_are_told_apart():
    card = Gpu(Vendor.NVIDIA, "RTX 3090", 24 * GIB, 20 * GIB)
    machine = replace(
        seen(CPU_ONLY, *(device(f"CUDA{n}", free=23 * GIB, total=24 * GIB, description="RTX 3090") for n in (0, 1))),
        gpus=(card, replace(card, free_bytes=22 * GIB)),
    )
    assert [room.free_bytes for room in rooms_of(machine).gpus] == [20 * GIB, 22 * GIB]


def test_what_an_unloaded_model_gives_back_is_free_and_never_more_than_there_is():
    assert rooms_of(WITH_GPU, {"CUDA0": 500_000_000}).gpus[0].free_bytes == 8_100_000_000
    assert rooms_of(WITH_GPU, {"CUDA0": 9 * GIB}).gpus[0].free_bytes == 8_188_000_000
    assert rooms_of(WITH_GPU, {"CPU": GIB}).ram.free_bytes == 21_000_000_000 + GIB


def test_the_reserve_grows_with_the_gpu_the_ubatch_and_a_screen():
    large = device("CUDA0", free=79 * GIB, total=80 * GIB)
    assert rooms_of(seen(CPU_ONLY, device("Vulkan0"))).gpus[0].reserve_bytes == 512 * MIB
    assert rooms_of(seen(CPU_ONLY, large)).gpus[0].reserve_bytes == pytest.approx(2.4 * GIB + 36 * MIB, rel=0.01)
    more = rooms_of(WITH_GPU, n_ubatch=4096).gpus[0].reserve_bytes - rooms_of(WITH_GPU).gpus[0].reserve_bytes
    assert more == pytest.approx(0.07 * 3584 * MIB, rel=0.01)
    unlit = replace(WITH_GPU, gpus=(replace(WITH_GPU.gpus[0], drives_display=False),))
    assert rooms_of(WITH_GPU).gpus[0].reserve_bytes - rooms_of(unlit).gpus[0].reserve_bytes == 256 * MIB


@pytest.mark.parametrize(
    ("total_gib", "reserve_gib"), [(4, 0.6), (8, 1.2), (16, 2), (32, 3.2), (64, 6.4), (512, 8)]
)
def test_the_ram_keeps_a_tenth_but_not_half_of_a_small_machine(total_gib, reserve_gib):
    machine = replace(CPU_ONLY, ram=Memory(total_gib * GIB, total_gib * GIB))
    assert rooms_of(machine).ram.reserve_bytes == pytest.approx(reserve_gib * GIB, rel=0.01)


def test_a_container_is_our_own():
    assert rooms_of(CONTAINER_4GB).ram.reserve_bytes == 256 * MIB


def test_unknown_free_memory_is_guessed_cautiously():
    machine = replace(seen(CPU_ONLY, device("Vulkan0", free=None)), gpus=())
    assert rooms_of(machine).gpus[0].free_bytes == pytest.approx(7.2 * GIB)


def test_a_gpu_that_nobody_can_size_takes_no_part():
    assert rooms_of(seen(CPU_ONLY, device("SYCL0", free=None, total=None))).gpus == ()


def test_a_mac_is_one_pool():
    rooms = rooms_of(MAC_36GB)
    assert rooms.is_unified
    assert rooms.gpus[0].backend is Backend.METAL


def test_an_integrated_gpu_takes_part_only_where_it_is_alone_and_shares_the_ram():
    inner = device("Vulkan1", DeviceKind.IGPU)
    alone, beside = rooms_of(seen(CPU_ONLY, inner)), rooms_of(seen(CPU_ONLY, inner, device("Vulkan0")))
    assert alone.is_unified
    assert [room.name for room in alone.gpus] == ["Vulkan1"]
    assert not beside.is_unified
    assert [room.name for room in beside.gpus] == ["Vulkan0"]


def test_other_machines_come_first_as_the_engine_orders_them():
    machine = seen(CPU_ONLY, device("CUDA0"), device("RPC0", DeviceKind.RPC))
    assert [room.name for room in rooms_of(machine).gpus] == ["RPC0", "CUDA0"]
    assert rooms_of(RPC_ONLY).gpus[0].backend is Backend.RPC


def test_without_an_engines_answer_the_drivers_gpus_stand_in():
    assert rooms_of(BROKEN).gpus == ()
    room = rooms_of(replace(WITH_GPU, engine=None)).gpus[0]
    assert (room.name, room.free_bytes) == ("CUDA0", 7_600_000_000)


def test_programs_are_summed_by_name_and_our_own_engine_is_none_of_them():
    processes = (
        GpuProcess(1, "firefox", GIB), GpuProcess(2, "blender", 3 * GIB), GpuProcess(3, "firefox", GIB),
        GpuProcess(4, "python3.11", 2 * GIB), GpuProcess(5), GpuProcess(6, "Xorg", None),
    )  # fmt: skip
    machine = replace(LAPTOP_8GB, gpus=(replace(LAPTOP_8GB.gpus[0], processes=processes),))
    names = [(one.name, one.held_bytes // GIB) for one in rooms_of(machine, {"CUDA0": 2 * GIB}).gpus[0].programs]
    assert names == [("blender", 3), ("firefox", 2)]
    assert len(rooms_of(machine).gpus[0].programs) == 3


@pytest.mark.parametrize(
    ("name", "backend"),
    [("CUDA1", Backend.CUDA), ("ROCm0", Backend.HIP), ("MTL0", Backend.METAL), ("Metal", Backend.METAL),
     ("Vulkan0", Backend.VULKAN), ("RPC0[host:50052]", Backend.RPC), ("Kompute0", Backend.OTHER)],
)  # fmt: skip
def test_backends_are_known_by_name(name, backend):
    assert backend_of(name) is backend
