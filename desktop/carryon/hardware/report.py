"""A machine in words: sections of rows, for `carryon machine` and for the machine card in the window."""

import textwrap
from collections.abc import Iterator

from carryon.base.units import NOT_MEASURED, memory_text
from carryon.hardware.machine import Cpu, DeviceKind, EngineDevice, EngineDevices, Gpu, GpuProcess, Machine, Memory

Row = tuple[str, str]                     # a label and its value; an empty label continues the row above
Section = tuple[str, list[Row]]           # a title and its rows

_LABEL_WIDTH = 14
_LINE_WIDTH = 100
_SHOWN_PROCESSES = 5
_KINDS = {
    DeviceKind.CPU: "processor", DeviceKind.GPU: "GPU", DeviceKind.IGPU: "integrated GPU",
    DeviceKind.RPC: "another machine", DeviceKind.OTHER: "other",
}


def report(machine: Machine) -> str:
    """The machine for people: sections of aligned lines."""
    blocks = [_section(title, rows) for title, rows in sections(machine)]
    if machine.problems:
        blocks.append("\n".join(("Problems", *(_wrapped("  ! ", one) for one in machine.problems))))
    return "\n\n".join(blocks)


def sections(machine: Machine) -> list[Section]:
    """The same as titles and rows; `machine.problems` stand beside them."""
    return [("Machine", _machine_rows(machine)), *_gpu_sections(machine), ("Engine", _engine_rows(machine))]


def _section(title: str, rows: list[Row]) -> str:
    return "\n".join((title, *(_wrapped(f"  {label:<{_LABEL_WIDTH}}", value) for label, value in rows)))


def _wrapped(start: str, text: str) -> str:
    return textwrap.fill(
        text, _LINE_WIDTH, initial_indent=start, subsequent_indent=" " * len(start),
        break_long_words=False, break_on_hyphens=False,
    )


def _machine_rows(machine: Machine) -> list[Row]:
    return [
        ("System", machine.os_name),
        ("Processor", machine.cpu.name or NOT_MEASURED),
        ("Cores", _cores_text(machine.cpu)),
        ("Instructions", ", ".join(machine.cpu.instruction_sets) or NOT_MEASURED),
        ("Memory", _ram_text(machine)),
        ("Swap", _swap_text(machine.ram)),
    ]


def _cores_text(cpu: Cpu) -> str:
    fast = f" ({cpu.performance_cores} of them fast)" if cpu.performance_cores else ""
    return f"{cpu.physical_cores or NOT_MEASURED} physical{fast}, {cpu.logical_cores or NOT_MEASURED} logical"


def _ram_text(machine: Machine) -> str:
    ram = machine.ram
    limit = ", which is what this container may use" if ram.is_container_limit else ""
    shared = ", shared with the GPU" if machine.is_unified_memory else ""
    return f"{memory_text(ram.available_bytes)} free of {memory_text(ram.total_bytes)}{limit}{shared}"


def _swap_text(ram: Memory) -> str:
    if ram.swap_total_bytes == 0:
        return "none"
    return _free_text(ram.swap_free_bytes, ram.swap_total_bytes)


def _free_text(free_bytes: int | None, total_bytes: int | None) -> str:
    """'6.9 GB free of 8.6 GB', as far as it is known."""
    if total_bytes is None:
        return NOT_MEASURED
    if free_bytes is None:
        return f"{memory_text(total_bytes)}, how much is free is not known"
    return f"{memory_text(free_bytes)} free of {memory_text(total_bytes)}"


def _gpu_sections(machine: Machine) -> list[tuple[str, list[Row]]]:
    if not machine.gpus:
        return [("Graphics", [("Cards", "none found that can run models")])]
    return [(f"Graphics: {gpu.name}", list(_gpu_rows(gpu))) for gpu in machine.gpus]


def _gpu_rows(gpu: Gpu) -> Iterator[Row]:
    yield "Kind", "integrated, works in the main memory" if gpu.is_integrated else "graphics card with its own memory"
    yield "Memory", _free_text(gpu.free_bytes, gpu.total_bytes)
    if gpu.shared_bytes:
        yield "Shared", f"up to {memory_text(gpu.shared_bytes)} of the main memory"
    if gpu.driver:
        yield "Driver", gpu.driver
    if gpu.compute_capability:
        yield "Compute", f"capability {gpu.compute_capability}"
    if gpu.drives_display:
        yield "Screen", "drives a screen, which takes some of its memory"
    yield from _process_rows(gpu.processes)


def _process_rows(processes: tuple[GpuProcess, ...]) -> Iterator[Row]:
    for index, one in enumerate(processes[:_SHOWN_PROCESSES]):
        size = memory_text(one.used_bytes)
        yield "Used by" if index == 0 else "", f"{one.name or 'a program'} (process {one.pid}): {size}"
    if len(processes) > _SHOWN_PROCESSES:
        yield "", f"and {len(processes) - _SHOWN_PROCESSES} more"


def _engine_rows(machine: Machine) -> list[Row]:
    engine = machine.engine
    if engine is None:
        return [("Answer", "none, see below" if machine.problems else "not asked")]
    rows = [("Build", engine.engine), ("Network", _rpc_text(engine)), *(_device_row(one) for one in engine.devices)]
    if not engine.gpus:
        rows.append(("GPU", "none that this engine can use: models run on the processor"))
    return rows


def _rpc_text(engine: EngineDevices) -> str:
    return "can use other machines (RPC)" if engine.supports_rpc else "cannot use other machines (built without RPC)"


def _device_row(device: EngineDevice) -> Row:
    memory = "" if device.kind is DeviceKind.CPU else f", {_free_text(device.free_bytes, device.total_bytes)}"
    return device.name, f"{_KINDS[device.kind]}, {device.description}{memory}"
