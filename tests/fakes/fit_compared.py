"""Predicted against allocated: what `fit.memory` says of a load, beside the engine's own figures for it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fakes.header_models import write_header_model
from fakes.real_worker import RealWorker

from carryon.base.errors import AppError
from carryon.base.jobs import drained
from carryon.engine.dryrun import dry_runs
from carryon.engine.protocol import DeviceMemory, LoadRequest
from carryon.fit.memory import DeviceNeed, Need, Placement, need
from carryon.fit.room import Backend, Room, Rooms
from carryon.gguf.quants import KvType
from carryon.gguf.shape import ModelShape, read_shape
from carryon.hardware.machine import DeviceKind

RAM = Room("CPU", "RAM", DeviceKind.CPU, Backend.CPU, 1 << 42, 1 << 42, 0)


@dataclass(frozen=True)
class Case:
    """One model, loaded in one way, on the RAM and so many other devices."""

    model: str
    placement: Placement
    quant: str | None = None  # None: F16, as header_models has it
    n_devices: int = 0


@dataclass(frozen=True)
class Row:
    """One device of a case: what was said, what the engine answered."""

    case: Case
    device: str
    said: DeviceNeed
    held: DeviceMemory

    @property
    def compute_error_bytes(self) -> int:
        return self.said.compute_bytes - self.held.compute_bytes

    @property
    def error(self) -> float:
        """Of the sum, as a share of what is held."""
        return self.said.total_bytes / self.held.total_bytes - 1 if self.held.total_bytes else 0.0


class HeaderFiles:
    """Header-only files of models, each written once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shapes: dict[Path, ModelShape] = {}

    def path(self, case: Case) -> Path:
        path = self._folder / f"{case.model}-{case.quant or 'F16'}.gguf"
        if not path.exists():
            write_header_model(case.model, path, case.quant)
        return path

    def shape(self, case: Case) -> ModelShape:
        path = self.path(case)
        if path not in self._shapes:
            self._shapes[path] = read_shape(path)
        return self._shapes[path]


def compared(cases: Iterable[Case], files: HeaderFiles, endpoints: Sequence[str] = ()) -> list[Row]:
    """A row for every device of every case; raises the engine's refusal where it has one."""
    cases = list(cases)
    answers = drained(dry_runs([request(case, files.path(case), endpoints) for case in cases]))
    rows: list[Row] = []
    for case, answer in zip(cases, answers, strict=True):
        if isinstance(answer, AppError):
            raise answer
        rows += beside(case, need(files.shape(case), case.placement, rooms(case)), answer.devices)
    return rows


def loaded(path: Path, placement: Placement, log_path: Path, endpoints: Sequence[str] = ()) -> list[Row]:
    """The same for a model that is really loaded, whatever it takes; the engine ends afterwards."""
    case = Case(path.stem, placement, quant="", n_devices=len(endpoints))
    shape = read_shape(path)
    options = asdict(replace(request(case, path, endpoints), n_threads=None))
    worker = RealWorker(options.pop("model_path"), log_path, **options)
    try:
        return beside(case, need(shape, placement, rooms(case)), worker.ready.memory)
    finally:
        worker.end()


def beside(case: Case, said: Need, held: Sequence[DeviceMemory]) -> list[Row]:
    """The RAM's row and those of the devices that the case names."""
    by_name = {one.name: one for one in held}
    pairs = zip(("CPU", *devices(case)), (said.ram, *said.gpus), strict=True)
    return [Row(case, name, one, by_name[name]) for name, one in pairs]


def devices(case: Case) -> tuple[str, ...]:
    """The engine's names of the devices beside the RAM."""
    return tuple(f"RPC{index}" for index in range(case.n_devices))


def rooms(case: Case) -> Rooms:
    """As much as anyone may want, in RAM and on RPC devices."""
    return Rooms(RAM, tuple(Room(name, name, DeviceKind.RPC, Backend.RPC, 1 << 42, 1 << 42, 0)
                            for name in devices(case)))


def request(case: Case, path: Path, endpoints: Sequence[str]) -> LoadRequest:
    """The load that the engine is asked about."""
    placement = case.placement
    return LoadRequest(
        str(path), n_ctx=placement.n_ctx, n_gpu_layers=placement.n_gpu_layers,
        n_cpu_experts=placement.n_cpu_experts, gpus=devices(case), split=placement.split,
        n_ubatch=placement.n_ubatch, n_parallel=placement.n_parallel, n_threads=1, kv_type=placement.kv_type,
        use_mmap=False, rpc_endpoints=tuple(endpoints[: case.n_devices]),
    )  # fmt: skip


def in_ram(model: str, n_ctx: int, kv_type: KvType = KvType.F16, **more: int) -> Case:
    """A model on the CPU alone."""
    return Case(model, Placement(n_ctx, kv_type, **more))


def offloaded(model: str, n_gpu_layers: int, quant: str | None = "Q4_K_M", n_devices: int = 1, **more: object) -> Case:
    """A model of which so many layers are on other devices; on several, in equal shares."""
    split = (1.0,) * n_devices if n_devices > 1 else ()
    placement = replace(Placement(4096, n_gpu_layers=n_gpu_layers, split=split), **more)
    return Case(model, placement, quant, n_devices)
