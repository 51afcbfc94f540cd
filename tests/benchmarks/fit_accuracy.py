"""The table of predicted against allocated bytes: all known models, on every device, beside the engine's own figures.

python tests/benchmarks/fit_accuracy.py [--all] [--quick]

Predicted is `fit.memory`, arithmetic on a header. Allocated is what the engine plans for the same load (its dry run,
on header-only files), and what it really takes for the small models that are here with their weights. Devices beside
the RAM are llama.cpp's RPC devices on loopback. Prints Markdown; --all prints every load, not only the worst of each
row; --quick leaves other devices out. Ends with 1 when a promise is missed: weights and cache to the byte, sum 1 %.
"""

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes import tiny_gguf, tiny_moe
from fakes.fit_compared import RAM, Case, HeaderFiles, Row, compared, in_ram, loaded, offloaded
from fakes.header_models import MODELS
from fakes.published_compute import measured
from fakes.rpc_servers import RpcServers

from carryon.fit.memory import Placement, need
from carryon.fit.room import Backend, Room, Rooms
from carryon.gguf.quants import USUAL_KV_TYPES, KvType
from carryon.gguf.shape import read_shape
from carryon.hardware.machine import DeviceKind

GUIDE = Path(str(resources.files("carryon.resources").joinpath("guide/guide-Q8_0.gguf")))
MIB = 1 << 20
PROMISED = 0.01
COLUMNS = ("Model", "Loads", "Device", "Weights", "KV cache", "Compute, said", "held", "Worst error of the sum")
FINE, MISSED = "\N{CHECK MARK}", "MISSED"


def planned_in_ram(files: HeaderFiles) -> Iterator[tuple[str, list[Row]]]:
    """Every model at three contexts and in three types of cache, on the CPU."""
    for name in MODELS:
        trained = files.shape(in_ram(name, 4096)).n_ctx_train
        contexts = sorted({4096, 32768, trained})
        cases = [in_ram(name, n_ctx, kind) for n_ctx, kind in itertools.product(contexts, USUAL_KV_TYPES)]
        yield f"{name} F16", compared(cases, files)


def planned_elsewhere(files: HeaderFiles, endpoints: Sequence[str]) -> Iterator[tuple[str, list[Row]]]:
    """Every model as Q4_K_M: some, half and all layers on one device, all shared among two, experts in RAM."""
    for name in MODELS:
        shape = files.shape(Case(name, Placement(4096), "Q4_K_M"))
        n_all = shape.n_gpu_layers_max
        cases = [offloaded(name, layers) for layers in (1, n_all // 4, n_all // 2, n_all)]
        cases += [offloaded(name, n_all, kv_type=KvType.Q8_0, n_ctx=32768), offloaded(name, n_all, n_devices=2)]
        yield f"{name} Q4_K_M", compared(cases, files, endpoints)
        if shape.is_moe:
            behind = [offloaded(name, n_all, n_cpu_experts=layers) for layers in (1, n_all // 2, n_all)]
            yield f"{name} Q4_K_M, experts in RAM", compared(behind, files, endpoints)


def really_loaded(folder: Path, endpoints: Sequence[str]) -> Iterator[tuple[str, list[Row]]]:
    """Models with weights: what the engine holds when it is ready."""
    made = {"plain": tiny_gguf.speaking_model, "window": tiny_gguf.windowed_model, "experts": tiny_moe.expert_model}
    paths = {"guide": GUIDE, **{f"tiny, {name}": folder / f"{name}.gguf" for name in made}}
    for name, make in made.items():
        make(paths[f"tiny, {name}"])
    for name, path in paths.items():
        n_all = read_shape(path).n_gpu_layers_max
        base = Placement(2048, use_mmap=False)
        loads = [(base, 0), (replace(base, kv_type=KvType.Q8_0, n_ctx=4096), 0)]
        loads += [(replace(base, n_gpu_layers=layers), 1) for layers in (2, n_all) if endpoints]
        rows = [row for placement, count in loads for row in loaded(path, placement, folder / "log", endpoints[:count])]
        yield f"{name} (really loaded)", rows


def line(name: str, device: str, rows: Sequence[Row]) -> str:
    """One line: exact or by how much not, the largest compute buffers, the worst error."""
    worst = max(rows, key=lambda row: abs(row.error))
    largest = max(rows, key=lambda row: row.held.compute_bytes)
    cells = (
        name, str(len(rows)), device, exactness(row.said.weights_bytes - row.held.weights_bytes for row in rows),
        exactness(row.said.kv_bytes - row.held.kv_bytes for row in rows),
        f"{largest.said.compute_bytes / MIB:,.2f} MiB", f"{largest.held.compute_bytes / MIB:,.2f} MiB",
        f"{worst.error:+.3%}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def exactness(differences: Iterable[int]) -> str:
    """ "exact", or the largest difference."""
    largest = max(differences, key=abs)
    return "exact" if largest == 0 else f"{largest:+,} bytes"


def load_line(row: Row) -> str:
    """One load on one device, for --all."""
    placement = row.case.placement
    return (
        f"|   {placement.n_ctx} {placement.kv_type} {placement.n_gpu_layers} layers, {placement.n_cpu_experts} experts "
        f"| | {row.device} | {row.held.weights_bytes:,} | {row.held.kv_bytes:,} | {row.said.compute_bytes:,} "
        f"| {row.held.compute_bytes:,} | {row.error:+.3%} |"
    )


def by_device(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """RAM first; rows of a device that holds nothing left out."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.held.total_bytes:
            found.setdefault("RAM" if row.device == "CPU" else f"{row.device[:-1]} {row.device[-1]}", []).append(row)
    return found


def on_a_real_gpu() -> bool:
    """Prints what others measured on a GPU, beside what we say; true when all is within the promise."""
    rooms = Rooms(RAM, (Room("ROCm0", "MI300X", DeviceKind.GPU, Backend.HIP, 1 << 40, 1 << 40, 0),))
    print("\n| Compute buffer on an MI300X (gguf-parser-go, issue 45) | said | measured |\n|---|---|---|")
    errors = []
    for one in measured():
        for layers, mib in ((2, one.some_layers_mib), (one.shape.n_gpu_layers_max, one.all_layers_mib)):
            said = need(one.shape, Placement(4096, KvType.Q8_0, layers), rooms).gpus[0].compute_bytes / MIB
            print(f"| {one.name}, {layers} layers there | {said:.2f} MiB | {mib:.2f} MiB |")
            errors.append(abs(said / mib - 1))
    return max(errors) <= PROMISED


def verdict(rows: Sequence[Row]) -> bool:
    """Prints the worst of all and whether the promises are kept."""
    exact = all(row.said.weights_bytes == row.held.weights_bytes and row.said.kv_bytes == row.held.kv_bytes
                for row in rows)
    large = [row for row in rows if row.held.total_bytes >= 64 * MIB]
    worst = max(large, key=lambda row: abs(row.error))
    compute = max(rows, key=lambda row: abs(row.compute_error_bytes))
    kept = exact and abs(worst.error) <= PROMISED
    print(f"\n{len(rows)} loads and devices. Weights and KV cache: {'exact to the byte' if exact else 'NOT exact'}. "
          f"Worst sum: {worst.error:+.3%} ({worst.case.model}, {worst.case.placement.n_gpu_layers} layers away, "
          f"{worst.device}). Worst compute buffer: {compute.compute_error_bytes / MIB:+.2f} MiB of "
          f"{compute.held.compute_bytes / MIB:.2f} ({compute.case.model}, {compute.device}). "
          f"{FINE if kept else MISSED}")  # fmt: skip
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every load")
    parser.add_argument("--quick", action="store_true", help="only the RAM")
    asked = parser.parse_args()
    servers = RpcServers()
    everything: list[Row] = []
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            files, endpoints = HeaderFiles(Path(folder)), [] if asked.quick else [servers.start(), servers.start()]
            elsewhere = iter(()) if asked.quick else planned_elsewhere(files, endpoints)
            for name, rows in itertools.chain(planned_in_ram(files), elsewhere, really_loaded(Path(folder), endpoints)):
                everything += rows
                for device, own in by_device(rows).items():
                    print(line(name, device, own), flush=True)
                    print("\n".join(map(load_line, own)) + "\n" if asked.all else "", end="")
    finally:
        servers.end()
    is_kept = verdict(everything)
    return 0 if on_a_real_gpu() and is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
