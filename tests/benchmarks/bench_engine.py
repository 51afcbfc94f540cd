"""Our stream against llama.cpp's own llama-bench, alternating in one run; prints a table.

    python tests/benchmarks/bench_engine.py [--rounds 5]

Needs llama-bench and llama-quantize: python packaging/peers.py
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from carryon.cli.bench import measure
from carryon.cli.loading import drained
from carryon.engine.process import start
from carryon.engine.protocol import LoadRequest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "packaging"))
from models import GUIDE, llama_1b_q4_k_m

N_PROMPT, N_ANSWER = 512, 128


@dataclass(frozen=True)
class Round:
    """Tokens per second of one turn of each."""

    ours_prompt: float
    ours_answer: float
    peer_prompt: float
    peer_answer: float


def rounds(model: Path, llama_bench: Path, n_threads: int, count: int, n_prompt: int, n_answer: int) -> list[Round]:
    """Alternates: one measurement of ours, one of llama-bench, `count` times."""
    request = LoadRequest(str(model), n_ctx=1024, n_threads=n_threads)
    with tempfile.TemporaryDirectory() as logs:
        engine = drained(start(request, Path(logs)))
        try:
            measured = []
            for _ in range(count):
                ours = measure(engine, n_prompt, n_answer, repeat=1)
                peer = _peer(llama_bench, model, n_threads, n_prompt, n_answer)
                measured.append(Round(ours.prompt.median, ours.answer.median, *peer))
            return measured
        finally:
            engine.end()


def _peer(llama_bench: Path, model: Path, n_threads: int, n_prompt: int, n_answer: int) -> tuple[float, float]:
    """llama-bench warms up before each test, as our measurement does."""
    command = [
        llama_bench,
        "-m",
        model,
        "-t",
        n_threads,
        "-p",
        n_prompt,
        "-n",
        n_answer,
        "-r",
        1,
        "-ngl",
        0,
        "-fa",
        1,
        "-o",
        "json",
    ]
    printed = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout
    tests = json.loads(printed)
    prompt = next(one["avg_ts"] for one in tests if one["n_prompt"])
    answer = next(one["avg_ts"] for one in tests if one["n_gen"])
    return prompt, answer


def report(name: str, measured: list[Round], target_prompt: float | None, target_answer: float) -> None:
    """One line a measure: medians, the median of the rounds' ratios, and the target."""
    pairs = (
        ("reads", "ours_prompt", "peer_prompt", target_prompt),
        ("writes", "ours_answer", "peer_answer", target_answer),
    )
    for what, ours, peer, target in pairs:
        left, right = [getattr(one, ours) for one in measured], [getattr(one, peer) for one in measured]
        ratio = statistics.median(a / b for a, b in zip(left, right, strict=True))
        wanted = f">= {target}" if target else "-"
        print(
            f"{name:<22} {what:<7} {statistics.median(left):>10.1f} {statistics.median(right):>12.1f} {ratio:>7.3f}  {wanted}"
        )


def main() -> None:
    """Measures both models and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--peers", type=Path, help="the folder with llama-bench and llama-quantize (default: ask peers.py)"
    )
    arguments = parser.parse_args()
    peers = arguments.peers or _peers()
    n_threads = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    print(f"{os.cpu_count()} cores, {n_threads} threads, load {os.getloadavg()[0]:.1f}")
    print(f"{'model':<22} {'':<7} {'ours t/s':>10} {'llama-bench':>12} {'ratio':>7}  target")
    big = llama_1b_q4_k_m(peers / "llama-quantize")
    report(
        "1.1B Q4_K_M random",
        rounds(big, peers / "llama-bench", n_threads, arguments.rounds, N_PROMPT, N_ANSWER),
        0.97,
        0.97,
    )
    report(
        "guide Q8_0", rounds(GUIDE, peers / "llama-bench", n_threads, arguments.rounds, N_PROMPT, N_ANSWER), None, 0.6
    )


def _peers() -> Path:
    here = Path(__file__).parents[2] / "packaging" / "peers.py"
    printed = subprocess.run([sys.executable, here], capture_output=True, text=True, check=True).stdout
    return Path(printed.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
