"""What a loaded model really holds, per device: the engine's own account, or its log where that cannot be read."""

import ctypes
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from carryon.engine.protocol import DeviceKind, DeviceMemory
from carryon.worker.capi import L, symbol
from carryon.worker.devices import Device
from carryon.worker.llama import Context, Model

_MIB = 1024 * 1024
_LOG_ROUNDS_BYTES = _MIB // 100
_MAPPED = "_Mapped"
_BUFFER_OFFSET = 8  # ggml_tensor of ggml.h: its type, then its buffer
_TENSOR_MAP = "_Z29llama_internal_get_tensor_mapB5cxx11PK11llama_model"
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

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.output_bytes

    def __add__(self, other: "Use") -> "Use":
        return Use(
            self.weights_bytes + other.weights_bytes,
            self.kv_bytes + other.kv_bytes,
            self.compute_bytes + other.compute_bytes,
            self.output_bytes + other.output_bytes,
        )


_PURPOSES = {"model": "weights_bytes", "KV": "kv_bytes", "RS": "kv_bytes", "compute": "compute_bytes",
             "output": "output_bytes"}


def memory_per_device(
    model: Model, context: Context, devices: Iterable[Device], log_lines: Iterable[str]
) -> tuple[DeviceMemory, ...]:
    """One entry for every device the engine knows, the CPU first; zeros where nothing lies. Of a load or of a plan."""
    lines = list(log_lines)
    uses = _with_true_output(uses_from_log(lines), lines, _output_bytes(model, context))
    exact = breakdown(context.handle)
    if exact is None:
        return assigned(devices, without_copied(uses, model.size_bytes))
    return assigned(devices, _with_outputs(_with_true_weights(exact, model), uses))


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


def has_account() -> bool:
    """Whether the engine's account can be read: its C++ values are laid out as libstdc++ does, as a name of it tells.

    Elsewhere a load is known by its log; a plan is not, for its log calls every buffer of weights empty.
    """
    try:
        symbol(_BREAKDOWN, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        symbol(_TENSOR_MAP, ctypes.c_void_p, ctypes.c_void_p)  # B5cxx11 is libstdc++'s own mark
    except AttributeError:
        return False
    return sys.platform.startswith("linux")


def without_copied(logged: Mapping[str, Use], model_bytes: int) -> dict[str, Use]:
    """What the log calls mapped is the range from the first tensor to the last; repacked ones in it lie elsewhere.

    As far as that is known: together they are not more than the model.
    """
    own = total(use for name, use in logged.items() if is_host(name) and not name.endswith(_MAPPED)).weights_bytes
    mapped = logged.get("CPU" + _MAPPED, Use())
    if mapped.weights_bytes + own <= model_bytes:
        return dict(logged)
    return {**logged, "CPU" + _MAPPED: replace(mapped, weights_bytes=max(0, mapped.weights_bytes - own))}


def breakdown(context: Any) -> dict[str, Use] | None:
    """Buffer type -> use, exact to the byte; None where the C++ map cannot be walked (not libstdc++).

    llama_get_memory_breakdown (llama-ext.h) answers a std::map<buffer type, {model, context, compute}> by value.
    libstdc++ keeps a red-black tree: header {colour, parent = root, left, right}, count; node: left at 16, right at 24,
    key at 32, the three sizes at 40, 48, 56. Checked against the log of real loads in tests/worker.
    """
    if not has_account():
        return None
    read = symbol(_BREAKDOWN, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
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


def _with_true_output(logged: dict[str, Use], lines: Iterable[str], n_bytes: int) -> dict[str, Use]:
    """The output buffer to the byte, which the log rounds. Where it says another size altogether, it is right."""
    holders = {match[1] for line in lines for match in _SIZE_LINE.finditer(line) if match[2] == "output"}
    return {name: replace(use, output_bytes=n_bytes)
            if name in holders and abs(use.output_bytes - n_bytes) <= _LOG_ROUNDS_BYTES else use
            for name, use in logged.items()}


def _output_bytes(model: Model, context: Context) -> int:
    """A float for every word and sequence (llama_context::output_reserve; T5 keeps embeddings as well)."""
    return int(4 * model.vocabulary.size * L.llama_n_seq_max(context.handle))


def _with_true_weights(exact: Mapping[str, Use], model: Model) -> dict[str, Use]:
    """Of a mapped file the engine counts the range from the first tensor to the last, whoever holds what is between.

    What lies there is the sum of the tensors that lie there, as it would be without the map.
    """
    if not any(name.endswith(_MAPPED) for name in exact):
        return dict(exact)
    held = _mapped_bytes(model)
    return {name: replace(use, weights_bytes=held.get(name, 0)) if name.endswith(_MAPPED) else use
            for name, use in exact.items()}


def _mapped_bytes(model: Model) -> dict[str, int]:
    """Buffer type -> the sum of its tensors, padded as the engine pads them when it allocates."""
    type_of = symbol("ggml_backend_buffer_get_type", ctypes.c_void_p, ctypes.c_void_p)
    name_of = symbol("ggml_backend_buft_name", ctypes.c_char_p, ctypes.c_void_p)
    alignment_of = symbol("ggml_backend_buft_get_alignment", ctypes.c_size_t, ctypes.c_void_p)
    size_of = symbol("ggml_backend_buft_get_alloc_size", ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p)
    held: dict[str, int] = {}
    for tensor in _tensors(model):
        kind = type_of(ctypes.c_void_p.from_address(tensor + _BUFFER_OFFSET).value)
        name, alignment = name_of(kind).decode(), alignment_of(kind)
        held[name] = held.get(name, 0) + -(-size_of(kind, tensor) // alignment) * alignment
    return held


def _tensors(model: Model) -> Iterable[int]:
    """Addresses of the model's tensors: llama_internal_get_tensor_map, a std::vector<pair<std::string, tensor *>>.

    libstdc++: a vector begins with its first and its last address; a string takes 32 bytes, so a pair takes 40.
    """
    tensors = symbol(_TENSOR_MAP, ctypes.c_void_p, ctypes.c_void_p)(model.handle)
    first, last = (ctypes.c_uint64 * 2).from_address(tensors)
    return (ctypes.c_uint64.from_address(pair + 32).value for pair in range(first, last, 40))


def _entry(device: Device, buffers: Mapping[str, Use]) -> DeviceMemory:
    held = {name: use for name, use in buffers.items() if _lies_on(device, name)}
    # what a GPU maps (Metal) is pinned while it works
    mapped = total(use for name, use in held.items() if name.endswith(_MAPPED) and is_host(name)).weights_bytes
    return DeviceMemory(
        device.name, device.description, device.kind, **asdict(total(held.values())), mapped_bytes=mapped
    )


def _lies_on(device: Device, buffer_type: str) -> bool:
    """Split buffers of a GPU are called CUDA0_Split; those of an RPC server have a name of their own."""
    if device.kind is DeviceKind.CPU:
        return is_host(buffer_type)
    if is_host(buffer_type):
        return False
    if device.buffer_type:
        return buffer_type == device.buffer_type
    return buffer_type.split("_")[0] == device.name


def _cpu_first(devices: Iterable[Device]) -> list[Device]:
    known = [device for device in devices if device.kind is not DeviceKind.OTHER]
    return sorted(known, key=lambda device: device.kind is not DeviceKind.CPU)
