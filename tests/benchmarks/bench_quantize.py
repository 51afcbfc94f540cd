"""Our quantizing, from the order to a proven file under its name, against llama-quantize, alternating in one run.

python tests/benchmarks/bench_quantize.py [--rounds 3] [--layers 22] [--quant Q4_K_M]

Ours holds a start of Python, the check of the new file (loaded, one token decoded) and its sync to the disk, which
llama-quantize leaves out; the goal is that all of it together costs two per cent of a 1.1B model at most.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import gguf
import psutil
from models import LAYERS, llama_1b_f16

import peers
from carryon.base.jobs import drained
from carryon.quantize.job import quantizing
from carryon.quantize.request import QuantizeRequest, Wish
from carryon.quantize.sizes import sizing

GOAL = 0.98


def ours_s(source: Path, target: Path, quant: str, n_threads: int) -> float:
    """Seconds of the whole work."""
    started_s = time.perf_counter()
    drained(quantizing(QuantizeRequest(source, target, quant, n_threads=n_threads), target.with_suffix(".log")))
    return time.perf_counter() - started_s


def peer_s(tools: Path, source: Path, target: Path, quant: str, n_threads: int) -> float:
    """Seconds of the whole program."""
    command = [str(tools / "llama-quantize"), str(source), str(target), quant, str(n_threads)]
    started_s = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started_s


def differing(ours: Path, theirs: Path) -> list[str]:
    """The tensors that are not the same to the bit."""
    left, right = ({one.name: one for one in gguf.GGUFReader(path).tensors} for path in (ours, theirs))
    assert left.keys() == right.keys()
    return [name for name, one in left.items() if one.data.tobytes() != right[name].data.tobytes()]


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--quant", default="Q4_K_M")
    arguments = parser.parse_args()
    tools, source = peers.folder(), llama_1b_f16(arguments.layers)
    n_threads = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    print(
        f"{os.cpu_count()} cores, {n_threads} threads, load {os.getloadavg()[0]:.1f}, {source.stat().st_size:,} bytes"
    )
    with tempfile.TemporaryDirectory(dir=source.parent) as place:
        ours, theirs = Path(place) / "ours.gguf", Path(place) / "theirs.gguf"
        rounds = []
        for _ in range(arguments.rounds):
            theirs_took_s = peer_s(tools, source, theirs, arguments.quant, n_threads)
            rounds.append((ours_s(source, ours, arguments.quant, n_threads), theirs_took_s))
            print(f"ours {rounds[-1][0]:8.2f} s   llama-quantize {rounds[-1][1]:8.2f} s")
        (size,) = drained(sizing(source, [Wish(arguments.quant)]))
        print(f"said {size.size_bytes:,} bytes, written {ours.stat().st_size:,}, theirs {theirs.stat().st_size:,}")
        print(f"tensors that differ from llama-quantize's: {len(differing(ours, theirs))}")
    ratio = statistics.median(theirs_took_s / took_s for took_s, theirs_took_s in rounds)
    print(f"speed of ours to llama-quantize's: {ratio:.3f}  (goal: >= {GOAL})")


if __name__ == "__main__":
    main()
