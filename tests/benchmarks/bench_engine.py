"""Our stream against llama.cpp's own llama-bench, alternating in one run; prints a table.

python tests/benchmarks/bench_engine.py [--rounds 5]
"""

import argparse
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil
from models import GUIDE, llama_1b_q4_k_m

import peers
from carryon.base.jobs import drained
from carryon.cli.bench import measure
from carryon.engine.process import start
from carryon.engine.protocol import LoadRequest

N_PROMPT, N_ANSWER = 512, 128


@dataclass(frozen=True)
class Round:
    """Tokens per second of one measurement of each side."""

    ours_prompt: float
    ours_answer: float
    peer_prompt: float
    peer_answer: float


def rounds(model: Path, tools: Path, n_threads: int, count: int) -> list[Round]:
    """Alternates: one measurement of ours, one of llama-bench, `count` times."""
    with tempfile.TemporaryDirectory() as logs:
        engine = drained(start(LoadRequest(str(model), n_ctx=1024, n_threads=n_threads), Path(logs)))
        try:
            measured = []
            for _ in range(count):
                ours = measure(engine, N_PROMPT, N_ANSWER, repeat=1)
                peer = peers.llama_bench(tools, model, n_threads, n_prompt=N_PROMPT, n_answer=N_ANSWER)
                measured.append(Round(ours.prompt.median, ours.answer.median, peer["prompt"], peer["answer"]))
            return measured
        finally:
            engine.end()


def report(name: str, measured: list[Round], target_prompt: float | None, target_answer: float) -> None:
    """One line a measure: medians, the median of the rounds' ratios, and the target."""
    reads = ("reads", "ours_prompt", "peer_prompt", target_prompt)
    writes = ("writes", "ours_answer", "peer_answer", target_answer)
    for what, ours, peer, target in (reads, writes):
        left, right = [getattr(one, ours) for one in measured], [getattr(one, peer) for one in measured]
        ratio = statistics.median(a / b for a, b in zip(left, right, strict=True))
        medians = f"{statistics.median(left):>10.1f} {statistics.median(right):>12.1f}"
        print(f"{name:<22} {what:<7} {medians} {ratio:>7.3f}  {f'>= {target}' if target else '-'}")


def main() -> None:
    """Measures both models and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    tools = peers.folder()
    n_threads = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    print(f"{os.cpu_count()} cores, {n_threads} threads, load {os.getloadavg()[0]:.1f}")
    print(f"{'model':<22} {'':<7} {'ours t/s':>10} {'llama-bench':>12} {'ratio':>7}  target")
    big = llama_1b_q4_k_m(tools / "llama-quantize")
    report("1.1B Q4_K_M random", rounds(big, tools, n_threads, arguments.rounds), 0.97, 0.97)
    report("guide Q8_0", rounds(GUIDE, tools, n_threads, arguments.rounds), None, 0.6)


if __name__ == "__main__":
    main()
