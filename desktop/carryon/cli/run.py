"""`carryon run`: one question, one answer."""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

from carryon.base.errors import BadInput
from carryon.base.jobs import drained
from carryon.base.paths import Home
from carryon.base.units import seconds_text, speed_text
from carryon.chat import turn
from carryon.chat.message import Figures, Message, Role, State
from carryon.chat.store import Store
from carryon.cli.loading import add_model_options, answered, chosen_from, loaded, this_home
from carryon.engine.client import Ending, Finished, Sampling, TextDelta, Timings, Turn, Usage
from carryon.engine.process import Engine

_EXAMPLES = """examples:
  carryon run guide -p "What is Q4_K_M?"
  carryon run ~/models/qwen3-8b-Q5_K_M.gguf -p "Write a haiku" --gpu-layers all
  cat question.txt | carryon run guide -p - --json
"""


@dataclass(frozen=True)
class Answer:
    """What an answer came to; the JSON output has these names."""

    text: str
    ending: Ending
    usage: Usage | None
    timings: Timings | None


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "run",
        help="ask a model one question",
        description="Loads a model, asks it one question and prints the answer as it comes.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser)
    parser.add_argument(
        "-p", "--prompt", required=True, metavar="TEXT", help="the question; '-' reads it from standard input"
    )
    parser.add_argument("--system", metavar="TEXT", help="a system prompt before the question")
    parser.add_argument("--json", action="store_true", help="print one JSON object: text, usage, timings")
    parser.add_argument("--save", action="store_true", help="keep the exchange among the chats of the window")
    add_sampling_options(parser)
    parser.set_defaults(run=run)


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """The sampler's settings; what is left out is the model's own default."""
    group = parser.add_argument_group("sampling")
    group.add_argument("--max-tokens", type=int, metavar="N", help="end the answer after N tokens")
    group.add_argument("--temperature", type=float, metavar="X", help="0 always takes the likeliest token")
    group.add_argument("--top-k", type=int, metavar="N")
    group.add_argument("--top-p", type=float, metavar="X")
    group.add_argument("--min-p", type=float, metavar="X")
    group.add_argument("--repeat-penalty", type=float, metavar="X")
    group.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same answer")
    group.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="end the answer before this text; repeatable"
    )


def run(arguments: argparse.Namespace) -> int:
    """Answers, prints, keeps if asked to."""
    where, prompt = this_home(), _prompt(arguments.prompt)
    chosen = chosen_from(arguments, where)
    with loaded(chosen, where) as engine:
        answer = (_saved if arguments.save else _spoken)(arguments, where, engine, prompt)
    if answer.timings:
        answered(chosen, where, Figures(**asdict(answer.timings)))
    if arguments.json:
        print(json.dumps(_as_json(answer), ensure_ascii=False))
    else:
        _print_end(answer)
    return 0


def _spoken(arguments: argparse.Namespace, _where: Home, engine: Engine, prompt: str) -> Answer:
    turns = _turns(arguments.system, prompt)
    words: list[str] = []
    for event in engine.client.chat(turns, _sampling(arguments)):
        match event:
            case TextDelta(text):
                words.append(text)
                _show(arguments, text)
            case Finished(ending, usage, timings):
                return Answer("".join(words), ending, usage, timings)
    raise AssertionError("a stream ends with Finished or an error")


def _saved(arguments: argparse.Namespace, where: Home, engine: Engine, prompt: str) -> Answer:
    """The same through the chat store, so that the window finds it."""
    store = Store(where.chats)
    try:
        conversation = store.begin(prompt)
        if arguments.system:
            store.add(conversation.id, Role.SYSTEM, arguments.system)
        work = turn.ask(store, engine.client, conversation.id, prompt, engine.ready.model_name, _sampling(arguments))
        return _answer_of(drained(work, lambda news: _tell(arguments, news)))
    finally:
        store.close()


def _answer_of(message: Message) -> Answer:
    figures = message.figures
    endings = {State.CUT_LENGTH: Ending.LENGTH, State.CUT_CONTEXT: Ending.CONTEXT}
    ending = endings.get(message.state, Ending.STOP)
    if figures is None:
        return Answer(message.text, ending, None, None)
    usage = Usage(figures.prompt_n + figures.cached_n, figures.predicted_n, figures.cached_n)
    return Answer(message.text, ending, usage, _timings(figures))


def _timings(figures: Figures) -> Timings:
    return Timings(figures.prompt_n, figures.prompt_ms, figures.predicted_n, figures.predicted_ms, figures.cached_n)


def _turns(system: str | None, prompt: str) -> tuple[Turn, ...]:
    question = Turn(Role.USER, prompt)
    return (Turn(Role.SYSTEM, system), question) if system else (question,)


def _sampling(arguments: argparse.Namespace) -> Sampling:
    names = ("max_tokens", "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed")
    return Sampling(**{name: getattr(arguments, name) for name in names}, stop=tuple(arguments.stop))


def _prompt(word: str) -> str:
    text = sys.stdin.read() if word == "-" else word
    if not text.strip():
        raise BadInput("The question is empty.", 'Write it after -p, for example -p "What is VRAM?".')
    return text


def _tell(arguments: argparse.Namespace, news: turn.News | None) -> None:
    if isinstance(news, turn.Said):
        _show(arguments, news.text)


def _show(arguments: argparse.Namespace, text: str) -> None:
    if not arguments.json:
        sys.stdout.write(text)
        sys.stdout.flush()


def _as_json(answer: Answer) -> dict[str, Any]:
    return {
        "text": answer.text,
        "finish_reason": answer.ending.value,
        "usage": asdict(answer.usage) if answer.usage else None,
        "timings": asdict(answer.timings) if answer.timings else None,
    }


def _print_end(answer: Answer) -> None:
    """A line break for the shell, and the figures where somebody watches."""
    print()
    if answer.ending is Ending.CONTEXT:
        print("carryon: The context is full; load with a larger --ctx to go on.", file=sys.stderr)
    if answer.ending is Ending.LENGTH:
        print("carryon: The answer was cut at --max-tokens.", file=sys.stderr)
    if answer.timings and sys.stderr.isatty():
        timings = answer.timings
        speed = timings.predicted_n / timings.predicted_ms * 1000 if timings.predicted_ms else None
        parts = (
            speed_text(speed),
            f"{timings.predicted_n} tokens",
            f"prompt read in {seconds_text(timings.prompt_ms / 1000)}",
        )
        print("\n" + " · ".join(parts), file=sys.stderr)
