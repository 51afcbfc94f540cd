"""Our conversion against llama.cpp's own converter, alternating in one run, on a random Llama that is made for it.

python tests/benchmarks/bench_convert.py --upstream FOLDER [--rounds 3] [--layers 22]

FOLDER holds llama.cpp's convert_hf_to_gguf.py, conversion/ and gguf-py/ (also: the variable CARRYON_UPSTREAM). Every
tensor of the two files is compared bit for bit. Ours is measured as the window runs it: in its own process, synced to
the disk, the written file tried out. The peer tries nothing; its file is synced too before its time is taken, so both
are measured until a power cut could do no harm. With --folder /dev/shm the disk is left out (7 GB of memory).
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "convert"))

from model_folders import CONFIG, llama_shapes, tokenizer_config, tokenizer_json, write_folder, write_json

from carryon.base.jobs import drained
from carryon.convert.forms import OutType
from carryon.convert.job import ConvertRequest, converting
from carryon.convert.upstream.component import SPLITTING
from carryon.engine.task import command_of

# TinyLlama 1.1B's shape; 22 layers are 1.1 billion values
SHAPE = CONFIG | {
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "vocab_size": 32_000,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}
TARGETS = {OutType.BF16: 20.0, OutType.F16: 4.0, OutType.Q8_0: 3.0}  # times the peer's speed
MOST_HEAP = 1 / 5  # of the peer's
SHARDS = 2
SAMPLE_S = 0.01


@dataclass(frozen=True)
class Cost:
    """What one conversion took."""

    wall_s: float
    heap_bytes: int


def main() -> None:
    """Prints a line for each type."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--upstream", type=Path, default=os.environ.get("CARRYON_UPSTREAM"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=22)
    parser.add_argument("--folder", type=Path, help="where the model and the files go (7 GB)")
    asked = parser.parse_args()
    if not asked.upstream:
        parser.error("--upstream is missing")
    with tempfile.TemporaryDirectory(dir=asked.folder) as place:
        _bench(Path(place), Path(asked.upstream).absolute(), asked.layers, asked.rounds)


def _bench(place: Path, upstream: Path, n_layers: int, rounds: int) -> None:
    tiny = write_folder(place / "Tiny")
    n_values = _write_model(place / "Random", n_layers)
    print(f"{n_values / 1e9:.2f} billion values, {psutil.cpu_count()} cores, median of {rounds}")
    print(f"{'type':<6}{'ours s':>9}{'GB/s':>7}{'peer s':>9}{'faster':>9}{'goal':>6}", end="")
    print(f"{'ours MB':>9}{'above base':>12}{'peer MB':>9}{'share':>8}{'goal':>6}  tensors")
    for out_type, goal in TARGETS.items():
        base = _ours(tiny, place / "ours.gguf", out_type)
        ours, peers = [], []
        for _ in range(rounds):
            ours.append(_ours(place / "Random", place / "ours.gguf", out_type))
            peers.append(_peer(upstream, place / "Random", place / "peer.gguf", out_type))
        same = _compared(place / "ours.gguf", place / "peer.gguf")
        left, right = _middle(ours), _middle(peers)
        size_bytes = (place / "ours.gguf").stat().st_size
        print(
            f"{out_type.value:<6}{left.wall_s:>9.2f}{size_bytes / left.wall_s / 1e9:>7.2f}{right.wall_s:>9.2f}", end=""
        )
        print(f"{right.wall_s / left.wall_s:>8.1f}x{goal:>5.0f}x{left.heap_bytes / 1e6:>9.0f}", end="")
        print(f"{(left.heap_bytes - base.heap_bytes) / 1e6:>12.0f}{right.heap_bytes / 1e6:>9.0f}", end="")
        print(f"{left.heap_bytes / right.heap_bytes:>8.2f}{MOST_HEAP:>6.2f}  {same}", flush=True)
        (place / "ours.gguf").unlink()
        (place / "peer.gguf").unlink()


def _ours(folder: Path, target: Path, out_type: OutType) -> Cost:
    request = ConvertRequest(folder, target, out_type, folder.name)
    return _measured(lambda: drained(converting(request, target.with_suffix(".log"))))


def _peer(upstream: Path, folder: Path, target: Path, out_type: OutType) -> Cost:
    words = ["convert_hf_to_gguf.py", folder, "--outfile", target, "--outtype", out_type.value]
    command = [*command_of("upstream"), upstream, *words, "--model-name", folder.name]

    def run() -> None:
        with target.with_suffix(".log").open("wb") as log:
            environment = {**os.environ, "HF_HUB_OFFLINE": "1", SPLITTING: "gpt-2"}
            subprocess.run(
                list(map(str, command)), stdin=_never_ending(), stdout=log, stderr=log, env=environment, check=True
            )
        with target.open("rb+") as written:
            os.fsync(written.fileno())

    return _measured(run)


def _never_ending() -> int:
    """A stdin without an end, which would end the peer's process."""
    return os.pipe()[0]


def _measured(run: Callable[[], object]) -> Cost:
    if hasattr(os, "sync"):
        os.sync()  # nobody pays for what another has written
    with _watched() as peak:
        started_s = time.perf_counter()
        run()
        return Cost(time.perf_counter() - started_s, peak[0])


@contextmanager
def _watched() -> Iterator[list[int]]:
    """The most anonymous memory that any child of ours had so far, in bytes."""
    peak, is_over = [0], threading.Event()

    def watch() -> None:
        while not is_over.wait(SAMPLE_S):
            for child in psutil.Process().children():
                with suppress(psutil.Error, OSError):
                    peak[0] = max(peak[0], _anonymous_bytes(child))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


def _anonymous_bytes(process: psutil.Process) -> int:
    """Without mapped files, which the system gives back when it likes."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return int(process.memory_info().rss)
    lines = [line for line in status.read_text().splitlines() if line.startswith("RssAnon")]
    return int(lines[0].split()[1]) * 1024 if lines else 0  # a process that is ending has none


def _middle(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(one.wall_s for one in costs), max(one.heap_bytes for one in costs))


def _compared(ours: Path, theirs: Path) -> str:
    left, right = ({one.name: one for one in gguf.GGUFReader(path).tensors} for path in (ours, theirs))
    if set(left) != set(right):
        return f"differ: {sorted(set(left) ^ set(right))[:3]}"
    other = [name for name in left if not _is_same(left[name], right[name])]
    return f"{len(other)} differ, such as {other[0]}" if other else f"{len(left)} identical"


def _is_same(left: gguf.ReaderTensor, right: gguf.ReaderTensor) -> bool:
    if left.tensor_type != right.tensor_type or left.shape.tolist() != right.shape.tolist():
        return False
    return np.array_equal(left.data.view(np.uint8), right.data.view(np.uint8))


def _write_model(folder: Path, n_layers: int) -> int:
    """A random bf16 Llama in shards; returns its number of values."""
    tokenizer, flags = tokenizer_json(), ("single_word", "lstrip", "rstrip", "normalized")
    added = [dict.fromkeys(flags, False) | one for one in tokenizer["added_tokens"]]  # transformers wants them all
    settings = tokenizer_config() | {"tokenizer_class": "PreTrainedTokenizerFast"}
    write_folder(folder, tokenizer=tokenizer | {"added_tokens": added}, settings=settings)
    (folder / "model.safetensors").unlink()
    config = SHAPE | {"num_hidden_layers": n_layers}
    write_json(folder / "config.json", config | {"model_type": "llama", "torch_dtype": "bfloat16"})
    shapes, random, places = llama_shapes(config), np.random.default_rng(1), {}
    names = list(shapes)
    for shard in range(SHARDS):
        file = folder / f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        mine = names[shard * len(names) // SHARDS : (shard + 1) * len(names) // SHARDS]
        places |= dict.fromkeys(mine, file.name)
        _write_shard(file, {name: shapes[name] for name in mine}, random)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})
    return sum(map(math.prod, shapes.values()))


def _write_shard(file: Path, shapes: dict[str, tuple[int, ...]], random: np.random.Generator) -> None:
    header, position = {}, 0
    for name, shape in shapes.items():
        end = position + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [position, end]}
        position = end
    write_json(file, header)
    text = file.read_bytes()
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            values = random.standard_normal(shape, np.float32) * np.float32(0.02)
            out.write((values.view(np.uint32) >> 16).astype("<u2").data)


if __name__ == "__main__":
    main()
