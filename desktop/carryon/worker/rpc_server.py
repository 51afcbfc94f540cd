"""Lends this machine's CPU or GPUs to engines on other machines: llama.cpp's RPC server, on loopback only.

Its protocol has neither authentication nor encryption (llama.cpp SECURITY.md), so it is never bound wider:
other machines come through a tunnel that brings both. Ends when its stdin ends.
"""

import argparse
import ctypes
import os

from carryon.worker import tie
from carryon.worker.capi import symbol
from carryon.worker.devices import Device, list_devices, supports_rpc

_NO_RPC = "This build of the engine has no RPC: it was compiled without GGML_RPC."


def main() -> None:
    """Serves until the parent ends."""
    asked = _arguments()
    tie.take_stdout()
    tie.die_quietly()
    tie.end_with_parent()
    if not supports_rpc():
        raise SystemExit(_NO_RPC)
    _serve(asked.port, asked.threads or os.cpu_count() or 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carryon.worker.rpc_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, help="compute threads; default: every core")
    return parser.parse_args()


def _serve(port: int, n_threads: int) -> None:
    lent = _lent(list_devices())
    handles = (ctypes.c_void_p * len(lent))(*(device.handle for device in lent))
    start = symbol(
        "ggml_backend_rpc_start_server", None,
        ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p,
    )
    start(f"127.0.0.1:{port}".encode(), None, n_threads, len(lent), handles)


def _lent(devices: list[Device]) -> list[Device]:
    """The GPUs, or the CPU where there is none."""
    return [device for device in devices if device.takes_layers] or devices[:1]


if __name__ == "__main__":
    main()
