"""Rooms, shapes and fits for tests: values a plan could have made, without planning."""

from carryon.fit.memory import DeviceNeed, Need, Placement
from carryon.fit.plan import Candidate, Fit, Verdict
from carryon.fit.room import Backend, Room, Rooms
from carryon.fit.speed import Basis, Pace
from carryon.gguf.shape import LayerShape, ModelShape
from carryon.hardware.machine import DeviceKind

GB = 2**30
RTX = "NVIDIA GeForce RTX 4060"
GPU_ROOM = Room("CUDA0", RTX, DeviceKind.GPU, Backend.CUDA, 8 * GB, 7 * GB, GB // 2)
RAM_ROOM = Room("CPU", "RAM", DeviceKind.CPU, Backend.CPU, 32 * GB, 22 * GB, 3 * GB)
ROOMS = Rooms(RAM_ROOM, (GPU_ROOM,))
NEED = Need(DeviceNeed(GB // 2, 0, GB // 8, 0), (DeviceNeed(4 * GB, GB, GB // 4, 0),))
PACE = Pace(38.0, 46.0, Basis.PARTS)


def shape(quant="Q4_K_M", size_bytes=5 * GB) -> ModelShape:
    """A model of 32 layers without a tensor."""
    layers = (LayerShape((), None),) * 32
    sizes = (32768, 4096, 14336, 0, 128256, 0, 0)
    return ModelShape("llama", "Tiny", quant, *sizes, layers, (), (), size_bytes=size_bytes)


def fit(quant="Q4_K_M", verdict=Verdict.GPU, need=NEED, missing_bytes=0, placement=None, path=None, **others) -> Fit:
    """One fit with everything on the GPU, where nothing else is said."""
    return Fit(
        Candidate(quant, shape(quant), path), placement or Placement(8192, n_gpu_layers=33, gpus=("CUDA0",)),
        need, verdict, missing_bytes, PACE, PACE, **others,
    )  # fmt: skip
