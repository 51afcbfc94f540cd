"""What a loaded model really holds, per device: the engine's own account, or its log where that cannot be read."""

import ctypes
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from carryon.engine.protocol import DeviceKind, DeviceMemory
from carryon.worker.capi import symbol
from carryon.worker.devices import Device

_MIB = 1024 * 1024
_BREAKDOWN = "_Z26llama_get_memory_breakdownPK13llama_context"
_SIZE_LINE = re.compile(r"(\S+)\s+(model|KV|RS|compute|output) buffer size\s*=\s*([\d.]+) MiB")
_HOST_BUFFERS = re.compile(r"CPU|.*_Host$|AMX$|BLAS")  # buffer types that are plain RAM, whoever allocates them


@dataclass(frozen=True)
class Use:
    """Bytes by purpose; recurrent state counts as KV, for it is the same to a reader: the memory of the chat."""

    weights_bytes: int = 0
    kv_bytes: int = 0
    compute_bytes: int = 0
    output_bytes: int = 0

    def __add__(self, other: "Use") -> "Use":
        return Use(
            self.weights_bytes + other.weights_bytes,
            self.kv_bytes + other.kv_bytes,
            self.compute_bytes + other.compute_bytes,
            self.output_bytes + other.output_bytes,
        )


_PURPOSES = {"model": "weights_bytes", "KV": "kv_bytes", "RS": "kv_bytes", "compute": "compute_bytes",
             "output": "output_bytes"}


def memory_per_device(context: Any, devices: Iterable[Device], log_lines: Iterable[str]) -> tuple[DeviceMemory, ...]:
    """One entry for every device the engine knows, the CPU first; zeros where nothing lies."""
    logged = uses_from_log(log_lines)
    exact = breakdown(context)
    return assigned(devices, logged if exact is None else _with_outputs(exact, logged))


def assigned(devices: Iterable[Device], uses: Mapping[str, Use]) -> tuple[DeviceMemory, ...]:
    """Sums buffer types up by device. A type that belongs to none of them is an entry of its own: no byte is lost."""
    known = _cpu_first(devices)
    homeless = [name for name, use in uses.items() if use != Use() and not any(_lies_on(one, name) for one in known)]
    return (
        *(_entry(device, uses) for device in known),
        *(DeviceMemory(name, "", DeviceKind.OTHER, **asdict(uses[name])) for name in homeless),
    )


def uses_from_log(lines: Iterable[str]) -> dict[str, Use]:
    """Buffer type -> use, by the "... buffer size" lines of a load: portable, to 0.01 MiB."""
    uses: dict[str, Use] = {}
    for name, purpose, size in (match.groups() for line in lines for match in _SIZE_LINE.finditer(line)):
        uses[name] = uses.get(name, Use()) + Use(**{_PURPOSES[purpose]: round(float(size) * _MIB)})
    return uses


def breakdown(context: Any) -> dict[str, Use] | None:
    """Buffer type -> use, exact to the byte; None where the C++ map cannot be walked (not libstdc++) .

    llama_get_memory_breakdown (llama-ext.h) answers a std::map<buffer type, {model, context, compute}> by value.
    libstdc++ keeps a red-black tree: header {colour, parent = root, left, right}, count; node: left at 16, right at 24,
    key at 32, the three sizes at 40, 48, 56. Checked against the log of real loads in tests/worker.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        read = symbol(_BREAKDOWN, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    except AttributeError:
        return None
    header = (ctypes.c_uint64 * 6)()
    read(ctypes.addressof(header), context)
    return dict(_walk(header[2]))


def total(uses: Iterable[Use]) -> Use:
    """The sum of several."""
    return sum(uses, start=Use())


def is_host(buffer_type: str) -> bool:
    """Whether a buffer type such as CPU_Mapped, CPU_REPACK or CUDA_Host is plain RAM."""
    return _HOST_BUFFERS.match(buffer_type) is not None


def _walk(node: int) -> Iterable[tuple[str, Use]]:
    if not node:
        return
    words = (ctypes.c_uint64 * 8).from_address(node)
    yield from _walk(words[2])
    name = symbol("ggml_backend_buft_name", ctypes.c_char_p, ctypes.c_void_p)(words[4]).decode()
    yield name, Use(weights_bytes=words[5], kv_bytes=words[6], compute_bytes=words[7])
    yield from _walk(words[3])


def _with_outputs(exact: Mapping[str, Use], logged: Mapping[str, Use]) -> dict[str, Use]:
    """The account leaves the output buffer out; only the log has it."""
    names = [*exact, *(name for name in logged if name not in exact)]
    return {name: replace(exact.get(name, Use()), output_bytes=logged.get(name, Use()).output_bytes) for name in names}


def _entry(device: Device, buffers: Mapping[str, Use]) -> DeviceMemory:
    use = total(use for name, use in buffers.items() if _lies_on(device, name))
    return DeviceMemory(device.name, device.description, device.kind, **asdict(use))


def _lies_on(device: Device, buffer_type: str) -> bool:
    """RPC's buffer types are called RPC0[host:port]; split buffers of a GPU CUDA0_Split."""
    if device.kind is DeviceKind.CPU:
        return is_host(buffer_type)
    if is_host(buffer_type):
        return False
    return re.split(r"[\[_]", buffer_type)[0] == device.name


def _cpu_first(devices: Iterable[Device]) -> list[Device]:
    known = [device for device in devices if device.kind is not DeviceKind.OTHER]
    return sorted(known, key=lambda device: device.kind is not DeviceKind.CPU)
