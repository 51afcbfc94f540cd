"""How fast a model answers and reads: bytes per token over bandwidth, plus a fixed cost per layer."""

from dataclasses import dataclass
from enum import StrEnum


class Basis(StrEnum):
    """What a speed is known from, from the best to the worst."""

    MEASURED = "measured"  # this machine answered with such a model
    PROBED = "probed"  # the memory's bandwidth was measured here
    PARTS = "parts"  # from the published figures of the parts
    GUESSED = "guessed"  # an unknown part: a cautious prior


@dataclass(frozen=True)
class DeviceSpeed:
    """What decides the speed on one device."""

    name: str  # as Room.name
    weights_bytes_per_s: float  # effective, for weights read at decode
    kv_bytes_per_s: float  # effective, for the KV cache
    layer_s: float  # fixed cost of one layer of a dense model
    flops: float  # effective, dense, for prefill
    upload_bytes_per_s: float = 0.0  # from RAM to this device, for weights that stay in RAM at prefill; 0 = the RAM
    basis: Basis = Basis.GUESSED


@dataclass(frozen=True)
class Speeds:
    """The RAM's and the GPUs', in the order of the rooms."""

    ram: DeviceSpeed
    gpus: tuple[DeviceSpeed, ...] = ()


@dataclass(frozen=True)
class Pace:
    """A range of tokens per second and what it is known from."""

    low: float
    high: float
    basis: Basis
