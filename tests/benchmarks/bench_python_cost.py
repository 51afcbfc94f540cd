"""What our Python costs per token: the loop's time without its two C calls, at the start and far into a long answer.

python tests/benchmarks/bench_python_cost.py [--tokens 1600]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from models import GUIDE

from carryon.worker.capi import L
from carryon.worker.llama import Context, Model
from carryon.worker.parameters import Placing, Sizing
from carryon.worker.sampling import Sampling
from carryon.worker.scheduler import Answer, Ask, Generation, Pace, Slot

PROMPT = "user: What is the KV cache?"
TARGET_US = 100


class Meter:
    """Wraps the two C calls of the loop and notes, after each token, the time spent outside of them."""

    def __init__(self) -> None:
        self.inside_s = 0.0
        self.outside_us: list[float] = []
        self._token_began_s = time.perf_counter()
        self._inside_before_s = 0.0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began_s = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                self.inside_s += time.perf_counter() - began_s

        return timed

    def token_is_done(self) -> None:
        now_s = time.perf_counter()
        inside_s = self.inside_s - self._inside_before_s
        self.outside_us.append((now_s - self._token_began_s - inside_s) * 1e6)
        self._token_began_s, self._inside_before_s = now_s, self.inside_s


class Nowhere:
    """An outbox that nobody reads."""

    def put(self, news: Any) -> None:
        """Drops the news."""


def measure(n_tokens: int, stops: tuple[str, ...]) -> list[float]:
    """Microseconds of Python for every token of one answer."""
    L.llama_backend_init()
    model = Model.load(str(GUIDE), Placing())
    context = Context(model, Sizing(n_ctx=n_tokens + 256, n_threads=os.cpu_count() or 1))
    meter = Meter()
    decode_one, sample = context.decode_one, L.llama_sampler_sample

    def decode(token: int, position: int) -> int:
        code = meter.around(decode_one)(token, position)
        meter.token_is_done()
        return int(code)

    context.decode_one = decode  # type: ignore[method-assign]
    L.llama_sampler_sample = meter.around(sample)
    prompt = model.vocabulary.tokens(PROMPT, parse_special=False)
    ask = Ask(prompt, Sampling(temperature=0.8, ignore_eos=True, seed=1), n_tokens, stops)
    Answer(model, Slot(context, Pace(context.chunk, model.n_layers)), Generation(ask, Nowhere())).speak()  # type: ignore[arg-type]
    L.llama_sampler_sample = sample
    return meter.outside_us[1:]


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=1600)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; target <= {TARGET_US}, the same for both tenths")
    print("microseconds of Python per token   first tenth   last tenth")
    for name, stops in (("no stop strings", ()), ("three stop strings", ("never said", "\nUser:", "###"))):
        costs = measure(arguments.tokens, stops)
        tenth = len(costs) // 10
        first, last = statistics.median(costs[:tenth]), statistics.median(costs[-tenth:])
        print(f"{name:<32} {first:>13.1f} {last:>12.1f}")


if __name__ == "__main__":
    main()
