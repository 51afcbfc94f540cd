"""Graphics cards as Linux's sysfs shows them: AMD and Intel with their memory, NVIDIA where its driver is missing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carryon.hardware.kernelfiles import number_in, text_in
from carryon.hardware.machine import Gpu, GpuUse, Vendor
from carryon.hardware.nvidia import NvidiaOnBus

_VENDORS = {"0x1002": Vendor.AMD, "0x8086": Vendor.INTEL}
_NVIDIA = "0x10de"
_MAKERS = {"1002": "AMD", "8086": "Intel", "10de": "NVIDIA"}
_DISPLAY_CLASS = "0x03"                   # PCI class 03: display controllers; the byte after it tells VGA from 3D
_CARD = re.compile(r"card\d+")            # not card0-DP-1, which is a connector
_PCI_NAMES = ("usr/share/hwdata/pci.ids", "usr/share/misc/pci.ids", "usr/share/pci.ids")
_INTEL_IGPU_SLOT = "0000:00:02.0"         # an integrated Intel GPU always sits there, a discrete one never


@dataclass(frozen=True)
class Card:
    """One graphics card's folder in sysfs."""

    folder: Path                          # /sys/class/drm/card0
    vendor: Vendor

    @property
    def device(self) -> Path:
        return self.folder / "device"


def read_cards(root: Path) -> tuple[Gpu, ...]:
    """The AMD and Intel GPUs under `root`/sys; empty where there is no sysfs."""
    return tuple(_gpu(root, card) for card in find_cards(root))


def find_cards(root: Path) -> tuple[Card, ...]:
    """The AMD and Intel cards, in the kernel's order."""
    folders = sorted(_listed(root / "sys/class/drm"), key=_card_number)
    vendors = ((folder, _VENDORS.get(text_in(folder / "device/vendor") or "")) for folder in folders)
    return tuple(Card(folder, vendor) for folder, vendor in vendors if vendor)


def card_use(card: Card, name: str) -> GpuUse:
    """How full one card is now; None where the driver does not tell (Intel's tell no used memory)."""
    return GpuUse(name, number_in(card.device / "mem_info_vram_used"), _total_bytes(card))


def card_name(root: Path, card: Card) -> str:
    """What the card is called, from the board, else from the system's list of PCI names, else by its numbers."""
    board = text_in(card.device / "product_name")
    return board or pci_name(root, card.device)


def find_nvidia(root: Path) -> tuple[NvidiaOnBus, ...]:
    """The NVIDIA GPUs that the PCI bus shows, whether their driver works or not."""
    found = [device for device in _children(root / "sys/bus/pci/devices") if _is_nvidia_gpu(device)]
    return tuple(NvidiaOnBus(pci_name(root, device), _kernel_driver(device)) for device in found)


def pci_name(root: Path, device: Path) -> str:
    """The device's name in the system's list of PCI names, else its maker and number."""
    vendor, number = _pci_id(device / "vendor"), _pci_id(device / "device")
    lists = (text_in(root / path) for path in _PCI_NAMES)
    names = next((one for one in lists if one), "")
    return f"{_MAKERS.get(vendor, vendor)} {_look_up(names, vendor, number) or f'GPU {number}'}".strip()


def _gpu(root: Path, card: Card) -> Gpu:
    total, used = _total_bytes(card), number_in(card.device / "mem_info_vram_used")
    return Gpu(
        vendor=card.vendor,
        name=card_name(root, card),
        total_bytes=total,
        free_bytes=None if total is None or used is None else max(0, total - used),
        shared_bytes=number_in(card.device / "mem_info_gtt_total"),
        driver=_kernel_driver(card.device),
        is_integrated=_is_integrated(card),
        drives_display=_drives_display(card),
    )


def _total_bytes(card: Card) -> int | None:
    """amdgpu's figure; for Intel what xe tells for each tile, or what Intel's own i915 packages tell."""
    amd = number_in(card.device / "mem_info_vram_total")
    if amd is not None:
        return amd
    tiles = (tile for tile in _children(card.device) if tile.name.startswith("tile"))
    sizes = (number_in(tile / "physical_vram_size_bytes") for tile in tiles)
    return sum(size for size in sizes if size) or number_in(card.folder / "lmem_total_bytes")


def _is_integrated(card: Card) -> bool:
    if card.vendor is Vendor.INTEL:
        return _slot(card.device) == _INTEL_IGPU_SLOT
    # amdgpu shows the north bridge's voltage for GPUs inside a processor only: amdgpu_pm.c, hwmon_attributes_visible()
    return any(text_in(sensors / "in1_label") == "vddnb" for sensors in _children(card.device / "hwmon"))


def _drives_display(card: Card) -> bool:
    connectors = card.folder.parent.glob(f"{card.folder.name}-*")
    return any(text_in(connector / "status") == "connected" for connector in connectors)


def _is_nvidia_gpu(device: Path) -> bool:
    return text_in(device / "vendor") == _NVIDIA and (text_in(device / "class") or "").startswith(_DISPLAY_CLASS)


def _kernel_driver(device: Path) -> str | None:
    return _uevent(device).get("DRIVER")


def _slot(device: Path) -> str | None:
    return _uevent(device).get("PCI_SLOT_NAME")


def _uevent(device: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in (text_in(device / "uevent") or "").splitlines())
    return {key: value for key, _, value in pairs}


def _pci_id(path: Path) -> str:
    return (text_in(path) or "").removeprefix("0x").lower()


def _look_up(names: str, vendor: str, number: str) -> str | None:
    """pci.ids: a line for each vendor, its devices below, indented by one tab."""
    is_ours = False
    for line in names.splitlines():
        if is_ours and line.startswith(f"\t{number} "):
            return _short(line[5:].strip())
        if line[:1] not in ("\t", "#", ""):
            is_ours = line.startswith(f"{vendor} ")
    return None


def _short(name: str) -> str:
    """'Navi 31 [Radeon RX 7900 XTX]' -> 'Radeon RX 7900 XTX': the name on the box stands in brackets."""
    in_brackets = re.search(r"\[(.+)\]", name)
    return in_brackets[1] if in_brackets else name


def _listed(folder: Path) -> Iterator[Path]:
    return (child for child in _children(folder) if _CARD.fullmatch(child.name))


def _card_number(folder: Path) -> int:
    return int(folder.name.removeprefix("card"))


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
