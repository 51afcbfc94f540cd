"""How long a model's header takes to read: 152,000 tokens and as many merges, and the gguf package on the same file.

python tests/benchmarks/bench_header.py [--rounds 9]
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gguf import GGUFReader

from carryon.gguf.header import FIRST_BYTES, read_first_facts, read_header
from carryon.gguf.shape import read_shape

sys.path.insert(0, str(Path(__file__).parents[1]))
from fakes.header_models import MODELS
from fakes.header_writer import HeaderWriter

N_TOKENS = 152_000
TARGET_MS = 150
LETTERS = "abcdefghijklmnopqrstuvwxyzĠĠéß漢字"
FINE, MISSED = "\N{CHECK MARK}", "MISSED"


def vocabulary(n_tokens: int) -> dict[str, object]:
    """Tokens and merges of the lengths that Qwen's have: a header of 6 MB."""
    chance = random.Random(1)

    def word(longest: int) -> str:
        return "".join(chance.choice(LETTERS) for _ in range(chance.randint(2, longest)))

    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [word(11) for _ in range(n_tokens)],
        "tokenizer.ggml.token_type": [1] * n_tokens,
        "tokenizer.ggml.merges": [f"{word(6)} {word(5)}" for _ in range(n_tokens)],
    }


def times_ms(call: Callable[[], object], rounds: int) -> list[float]:
    """Sorted: the first is what the code costs, the middle what this machine made of it."""
    times = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        call()
        times.append((time.perf_counter() - began_s) * 1e3)
    return sorted(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        fields, tensors = MODELS["qwen3-8b"]()
        path = HeaderWriter().write(Path(folder) / "model.gguf", fields | vocabulary(N_TOKENS), tensors)
        print(f"header of {read_header(path).data_start_bytes / 1e6:.1f} MB, {N_TOKENS:,} tokens and as many merges")
        print(f"{'':42} {'best':>9} {'median':>9}")
        calls: dict[str, Callable[[], object]] = {
            f"first facts, of {FIRST_BYTES >> 10} KiB": lambda: read_first_facts(path),
            "header without the token arrays": lambda: read_header(path),
            "shape, from the file": lambda: read_shape(path),
            "header with the token arrays": lambda: read_header(path, with_arrays=True),
        }
        found = {name: times_ms(call, rounds) for name, call in calls.items()}
        found["peer: GGUFReader of the gguf package"] = times_ms(lambda: GGUFReader(path), min(rounds, 3))
    for name, times in found.items():
        print(f"{name:42} {times[0]:6.1f} ms {times[len(times) // 2]:6.1f} ms")
    median = found["header without the token arrays"][rounds // 2]
    print(f"target: header without the token arrays under {TARGET_MS} ms  {FINE if median < TARGET_MS else MISSED}")
    return 0 if median < TARGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
