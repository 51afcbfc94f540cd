"""`carryon bench`: how fast a model reads and writes here, through the same stream that a chat uses."""

import argparse
import json
import statistics
from dataclasses import asdict, dataclass
from typing import Any

from carryon.base.errors import BadInput
from carryon.base.units import memory_text
from carryon.chat.message import Figures
from carryon.cli.loading import add_model_options, answered, chosen_from, loaded, this_home
from carryon.engine.client import EngineClient, Finished, Sampling, Timings
from carryon.engine.process import Engine

_TEXT = "A model reads a prompt in large steps and writes its answer one token at a time; both speeds matter. "
_EXAMPLES = """examples:
  carryon bench guide
  carryon bench ~/models/qwen3-8b-Q5_K_M.gguf --gpu-layers all --json
"""


@dataclass(frozen=True)
class Speeds:
    """Tokens per second: the median of the repetitions and all of them."""

    n_tokens: int
    median: float
    all: tuple[float, ...]


@dataclass(frozen=True)
class Bench:
    """What was measured, and with what."""

    model: str
    n_ctx: int
    n_gpu_layers: int
    memory_bytes: int
    prompt: Speeds
    answer: Speeds


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "bench",
        help="measure a model's speed on this machine",
        description="Measures how many tokens a second a model reads (prompt) and writes (answer) on this machine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser)
    parser.add_argument("--prompt-tokens", type=_tokens, default=512, metavar="N", help="tokens to read (default: 512)")
    parser.add_argument(
        "--answer-tokens", type=_tokens, default=128, metavar="N", help="tokens to write (default: 128)"
    )
    parser.add_argument(
        "--repeat", type=_tokens, default=3, metavar="N", help="repetitions, of which the median counts (default: 3)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measures and prints."""
    where = this_home()
    chosen = chosen_from(arguments, where)
    n_ctx = chosen.request.n_ctx
    if arguments.prompt_tokens + arguments.answer_tokens > n_ctx:
        raise BadInput(
            f"The context holds {n_ctx:,} tokens, fewer than asked for.", "Ask for fewer tokens or set --ctx."
        )
    with loaded(chosen, where) as engine:
        bench = measure(engine, arguments.prompt_tokens, arguments.answer_tokens, arguments.repeat)
    answered(chosen, where, _figures(bench))
    print(json.dumps(asdict(bench)) if arguments.json else _table(bench))
    return 0


def measure(engine: Engine, n_prompt: int, n_answer: int, repeat: int) -> Bench:
    """Reads `n_prompt` and writes `n_answer` tokens, `repeat` times after one round to warm up."""
    tokens = _prompt_tokens(engine.client, n_prompt + repeat + 1)
    prompts, answers = [], []
    for index in range(repeat + 1):
        # Every round starts at another token: a shared prefix would come from the cache and not be read.
        read = _timed(engine.client, tokens[index : index + n_prompt], 1)
        written = _timed(engine.client, tokens[index : index + 8], n_answer)
        prompts.append(read.prompt_n / read.prompt_ms * 1000)
        answers.append(written.predicted_n / written.predicted_ms * 1000)
    ready = engine.ready
    memory_bytes = sum(device.total_bytes for device in ready.memory)
    return Bench(
        ready.model_name, ready.n_ctx, ready.n_gpu_layers, memory_bytes,
        _speeds(n_prompt, prompts[1:]), _speeds(n_answer, answers[1:]),
    )  # fmt: skip


def _timed(client: EngineClient, tokens: list[int], n_answer: int) -> Timings:
    for event in client.complete(tokens, Sampling(temperature=0, max_tokens=n_answer, ignore_eos=True)):
        if isinstance(event, Finished) and event.timings:
            return event.timings
    raise BadInput("This server does not measure its own speed.", "Measure a model that Carryon loads itself.")


def _prompt_tokens(client: EngineClient, count: int) -> list[int]:
    tokens = client.tokenize(_TEXT)
    return (tokens * (count // len(tokens) + 1))[:count]


def _figures(bench: Bench) -> Figures:
    """The medians as if they were one answer."""
    prompt_ms, answer_ms = (1000 * one.n_tokens / one.median for one in (bench.prompt, bench.answer))
    return Figures(bench.prompt.n_tokens, prompt_ms, bench.answer.n_tokens, answer_ms, cached_n=0)


def _speeds(n_tokens: int, speeds: list[float]) -> Speeds:
    return Speeds(n_tokens, statistics.median(speeds), tuple(speeds))


def _table(bench: Bench) -> str:
    memory = memory_text(bench.memory_bytes)
    rows = [
        f"{bench.model}: context {bench.n_ctx:,}, GPU layers {bench.n_gpu_layers}, memory {memory}",
        f"  reads   {bench.prompt.n_tokens:>5} tokens  {bench.prompt.median:>10,.1f} tokens/s",
        f"  writes  {bench.answer.n_tokens:>5} tokens  {bench.answer.median:>10,.1f} tokens/s",
    ]
    return "\n".join(rows)


def _tokens(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{word} is not a number above 0")
    return value
