"""AMD and Intel cards, and NVIDIA ones without a driver, from trees as sysfs has them."""

import pytest

from carryon.hardware.machine import Vendor
from carryon.hardware.sysfs import card_use, find_cards, find_nvidia, read_cards

GIB = 1 << 30
PCI_IDS = """\
#\tList of PCI ID's
0e11  Compaq Computer Corporation
\t744c  Not this one either
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t1506  Mendocino
\t744c  Navi 31 [Radeon RX 7900 XT/7900 XTX]
\t\t1002 0e3b  RX 7900 GRE [XFX]
10de  NVIDIA Corporation
\t2882  AD107 [GeForce RTX 4060]
\t744c  Not this one
8086  Intel Corporation
\t56a0  DG2 [Arc A770]
C 03  Display controller
"""


def discrete_amd(tree, number=0):
    device = tree.card(number, "0000:03:00.0", "0x1002", "0x744c", "amdgpu")
    tree.write(f"{device}/mem_info_vram_total", 24 * GIB).write(f"{device}/mem_info_vram_used", 2 * GIB)
    tree.write(f"{device}/mem_info_gtt_total", 16 * GIB).write(f"{device}/hwmon/hwmon3/in0_label", "vddgfx")
    return device


def test_a_discrete_amd_card(tree):
    discrete_amd(tree)
    tree.write("usr/share/misc/pci.ids", PCI_IDS)
    tree.write("sys/class/drm/card0-DP-1/status", "connected").write("sys/class/drm/card0-DP-2/status", "disconnected")
    (card,) = read_cards(tree.root)
    assert (card.vendor, card.name) == (Vendor.AMD, "AMD Radeon RX 7900 XT/7900 XTX")
    assert (card.total_bytes, card.free_bytes, card.shared_bytes) == (24 * GIB, 22 * GIB, 16 * GIB)
    assert (card.driver, card.is_integrated, card.drives_display) == ("amdgpu", False, True)


def test_an_amd_gpu_inside_a_processor(tree):
    device = tree.card(1, "0000:04:00.0", "0x1002", "0x1506", "amdgpu")
    tree.write(f"{device}/mem_info_vram_total", GIB // 2).write(f"{device}/mem_info_gtt_total", 8 * GIB)
    tree.write(f"{device}/hwmon/hwmon5/in1_label", "vddnb")
    (card,) = read_cards(tree.root)
    assert (card.is_integrated, card.shared_bytes, card.drives_display) == (True, 8 * GIB, False)
    assert (card.total_bytes, card.free_bytes) == (GIB // 2, None)


def test_an_intel_gpu_inside_a_processor_has_no_memory_of_its_own(tree):
    tree.card(0, "0000:00:02.0", "0x8086", "0x46a6", "i915")
    (card,) = read_cards(tree.root)
    assert (card.vendor, card.is_integrated, card.total_bytes, card.free_bytes) == (Vendor.INTEL, True, None, None)


def test_an_arc_card_tells_its_memory_by_tile(tree):
    device = tree.card(0, "0000:03:00.0", "0x8086", "0x56a0", "xe")
    for tile in ("tile0", "tile1"):
        tree.write(f"{device}/{tile}/physical_vram_size_bytes", 8 * GIB)
    tree.write("usr/share/hwdata/pci.ids", PCI_IDS)
    (card,) = read_cards(tree.root)
    assert (card.name, card.is_integrated, card.driver) == ("Intel Arc A770", False, "xe")
    assert (card.total_bytes, card.free_bytes) == (16 * GIB, None)


def test_an_arc_card_under_intels_i915_package(tree):
    tree.card(0, "0000:03:00.0", "0x8086", "0x56a0", "i915")
    tree.write("sys/class/drm/card0/lmem_total_bytes", 16 * GIB)
    assert read_cards(tree.root)[0].total_bytes == 16 * GIB


def test_cards_come_in_the_kernels_order(tree):
    discrete_amd(tree, number=10)
    tree.card(2, "0000:00:02.0", "0x8086", "0x46a6", "i915")
    assert [card.vendor for card in read_cards(tree.root)] == [Vendor.INTEL, Vendor.AMD]


def test_other_makers_and_connectors_are_no_cards(tree):
    tree.card(0, "0000:01:00.0", "0x10de", "0x2882", "nvidia")
    tree.card(1, "0000:02:00.0", "0x1a03", "0x2000", "ast")
    tree.write("sys/class/drm/card0-HDMI-A-1/status", "connected").write("sys/class/drm/version", "drm 1.1.0")
    assert read_cards(tree.root) == ()


def test_a_card_is_named_by_its_board_then_by_the_list_then_by_number(tree):
    device = discrete_amd(tree)
    assert read_cards(tree.root)[0].name == "AMD GPU 744c"
    tree.write("usr/share/misc/pci.ids", PCI_IDS)
    assert read_cards(tree.root)[0].name == "AMD Radeon RX 7900 XT/7900 XTX"
    tree.write(f"{device}/product_name", "Radeon PRO W7900")
    assert read_cards(tree.root)[0].name == "Radeon PRO W7900"


@pytest.mark.parametrize("garbage", ["", "-1", "12 GB", "\0\0", "0x10", "٣٤"])
def test_a_figure_that_is_no_figure_is_unknown(tree, garbage):
    device = discrete_amd(tree)
    tree.write(f"{device}/mem_info_vram_total", garbage).write(f"{device}/mem_info_vram_used", garbage)
    (card,) = read_cards(tree.root)
    assert (card.total_bytes, card.free_bytes) == (None, None)


def test_how_full_a_card_is_now(tree):
    device = discrete_amd(tree)
    (card,) = find_cards(tree.root)
    assert card_use(card, "it").used_bytes == 2 * GIB
    tree.write(f"{device}/mem_info_vram_used", 5 * GIB)
    assert card_use(card, "it").used_bytes == 5 * GIB


def test_nvidia_cards_on_the_bus_whatever_drives_them(tree):
    tree.write("usr/share/misc/pci.ids", PCI_IDS)
    tree.pci("0000:01:00.0", "0x10de", "0x2882", "nouveau")
    tree.pci("0000:02:00.0", "0x10de", "0x20b0", None, kind="0x030200")
    tree.pci("0000:01:00.1", "0x10de", "0x22be", "snd_hda_intel", kind="0x040300")
    found = [(card.name, card.kernel_driver) for card in find_nvidia(tree.root)]
    assert found == [("NVIDIA GeForce RTX 4060", "nouveau"), ("NVIDIA GPU 20b0", None)]


def test_a_system_without_sysfs_has_no_cards(tmp_path):
    assert (read_cards(tmp_path), find_nvidia(tmp_path)) == ((), ())
