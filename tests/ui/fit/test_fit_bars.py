"""The memory bars of a model that is not loaded yet."""

from dataclasses import replace

from fakes.fits import GB, GPU_ROOM, RAM_ROOM, ROOMS, fit

from carryon.fit.memory import DeviceNeed, Need
from carryon.ui import texts
from carryon.ui.memory_facts import PartKind, fit_bars

NEED = Need(DeviceNeed(GB, 0, GB // 4, GB // 4), (DeviceNeed(4 * GB, GB, GB // 2, 0, extra_bytes=GB),))


def sizes(bar):
    return {part.kind: part.size_bytes for part in bar.parts}


def test_gpus_come_first_and_every_device_of_the_machine_is_there():
    assert [bar.name for bar in fit_bars(fit(need=NEED), ROOMS)] == [GPU_ROOM.label, "RAM"]


def test_a_bar_holds_the_model_the_others_and_the_reserve():
    gpu, ram = fit_bars(fit(need=NEED), ROOMS)
    assert sizes(gpu) == {
        PartKind.WEIGHTS: 5 * GB, PartKind.KV: GB, PartKind.COMPUTE: GB // 2,
        PartKind.OTHER: GPU_ROOM.other_bytes, PartKind.RESERVE: GPU_ROOM.reserve_bytes,
    }
    assert sizes(ram)[PartKind.COMPUTE] == GB // 2


def test_one_pool_is_one_bar_and_nothing_is_counted_twice():
    rooms = replace(ROOMS, is_unified=True)
    (bar,) = fit_bars(fit(need=NEED), rooms)
    assert bar.name == "Unified memory"
    assert sizes(bar)[PartKind.WEIGHTS] == 6 * GB
    assert sizes(bar)[PartKind.OTHER] == RAM_ROOM.other_bytes


def test_what_is_too_much_is_said():
    need = Need(DeviceNeed(), (DeviceNeed(9 * GB),))
    gpu, _ = fit_bars(fit(need=need), ROOMS)
    assert gpu.over_bytes == 9 * GB + GPU_ROOM.other_bytes + GPU_ROOM.reserve_bytes - GPU_ROOM.total_bytes
    assert gpu.free_bytes == 0
    assert texts.bar_legend(gpu)[-1] == (None, "2.5 GB too much")


def test_equal_gpus_are_numbered():
    rooms = replace(ROOMS, gpus=(GPU_ROOM, GPU_ROOM))
    need = Need(DeviceNeed(), (DeviceNeed(GB), DeviceNeed(GB)))
    names = [bar.name for bar in fit_bars(fit(need=need), rooms)]
    assert names == [f"{GPU_ROOM.label} (1)", f"{GPU_ROOM.label} (2)", "RAM"]
