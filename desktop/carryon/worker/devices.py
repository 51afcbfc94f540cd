"""The devices that the engine sees: CPU, GPUs, and llama.cpp RPC servers on other machines.

Run as a program it prints them as one line of JSON, with --rpc HOST:PORT those of another machine too;
a driver that crashes, or a peer that talks nonsense, takes only that child along.
"""

import argparse
import ctypes
import json
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from carryon.engine.protocol import DeviceKind
from carryon.worker import tie
from carryon.worker.capi import L, symbol, version

_KINDS = (DeviceKind.CPU, DeviceKind.GPU, DeviceKind.IGPU, DeviceKind.OTHER, DeviceKind.OTHER)  # ggml_backend_dev_type
_RPC = b"RPC"
_ANSWER_S = 3.0
_TRIAL_S = 6.0


class RpcUnreachable(Exception):
    """No RPC server answers at this endpoint."""

    def __init__(self, endpoint: str, why: str) -> None:
        super().__init__(why)
        self.endpoint = endpoint


@dataclass(frozen=True)
class Device:
    """One device as ggml describes it."""

    handle: int
    name: str
    description: str
    kind: DeviceKind
    buffer_type: str = ""  # what its memory is called, where that is not the device's name

    @property
    def takes_layers(self) -> bool:
        return self.kind in (DeviceKind.GPU, DeviceKind.IGPU, DeviceKind.RPC)


def list_devices() -> list[Device]:
    """Every device of this build, and of the machines that connect_rpc added before."""
    count = symbol("ggml_backend_dev_count", ctypes.c_size_t)
    get = symbol("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    return [_device(get(index)) for index in range(count())]


def memory_of(device: Device) -> tuple[int, int]:
    """Free and total bytes. For the CPU, free is not what is free: ask psutil.

    Asking a CUDA device opens it, which alone takes some hundred megabytes of its memory.
    """
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ask = symbol("ggml_backend_dev_memory", None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    ask(device.handle, ctypes.byref(free), ctypes.byref(total))
    return free.value, total.value


def supports_rpc() -> bool:
    """Whether this build of the engine can use other machines."""
    return bool(L.llama_supports_rpc())


def connect_rpc(endpoints: Iterable[str]) -> None:
    """Adds the devices of each "host:port". Raises RpcUnreachable.

    llama.cpp aborts the process when a peer talks nonsense and waits for ever when it is silent,
    so each one is knocked at first, and then tried out in a child.
    """
    for endpoint in endpoints:
        _knock(endpoint)
        _try_out(endpoint)
        _add(endpoint)


def _add(endpoint: str) -> None:
    server = _add_server(endpoint)
    if not server:
        raise RpcUnreachable(endpoint, "the server speaks another RPC version or has no device")
    symbol("ggml_backend_register", None, ctypes.c_void_p)(server)


def _knock(endpoint: str) -> None:
    try:
        host, _, port = endpoint.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise RpcUnreachable(endpoint, str(error)) from error


def _try_out(endpoint: str) -> None:
    command = [sys.executable, "-P", "-m", "carryon.worker.devices", "--rpc", endpoint]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TRIAL_S, check=True)
    except subprocess.TimeoutExpired as error:
        raise RpcUnreachable(endpoint, "it does not answer, or it serves another engine") from error
    except subprocess.CalledProcessError as error:
        raise RpcUnreachable(endpoint, "it is no RPC server of this engine's version") from error


def _add_server(endpoint: str) -> int | None:
    registry = symbol("ggml_backend_reg_by_name", ctypes.c_void_p, ctypes.c_char_p)(_RPC)
    find = symbol("ggml_backend_reg_get_proc_address", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    add = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)(find(registry, b"ggml_backend_rpc_add_server"))
    server: int | None = add(endpoint.encode())
    return server


def _device(handle: int) -> Device:
    kind = symbol("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)(handle)
    is_rpc = _backend(handle) == _RPC.decode()
    return Device(
        handle=handle,
        name=_text(symbol("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)(handle)),
        description=_text(symbol("ggml_backend_dev_description", ctypes.c_char_p, ctypes.c_void_p)(handle)),
        kind=DeviceKind.RPC if is_rpc else _KINDS[kind],
        buffer_type=_buffer_type(handle) if is_rpc else "",
    )


def _buffer_type(handle: int) -> str:
    """RPC0[host:port]: the number counts the devices of that server, the one in the device's name those of all."""
    buffer_type = symbol("ggml_backend_dev_buffer_type", ctypes.c_void_p, ctypes.c_void_p)(handle)
    return _text(symbol("ggml_backend_buft_name", ctypes.c_char_p, ctypes.c_void_p)(buffer_type))


def _backend(handle: int) -> str:
    """The name of the backend; each RPC server has a registry of its own, called RPC[host:port]."""
    registry = symbol("ggml_backend_dev_backend_reg", ctypes.c_void_p, ctypes.c_void_p)(handle)
    return _text(symbol("ggml_backend_reg_name", ctypes.c_char_p, ctypes.c_void_p)(registry)).split("[")[0]


def _text(value: Any) -> str:
    return (value or b"").decode("utf-8", "replace").strip()


def _report() -> dict[str, Any]:
    devices = [_told(device) for device in list_devices()]
    return {"engine": f"llama.cpp {version()}", "supports_rpc": supports_rpc(), "devices": devices}


def _told(device: Device) -> dict[str, Any]:
    free_bytes, total_bytes = memory_of(device)
    return {"name": device.name, "description": device.description, "kind": device.kind,
            "free_bytes": free_bytes, "total_bytes": total_bytes}


def main() -> None:
    """Prints what the engine sees and ends."""
    parser = argparse.ArgumentParser(prog="carryon.worker.devices", description=__doc__)
    parser.add_argument("--rpc", metavar="HOST:PORT", help="the devices of this llama.cpp RPC server too")
    endpoint = parser.parse_args().rpc
    out = tie.take_stdout()
    tie.die_quietly()
    if endpoint:
        _add(endpoint)
    out.write(json.dumps(_report()).encode() + b"\n")


if __name__ == "__main__":
    main()
