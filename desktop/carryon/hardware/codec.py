"""A machine as JSON and back: what `carryon machine --json` prints and what the engine's child answers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from carryon.hardware.machine import (
    Cpu,
    DeviceKind,
    EngineDevice,
    EngineDevices,
    Gpu,
    GpuProcess,
    Machine,
    Memory,
    Vendor,
)

Fields = Mapping[str, Any]
Value = TypeVar("Value")


class NotUnderstood(ValueError):
    """The text is not what it should be."""


def encode_machine(machine: Machine) -> str:
    """Indented JSON with the field names of the values; unknown is null."""
    return json.dumps(asdict(machine), indent=2)


def decode_machine(text: str) -> Machine:
    """The machine that `encode_machine` wrote; raises NotUnderstood."""
    return _understood(text, _machine)


def decode_engine_devices(line: bytes) -> EngineDevices:
    """The answer of `carryon.worker.devices`, one line of JSON; raises NotUnderstood."""
    return _understood(line, _engine)


def _understood(text: str | bytes, build: Callable[[Fields], Value]) -> Value:
    try:
        return build(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotUnderstood(str(error)) from error


def _machine(fields: Fields) -> Machine:
    return Machine(**{
        **fields,
        "cpu": _cpu(fields["cpu"]),
        "ram": Memory(**fields["ram"]),
        "gpus": tuple(_gpu(one) for one in fields["gpus"]),
        "engine": fields["engine"] and _engine(fields["engine"]),
        "problems": tuple(fields["problems"]),
    })


def _cpu(fields: Fields) -> Cpu:
    return Cpu(**{**fields, "instruction_sets": tuple(fields["instruction_sets"])})


def _gpu(fields: Fields) -> Gpu:
    processes = tuple(GpuProcess(**one) for one in fields["processes"])
    return Gpu(**{**fields, "vendor": Vendor(fields["vendor"]), "processes": processes})


def _engine(fields: Fields) -> EngineDevices:
    devices = tuple(_device(one) for one in fields["devices"])
    return EngineDevices(_text(fields["engine"]), bool(fields["supports_rpc"]), devices)


def _device(fields: Fields) -> EngineDevice:
    return EngineDevice(
        name=_text(fields["name"]),
        description=_text(fields["description"]),
        kind=DeviceKind(fields["kind"]),
        free_bytes=_size(fields["free_bytes"]),
        total_bytes=_size(fields["total_bytes"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text was expected")
    return value


def _size(value: Any) -> int | None:
    if value is None or (type(value) is int and value >= 0):
        return value
    raise TypeError("a size in bytes was expected")
