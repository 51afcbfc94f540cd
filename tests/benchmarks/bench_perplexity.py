"""Our evaluation against llama.cpp's own llama-perplexity, in one run: the figures of every quant, then the speed.

python tests/benchmarks/bench_perplexity.py [--rounds 3] [--chunks 4] [--small]

Agreement: the guide in F16 against Q8_0, Q4_K_M and Q2_K of it, all chunks of the text that comes with Carryon.
Speed: perplexity of a 1.1B Q4_K_M with the same threads, whole processes from start to end, alternating.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from models import GUIDE, llama_1b_q4_k_m

import peers
from carryon.base.jobs import drained
from carryon.convert.forms import OutType
from carryon.convert.run import convert
from carryon.evaluate.job import evaluating
from carryon.evaluate.request import EvaluateRequest
from carryon.evaluate.result import Evaluation, Measured
from carryon.evaluate.text import shipped_text

QUANTS = ("Q8_0", "Q4_K_M", "Q2_K")
WITHIN, SPEED = 0.005, 0.95


@dataclass(frozen=True)
class Compared:
    """One figure of one file, from both."""

    quant: str
    name: str
    ours: float
    peer: float

    @property
    def difference(self) -> float:
        return abs(self.ours - self.peer) / abs(self.peer) if self.peer else abs(self.ours)


def agreement(tools: Path, n_threads: int) -> Iterator[Compared]:
    """Every figure that both tell."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = drained(convert(GUIDE.parent, folder / "guide.gguf", OutType.F16)).path
        others = [_quantized(tools, base, quant, n_threads) for quant in QUANTS]
        ours = _ours(EvaluateRequest(base, tuple(others), n_threads=n_threads, measures_speed=False), folder)
        logits = folder / "base.kld"
        for one in ours.all:
            peer = peers.llama_perplexity(tools, one.path, shipped_text(), n_threads, base=logits)
            yield from _compared(one, peer)


def _quantized(tools: Path, base: Path, quant: str, n_threads: int) -> Path:
    target = base.with_name(f"guide-{quant}.gguf")
    command = [str(tools / "llama-quantize"), str(base), str(target), quant, str(n_threads)]
    subprocess.run(command, check=True, capture_output=True)
    return target


def _ours(asked: EvaluateRequest, folder: Path) -> Evaluation:
    return drained(evaluating(asked, folder / "evaluate.log"))


def _compared(one: Measured, peer: dict[str, float]) -> Iterator[Compared]:
    ours = {
        "perplexity": one.perplexity,
        "perplexity_error": one.perplexity_error,
        "kl_divergence": one.kl_divergence,
        "kl_error": one.kl_error,
        "rms_percent": one.rms_probability_change and one.rms_probability_change * 100,
        "same_percent": one.same_top and one.same_top * 100,
    }
    for name, value in peer.items():
        own = ours[name]
        assert own is not None, name
        yield Compared(one.quant, name, own, value)


def speed(tools: Path, model: Path, n_threads: int, n_rounds: int, n_chunks: int) -> list[tuple[float, float]]:
    """Seconds of ours and of the tool's whole process, round by round."""
    rounds = []
    asked = EvaluateRequest(model, n_chunks=n_chunks, n_threads=n_threads, measures_speed=False)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(n_rounds):
            began_s = time.perf_counter()
            _ours(asked, Path(folder))
            ours_s = time.perf_counter() - began_s
            began_s = time.perf_counter()
            peers.llama_perplexity(tools, model, shipped_text(), n_threads, n_chunks=n_chunks)
            rounds.append((ours_s, time.perf_counter() - began_s))
    return rounds


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=4)
    parser.add_argument("--small", action="store_true", help="the guide instead of the 1.1B model: a try, no figure")
    arguments = parser.parse_args()
    tools = peers.folder()
    n_threads = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    print(f"{os.cpu_count()} cores, {n_threads} threads, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'':<8} {'figure':<18} {'ours':>16} {'llama-perplexity':>17} {'apart':>9}  target <= {WITHIN:.1%}")
    for one in agreement(tools, n_threads):
        print(f"{one.quant:<8} {one.name:<18} {one.ours:>16.6f} {one.peer:>17.6f} {one.difference:>9.4%}")
    model = GUIDE if arguments.small else llama_1b_q4_k_m(tools / "llama-quantize")
    rounds = speed(tools, model, n_threads, arguments.rounds, arguments.chunks)
    ratio = statistics.median(peer / ours for ours, peer in rounds)
    ours_s, peer_s = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"\n{model.stem}, {arguments.chunks} chunks of 512: ours {ours_s:.1f} s, llama-perplexity {peer_s:.1f} s,")
    print(f"speed {ratio:.3f} of its (target >= {SPEED})")


if __name__ == "__main__":
    main()
