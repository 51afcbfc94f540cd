"""The second turn of a 2,000-token conversation: time to its first token against decoding only its new tokens.

    python tests/benchmarks/bench_second_turn.py [--rounds 5]

The peer is llama-bench reading as many tokens behind as many cached ones (-p NEW -d CACHED).
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from models import llama_1b_q4_k_m

import peers
from carryon.base.jobs import drained
from carryon.engine.client import EngineClient, Finished, Sampling, TextDelta, Timings, Turn
from carryon.engine.process import start
from carryon.engine.protocol import LoadRequest

_WORDS = "Please explain once more how the KV cache grows with the context and what that means for my card. "


def answered(client: EngineClient, turns: tuple[Turn, ...], n_answer: int) -> tuple[float, Timings, str]:
    """Milliseconds until the answer was there, the engine's own timings, the answer."""
    began, words = time.perf_counter(), []
    for event in client.chat(turns, Sampling(temperature=0, max_tokens=n_answer, ignore_eos=True)):
        match event:
            case TextDelta(text):
                words.append(text)
            case Finished(_, _, timings) if timings:
                return (time.perf_counter() - began) * 1000, timings, "".join(words)
    raise AssertionError("the stream ended without timings")


def long_message(client: EngineClient, n_tokens: int, mark: str) -> str:
    """A first message of about so many tokens, different for every round."""
    per_word = len(client.tokenize(_WORDS))
    return mark + _WORDS * (n_tokens // per_word)


def second_turn(client: EngineClient, index: int) -> tuple[float, Timings]:
    """Milliseconds to the second turn's first token, and what the engine decoded for it.

    The answer is cut after one token: a model of random weights says bytes that are no characters yet, so its first
    words may come later than its first token.
    """
    opening = Turn("user", long_message(client, 1950, f"Round {index}. "))
    _, _, said = answered(client, (opening,), 16)
    question = Turn("user", f"And on round {index}, what should I do about it on a card with 8 GB?")
    first_ms, timings, _ = answered(client, (opening, Turn("assistant", said), question), 1)
    return first_ms, timings


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    tools = peers.folder()
    model = llama_1b_q4_k_m(tools / "llama-quantize")
    n_threads = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    print(f"{os.cpu_count()} cores, {n_threads} threads, load {os.getloadavg()[0]:.1f}")
    columns = ("new", 5), ("cached", 7), ("first token ms", 15), ("only the new ms", 16), ("ratio", 6)
    print("round  " + " ".join(f"{name:>{width}}" for name, width in columns))
    with tempfile.TemporaryDirectory() as logs:
        engine = drained(start(LoadRequest(str(model), n_ctx=4096, n_threads=n_threads), Path(logs)))
        try:
            ratios = [_round(engine.client, index, tools, model, n_threads) for index in range(arguments.rounds)]
        finally:
            engine.end()
    print(f"median ratio {statistics.median(ratios):.2f} (target <= 1.1)")


def _round(client: EngineClient, index: int, tools: Path, model: Path, n_threads: int) -> float:
    first_ms, timings = second_turn(client, index)
    depth = timings.cached_n
    peer = peers.llama_bench(tools, model, n_threads, n_prompt=timings.prompt_n, n_answer=0, depth=depth)
    alone_ms = timings.prompt_n / peer["prompt"] * 1000
    print(
        f"{index:<6} {timings.prompt_n:>5} {depth:>7} {first_ms:>15.1f} {alone_ms:>16.1f} {first_ms / alone_ms:>6.2f}"
    )
    return first_ms / alone_ms


if __name__ == "__main__":
    main()
