"""Another machine from a file: what `carryon machine --json` printed there, or in short an RTX 4090 and 64 GB."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from carryon.base.errors import BadInput
from carryon.base.files import disk_errors
from carryon.base.units import MEMORY_GB
from carryon.hardware.codec import NotUnderstood, decode_machine
from carryon.hardware.machine import DeviceKind, EngineDevice, EngineDevices, Machine
from carryon.hardware.parts import machine_with

LARGEST_FILE_BYTES = 1 << 20
_LARGEST_MEMORY_BYTES = 1 << 50  # a petabyte: beyond it a number is a slip of the pen
_HINT = (
    'Write the file with “carryon machine --json” on that machine, or by hand: {"gpus": ["RTX 4090"], "ram_gb": 64}.'
)


def read_machine_file(path: Path) -> Machine:
    """The machine that a file describes. Raises BadInput, saying what is wrong with it."""
    name = path.name
    if path.is_dir():
        raise BadInput(f"“{path}” is a folder, not a machine file.", _HINT)
    if path.exists() and not path.is_file():
        raise BadInput(f"“{path}” is no file with text in it.", _HINT)
    if not path.is_file():
        raise BadInput(f"There is no machine file “{path}”.", _HINT)
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise BadInput(f"{name} is far too large for a machine file.", _HINT)
    with disk_errors(path):
        text = path.read_bytes().decode("utf-8", "replace")
    return _usable(_machine(text, name), name)


def _machine(text: str, name: str) -> Machine:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not JSON.", _HINT) from error
    if not isinstance(fields, dict):
        raise BadInput(f"{name} does not describe a machine.", _HINT)
    if "ram_gb" in fields:
        return _short(fields, name)
    for where, size in _sizes(fields):
        _check_size(where, size, name)
    try:
        return decode_machine(text)
    except NotUnderstood as error:
        raise BadInput(f"{name} does not describe a machine ({_missing(error)}).", _HINT) from error


def _missing(error: NotUnderstood) -> str:
    """A KeyError's text is the name of what is missing, in quotes."""
    words = str(error)
    return f"{words} is missing" if words.startswith("'") else "a field is not what it should be"


def _short(fields: dict[str, Any], name: str) -> Machine:
    gpus, ram_gb = fields.get("gpus", []), fields["ram_gb"]
    if not isinstance(gpus, list) or not all(isinstance(gpu, str) for gpu in gpus):
        raise BadInput(f"“gpus” in {name} is not a list of names.", _HINT)
    if _is_no_number(ram_gb):
        raise BadInput(f"“ram_gb” in {name} is not a number.", _HINT)
    _check_size("ram_gb", ram_gb * MEMORY_GB, name)
    return machine_with(gpus, round(ram_gb * MEMORY_GB))


def _sizes(fields: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every size in bytes of the file with its place, such as 'ram.total_bytes'."""
    if isinstance(fields, dict):
        for key, value in fields.items():
            place = f"{where}.{key}" if where else str(key)
            if str(key).endswith("_bytes"):
                yield place, value
            else:
                yield from _sizes(value, place)
    elif isinstance(fields, list):
        for index, value in enumerate(fields):
            yield from _sizes(value, f"{where}[{index}]")


def _check_size(where: str, size: Any, name: str) -> None:
    if size is None:
        return
    if _is_no_number(size):
        raise BadInput(f"“{where}” in {name} is not a number.", _HINT)
    if size < 0:
        raise BadInput(f"“{where}” in {name} is negative; no machine has less than no memory.", _HINT)
    if not size <= _LARGEST_MEMORY_BYTES:
        raise BadInput(f"“{where}” in {name} is larger than any machine's memory.", _HINT)


def _is_no_number(value: Any) -> bool:
    """NaN, which Python's reader of JSON lets pass, says so itself."""
    return isinstance(value, bool) or not isinstance(value, int | float) or value != value


def _usable(machine: Machine, name: str) -> Machine:
    """Checks what a plan needs, and gives a report without an engine the devices that its drivers saw."""
    if not machine.ram.total_bytes:
        raise BadInput(f"The machine in {name} has no RAM.", _HINT)
    if machine.ram.available_bytes > machine.ram.total_bytes:
        raise BadInput(f"The machine in {name} has more RAM free than it has at all.", _HINT)
    if machine.engine is not None or not machine.gpus:
        return machine
    gpus = tuple(
        EngineDevice(f"GPU{index}", gpu.name, DeviceKind.IGPU if gpu.is_integrated else DeviceKind.GPU,
                     gpu.free_bytes, gpu.total_bytes)
        for index, gpu in enumerate(machine.gpus)
    )  # fmt: skip
    return replace(machine, engine=EngineDevices("not asked", supports_rpc=False, devices=gpus))
