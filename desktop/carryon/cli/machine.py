"""`carryon machine`: what this machine has for running models, as a report for people or as JSON."""

import argparse
import textwrap
from collections.abc import Callable, Iterator

from carryon.base.units import NOT_MEASURED, bytes_text
from carryon.hardware.codec import encode_machine
from carryon.hardware.machine import Cpu, DeviceKind, EngineDevice, EngineDevices, Gpu, GpuProcess, Machine, Memory
from carryon.hardware.probe import probe

Row = tuple[str, str]                     # a label and its value; an empty label continues the row above

_DESCRIPTION = """\
Shows what this machine has for running models: processor, memory, graphics cards,
and which of them the installed engine can really use. What is wrong (a graphics
driver that does not work, for example) stands at the end, with the next step.
Nothing is changed and nothing is sent anywhere.
"""
_EXAMPLES = """\
examples:
  carryon machine                       the report
  carryon machine --json                the same as JSON, sizes in bytes, unknown is null
  carryon machine --json > report.json  to attach to a bug report
"""
_LABEL_WIDTH = 14
_LINE_WIDTH = 100
_SHOWN_PROCESSES = 5
_KINDS = {
    DeviceKind.CPU: "processor", DeviceKind.GPU: "GPU", DeviceKind.IGPU: "integrated GPU",
    DeviceKind.RPC: "another machine", DeviceKind.OTHER: "other",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Registers the command."""
    parser = subparsers.add_parser(
        "machine",
        help="show processor, memory, graphics cards and what the engine can use",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, ask: Callable[[], Machine] = probe) -> int:
    """Prints the report; what is wrong with the machine is part of the report, so the exit code is 0."""
    machine = ask()
    print(encode_machine(machine) if arguments.json else report(machine))
    return 0


def report(machine: Machine) -> str:
    """The machine for people: sections of aligned lines."""
    sections = [("Machine", _machine_rows(machine)), *_gpu_sections(machine), ("Engine", _engine_rows(machine))]
    blocks = [_section(title, rows) for title, rows in sections]
    if machine.problems:
        blocks.append("\n".join(("Problems", *(_wrapped("  ! ", one) for one in machine.problems))))
    return "\n\n".join(blocks)


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
        ("Memory", _memory_text(machine)),
        ("Swap", _swap_text(machine.ram)),
    ]


def _cores_text(cpu: Cpu) -> str:
    fast = f" ({cpu.performance_cores} of them fast)" if cpu.performance_cores else ""
    return f"{cpu.physical_cores or NOT_MEASURED} physical{fast}, {cpu.logical_cores or NOT_MEASURED} logical"


def _memory_text(machine: Machine) -> str:
    ram = machine.ram
    limit = ", which is what this container may use" if ram.is_container_limit else ""
    shared = ", shared with the GPU" if machine.is_unified_memory else ""
    return f"{bytes_text(ram.available_bytes)} free of {bytes_text(ram.total_bytes)}{limit}{shared}"


def _swap_text(ram: Memory) -> str:
    if ram.swap_total_bytes == 0:
        return "none"
    return _free_text(ram.swap_free_bytes, ram.swap_total_bytes)


def _free_text(free_bytes: int | None, total_bytes: int | None) -> str:
    """'6.9 GB free of 8.6 GB', as far as it is known."""
    if total_bytes is None:
        return NOT_MEASURED
    if free_bytes is None:
        return f"{bytes_text(total_bytes)}, how much is free is not known"
    return f"{bytes_text(free_bytes)} free of {bytes_text(total_bytes)}"


def _gpu_sections(machine: Machine) -> list[tuple[str, list[Row]]]:
    if not machine.gpus:
        return [("Graphics", [("Cards", "none found that can run models")])]
    return [(f"Graphics: {gpu.name}", list(_gpu_rows(gpu))) for gpu in machine.gpus]


def _gpu_rows(gpu: Gpu) -> Iterator[Row]:
    yield "Kind", "integrated, works in the main memory" if gpu.is_integrated else "graphics card with its own memory"
    yield "Memory", _free_text(gpu.free_bytes, gpu.total_bytes)
    if gpu.shared_bytes:
        yield "Shared", f"up to {bytes_text(gpu.shared_bytes)} of the main memory"
    if gpu.driver:
        yield "Driver", gpu.driver
    if gpu.compute_capability:
        yield "Compute", f"capability {gpu.compute_capability}"
    if gpu.drives_display:
        yield "Screen", "drives a screen, which takes some of its memory"
    yield from _process_rows(gpu.processes)


def _process_rows(processes: tuple[GpuProcess, ...]) -> Iterator[Row]:
    for index, one in enumerate(processes[:_SHOWN_PROCESSES]):
        size = bytes_text(one.used_bytes)
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
