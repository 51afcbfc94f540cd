"""Graphics processors by name with their makers' figures (resources/parts.toml), and machines made of them."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from carryon.base.errors import BadInput
from carryon.hardware.machine import Cpu, DeviceKind, EngineDevice, EngineDevices, Gpu, Machine, Memory, Vendor

GB = 1 << 30
_MIB = 1 << 20

# A driver tells a little less than what is printed on the box (ECC, firmware), never more.
_SMALLEST_SHARE, _LARGEST_SHARE = 0.90, 1.02
_VENDOR_WORDS = {
    "nvidia": Vendor.NVIDIA, "geforce": Vendor.NVIDIA, "tesla": Vendor.NVIDIA, "quadro": Vendor.NVIDIA,
    "amd": Vendor.AMD, "radeon": Vendor.AMD, "instinct": Vendor.AMD, "intel": Vendor.INTEL, "apple": Vendor.APPLE,
}  # fmt: skip
_NOISE = {
    *_VENDOR_WORDS, "ati", "graphics", "gpu", "series", "generation", "corporation", "with", "design", "r", "tm",
} - {"quadro"}  # fmt: skip
_LAPTOP_WORDS = {"laptop", "mobile"}
_SIZE = re.compile(r"(\d+)gb")

# What a desktop with its usual windows takes of the GPU that drives it, and a driver of every other one.
_DISPLAY_BYTES, _DRIVER_BYTES = 900 * _MIB, 350 * _MIB
_SYSTEM_SHARE, _SYSTEM_LEAST_BYTES, _SYSTEM_MOST_BYTES = 0.20, 2 * GB, 6 * GB
# recommendedMaxWorkingSetSize of Apple silicon: about two thirds of the RAM up to 36 GB, three quarters above.
_METAL_SHARE_SMALL, _METAL_SHARE_LARGE, _METAL_SMALL_BYTES = 2 / 3, 3 / 4, 36 * GB
# Bought while DDR4 was usual.
_OLD_GENERATIONS = {
    "pascal", "pascal-gp100", "volta", "turing", "ampere", "ampere-datacenter", "gcn", "rdna1", "rdna2",
}  # fmt: skip
_ENGINE_NAMES = {Vendor.NVIDIA: "CUDA", Vendor.AMD: "ROCm", Vendor.INTEL: "Vulkan", Vendor.APPLE: "Metal"}
_MAKERS = {Vendor.NVIDIA: "NVIDIA", Vendor.AMD: "AMD", Vendor.INTEL: "Intel", Vendor.APPLE: "Apple"}


@dataclass(frozen=True)
class Part:
    """A graphics processor as its maker describes it."""

    name: str  # without the maker: "GeForce RTX 4060"
    vendor: Vendor
    generation: str  # the table it stands in: "ada", "rdna3", "apple-m4"
    memory_bytes: tuple[int, ...]  # the sizes it is sold with, of a unified part those of the RAM
    bytes_per_s: float  # of its memory; 0 = it works in whatever RAM the machine has
    flops: float  # dense FP16, as the engine can use it at best
    source: str
    is_unified: bool = False  # it shares one memory with the processor, of a known speed
    is_integrated: bool = False  # it works in the machine's RAM modules
    is_sure: bool = True  # False: a figure differs between sources or between boards of this name
    also: tuple[str, ...] = ()  # what drivers call it besides

    @property
    def full_name(self) -> str:
        """As a driver says it: "NVIDIA GeForce RTX 4060"."""
        return f"{_MAKERS[self.vendor]} {self.name}{' GPU' if self.name.endswith('Laptop') else ''}"


@dataclass(frozen=True)
class RamClass:
    """What RAM a processor usually has."""

    bytes_per_s: float
    what: str  # "2 channels of DDR4-3200"


@dataclass(frozen=True)
class _Name:
    """A name taken apart: the words that matter, and the memory size that some names carry."""

    words: tuple[str, ...]
    vendor: Vendor | None = None
    size_gb: int | None = None


_UNKNOWN_RAM = RamClass(40e9, "2 channels of DDR4")


def parts() -> tuple[Part, ...]:
    """Every part of the table, in its order."""
    return tuple(one for table in _tables().values() for one in table)


def part_named(name: str, total_bytes: int | None = None) -> Part | None:
    """The part that a driver or a person calls so; None rather than a neighbour.

    `total_bytes` is its memory, of a unified part the machine's RAM: it tells apart what is sold under one name.
    """
    exact = next((one for one in parts() if name.casefold() in (one.name.casefold(), one.full_name.casefold())), None)
    if exact is not None and total_bytes is None:
        return exact
    spelled = tuple(_spellings(name))
    if len(spelled) == 1:
        found = _candidates(spelled[0], total_bytes)
        return found[0] if len(found) == 1 or (found and total_bytes is None) else None  # the usual one stands first
    fitting = [part for one in spelled for part in _candidates(one, None) if _is_sold_with(part, total_bytes)]
    return fitting[0] if len(fitting) == 1 else None


def ram_class(cpu: Cpu) -> RamClass:
    """The RAM that such a processor usually has, read by its name; a cautious guess for an unknown one."""
    name = cpu.name or ""
    part = part_named(name) if name.startswith("Apple ") else None
    if part is not None:
        return RamClass(part.bytes_per_s, f"unified memory of an {name}")
    classes = ((re.search(one["like"], name, re.IGNORECASE), one) for one in _document()["ram"]["classes"])
    return next((RamClass(one["gb_per_s"] * 1e9, one["what"]) for hit, one in classes if hit), _UNKNOWN_RAM)


def machine_with(gpus: Sequence[str], ram_bytes: int) -> Machine:
    """A machine that is not this one: these GPUs, in this order, and so much RAM, with a desktop running on it.

    Raises BadInput for a GPU that the table does not know, or where unified memory is mixed with other GPUs.
    """
    found = [_wanted(name, ram_bytes) for name in gpus]
    unified = next((one for one in found if one.is_unified), None)
    if unified is not None and len(found) > 1:
        raise BadInput(f"{unified.name} comes alone: its memory is the machine's.", "Choose it without other GPUs.")
    cpu = Cpu(_usual_cpu(found), 8, 16, ("AVX2", "FMA", "F16C"))
    ram = Memory(ram_bytes, ram_bytes - _system_bytes(ram_bytes))
    devices = tuple(_device(index, found, ram) for index in range(len(found)))
    return Machine(
        os_name="macOS" if unified and unified.vendor is Vendor.APPLE else "another machine",
        cpu=cpu,
        ram=ram,
        gpus=tuple(_gpu(part, device) for part, device in zip(found, devices, strict=True)),
        is_unified_memory=unified is not None,
        engine=EngineDevices("llama.cpp", True, (*devices, _cpu_device(ram))),
    )


def _wanted(name: str, ram_bytes: int) -> Part:
    part = part_named(name) or part_named(name, ram_bytes)
    if part is None:
        raise BadInput(f"“{name}” is not a known GPU.", "Choose one from the list, or write it as its maker does.")
    is_exact = name.casefold() in (part.name.casefold(), part.full_name.casefold())
    return part if is_exact or not part.is_unified else part_named(name, ram_bytes) or part


def _usual_cpu(found: Sequence[Part]) -> str:
    """What stands for the processor: its RAM is guessed by the age of the GPU beside it."""
    if found and found[0].vendor is Vendor.APPLE:
        return found[0].full_name
    is_old = found and all(one.generation in _OLD_GENERATIONS for one in found)
    return "8 cores with DDR4" if is_old else "8 cores with DDR5"


def _device(index: int, found: Sequence[Part], ram: Memory) -> EngineDevice:
    part = found[index]
    number = sum(one.vendor is part.vendor for one in found[:index])
    kind = DeviceKind.IGPU if part.is_integrated or part.is_unified else DeviceKind.GPU
    total_bytes = _device_bytes(part, ram)
    taken = _DRIVER_BYTES if index else _DISPLAY_BYTES
    free_bytes = min(total_bytes, ram.available_bytes) if kind is DeviceKind.IGPU else max(0, total_bytes - taken)
    if part.vendor is Vendor.APPLE:
        kind = DeviceKind.GPU  # ggml-metal.cpp says GPU, unified memory or not
    return EngineDevice(f"{_ENGINE_NAMES[part.vendor]}{number}", part.full_name, kind, free_bytes, total_bytes)


def _device_bytes(part: Part, ram: Memory) -> int:
    if part.vendor is Vendor.APPLE:
        share = _METAL_SHARE_SMALL if ram.total_bytes <= _METAL_SMALL_BYTES else _METAL_SHARE_LARGE
        return round(ram.total_bytes * share)
    if part.is_unified or part.is_integrated:
        return ram.total_bytes if part.vendor is Vendor.NVIDIA else ram.total_bytes // 2
    return part.memory_bytes[-1]


def _gpu(part: Part, device: EngineDevice) -> Gpu:
    shares_ram = part.is_unified or part.is_integrated
    return Gpu(
        vendor=part.vendor,
        name=device.description,
        total_bytes=None if shares_ram else device.total_bytes,
        free_bytes=None if shares_ram else device.free_bytes,
        shared_bytes=device.total_bytes if shares_ram else None,
        is_integrated=shares_ram,
        drives_display=device.name.endswith("0"),
    )


def _cpu_device(ram: Memory) -> EngineDevice:
    return EngineDevice("CPU", "CPU", DeviceKind.CPU, ram.available_bytes, ram.total_bytes)


def _system_bytes(ram_bytes: int) -> int:
    """What the system and a person's usual programs hold."""
    return min(ram_bytes // 2, max(_SYSTEM_LEAST_BYTES, min(_SYSTEM_MOST_BYTES, round(ram_bytes * _SYSTEM_SHARE))))


def _candidates(name: _Name, total_bytes: int | None) -> tuple[Part, ...]:
    """Parts of this name; where it is shared, those that are sold with so much memory."""
    same = tuple(one for one in _by_words().get(name.words, ()) if name.vendor in (None, one.vendor))
    size_bytes = name.size_gb * GB if name.size_gb else total_bytes
    if size_bytes is None or len(same) == 1:
        return same
    return tuple(one for one in same if _is_sold_with(one, size_bytes))


def _is_sold_with(part: Part, told_bytes: int | None) -> bool:
    return told_bytes is not None and any(_fits(told_bytes, size) for size in part.memory_bytes)


def _fits(told_bytes: int, sold_bytes: int) -> bool:
    return _SMALLEST_SHARE * sold_bytes <= told_bytes <= _LARGEST_SHARE * sold_bytes


def _spellings(name: str) -> Iterator[_Name]:
    """The names in a driver's string; PCI lists write "Navi 31 [Radeon RX 7900 XT/7900 XTX]"."""
    bracket = re.search(r"\[(.+)\]", name)
    if bracket is None:
        yield _taken_apart(name)
        return
    first, *others = bracket[1].split("/")
    start = re.match(r"\D*", first)
    vendor = _taken_apart(name).vendor
    for one in (first, *(f"{start[0] if start else ''}{other}" for other in others)):
        spelled = _taken_apart(one)
        yield _Name(spelled.words, spelled.vendor or vendor, spelled.size_gb)


def _taken_apart(name: str) -> _Name:
    lowered = name.casefold().replace("max-q", "laptop")
    inside = " ".join(re.findall(r"\(([^)]*)\)", lowered))
    words = _words(re.sub(r"\([^)]*\)", " ", lowered))
    sizes = [int(hit[1]) for hit in map(_SIZE.fullmatch, words) if hit]
    vendor = next((_VENDOR_WORDS[word] for word in words if word in _VENDOR_WORDS), None)
    kept = _telling(words) or tuple(word for word in _telling(_words(inside)) if word != "radv")
    return _Name(kept, vendor, sizes[0] if sizes else None)


def _telling(words: Sequence[str]) -> tuple[str, ...]:
    """The words that tell parts apart; that it is a laptop's stands last, however it is said."""
    kept = [word for word in words if word not in _NOISE and not _SIZE.fullmatch(word) and word not in _LAPTOP_WORDS]
    return (*kept, "laptop") if kept and _LAPTOP_WORDS & set(words) else tuple(kept)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text)


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(resources.files("carryon.resources").joinpath("parts.toml").read_text("utf-8"))


@cache
def _tables() -> dict[str, tuple[Part, ...]]:
    tables = ((name, table) for name, table in _document().items() if "parts" in table)
    return {name: tuple(_part(name, table, line) for line in table["parts"]) for name, table in tables}


@cache
def _by_words() -> dict[tuple[str, ...], tuple[Part, ...]]:
    found: dict[tuple[str, ...], tuple[Part, ...]] = {}
    for part in parts():
        for words in dict.fromkeys(_taken_apart(name).words for name in (part.name, *part.also)):
            found[words] = (*found.get(words, ()), part)
    return found


def _part(generation: str, table: dict[str, Any], line: dict[str, Any]) -> Part:
    return Part(
        name=line["name"],
        vendor=Vendor(table["vendor"]),
        generation=generation,
        memory_bytes=tuple(round(size * GB) for size in line["memory_gb"]),
        bytes_per_s=line["gb_per_s"] * 1e9,
        flops=line["tflops"] * 1e12,
        source=table["source"],
        is_unified=table.get("unified", False),
        is_integrated=table.get("integrated", False),
        is_sure=not line.get("unsure", False),
        also=tuple(line.get("as", ())),
    )
