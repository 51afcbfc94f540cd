"""The second turn of a 2,000-token conversation: time to its first token against decoding only its new tokens.

    python tests/benchmarks/bench_second_turn.py [--model FILE] [--rounds 5]

The peer is the same engine with an empty cache, asked a prompt as long as the second turn's new tokens.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from models import GUIDE

from carryon.cli.loading import drained
from carryon.engine.client import EngineClient, Finished, Sampling, TextDelta, Timings, Turn
from carryon.engine.process import start
from carryon.engine.protocol import LoadRequest

_WORDS = "Please explain once more how the KV cache grows with the context and what that means for my card. "


def first_token_ms(client: EngineClient, turns: tuple[Turn, ...]) -> tuple[float, Timings, str]:
    """Milliseconds until the first words, the engine's own timings, the answer."""
    began, first, words = time.perf_counter(), None, []
    for event in client.chat(turns, Sampling(temperature=0, max_tokens=16, ignore_eos=True)):
        match event:
            case TextDelta(text):
                first = first or (time.perf_counter() - began) * 1000
                words.append(text)
            case Finished(_, _, timings) if timings and first:
                return first, timings, "".join(words)
    raise AssertionError("the stream had no words or no timings")


def long_talk(client: EngineClient, n_tokens: int, mark: str) -> str:
    """A first message of about so many tokens, different for every round."""
    per_word = len(client.tokenize(_WORDS))
    return mark + _WORDS * (n_tokens // per_word)


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=GUIDE)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs:
        engine = drained(start(LoadRequest(str(arguments.model), n_ctx=4096), Path(logs)))
        try:
            _report([_round(engine.client, index) for index in range(arguments.rounds)])
        finally:
            engine.end()


def _round(client: EngineClient, index: int) -> tuple[float, float, Timings]:
    """First token of the second turn, first token of as many tokens on an empty cache, and what was decoded."""
    opening = Turn("user", long_talk(client, 1950, f"Round {index}. "))
    _, _, said = first_token_ms(client, (opening,))
    question = Turn("user", f"And on round {index}, what should I do about it on a card with 8 GB?")
    second, timings, _ = first_token_ms(client, (opening, Turn("assistant", said), question))
    fresh, alone, _ = first_token_ms(client, (Turn("user", f"{index} " + _WORDS * 2 + question.content),))
    # The peer's prompt has another length: scale its time to the second turn's new tokens.
    return second, fresh * timings.prompt_n / alone.prompt_n if alone.prompt_n else fresh, timings


def _report(measured: list[tuple[float, float, Timings]]) -> None:
    second, fresh = (statistics.median(one[side] for one in measured) for side in (0, 1))
    decoded, cached = measured[-1][2].prompt_n, measured[-1][2].cached_n
    print(f"second turn: {decoded} tokens decoded, {cached} from the cache")
    print(
        f"first token {second:.1f} ms; decoding only the new tokens {fresh:.1f} ms; ratio {second / fresh:.2f} (target <= 1.1)"
    )


if __name__ == "__main__":
    main()
