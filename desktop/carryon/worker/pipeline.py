"""What llama.cpp's plan counts too much where several devices work in a pipeline, found in its own log.

Where all layers lie on two or more devices, each has four copies of its inputs, so that one can begin while another
still works. A context puts the first norm of a layer on the layer's own device (graph_get_cb of llama-context.cpp).
Of a plan, ggml_backend_sched_reserve_size forgets that before it measures: the norm then runs on the device before,
and its result is counted as one more input, four times. The passes after it know again; both stand in the log.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from carryon.engine.protocol import DeviceMemory
from carryon.worker.devices import Device

SPLIT_LINES = re.compile(r"^## SPLIT #")
_SPLIT = re.compile(r"^## SPLIT #\d+: (?P<device>\S+) # \d+ inputs: (?P<inputs>.*)")
_NORM = re.compile(r"\[(norm-\d+) \(")
_COPIES = re.compile(r"sched copies = (\d+)")


def tell_splits() -> None:
    """Makes the engine log which device computes what; before its first context."""
    os.environ["GGML_SCHED_DEBUG"] = "1"


def without_forgotten_norms(
    memory: Iterable[DeviceMemory], devices: Iterable[Device], lines: Sequence[str], norm_bytes: int
) -> tuple[DeviceMemory, ...]:
    """The plan with compute buffers as a load has them; `norm_bytes` is one norm of the largest batch."""
    n_copies = max((int(match[1]) for line in lines if (match := _COPIES.search(line))), default=1)
    if n_copies == 1:
        return tuple(memory)
    surplus = {device.name: n_copies * norm_bytes * _forgotten(device, lines) for device in devices}
    return tuple(replace(one, compute_bytes=one.compute_bytes - surplus.get(one.name, 0)) for one in memory)


def _forgotten(device: Device, lines: Iterable[str]) -> int:
    """How many norms some pass brought to this device as inputs, and the last pass did not."""
    name = device.buffer_type or device.name
    passes = [set(_NORM.findall(match["inputs"])) for line in lines
              if (match := _SPLIT.match(line)) and match["device"] == name]
    return len(set().union(*passes) - passes[-1]) if passes else 0
