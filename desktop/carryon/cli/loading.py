"""Loading a model for a command: its options, its progress on the terminal, its end."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from carryon.app.fitting import Fitting
from carryon.app.models import ModelFacts, ModelFile, facts, find
from carryon.app.services import probing_for_plan
from carryon.app.wishes import LoadWish, default_context, planned_wish, request_of
from carryon.base.errors import BadInput, Unsupported
from carryon.base.jobs import drained
from carryon.base.log import start_log
from carryon.base.paths import Home, home
from carryon.base.units import context_text
from carryon.chat.message import Figures
from carryon.engine.process import Engine, start
from carryon.engine.protocol import KvType, Loading, LoadRequest
from carryon.fit.memory import DEFAULT_UBATCH
from carryon.fit.plan import Fit, Site, Wishes, plan
from carryon.fit.words import verdict_sentence


@dataclass(frozen=True)
class ToLoad:
    """What the engine is asked for, and what was predicted of it where it was planned."""

    request: LoadRequest
    wish: LoadWish


_LAYER_WORDS = {"auto": None, "all": 1 << 30}
_MOST_THREADS = 512  # GGML_MAX_N_THREADS of ggml.h


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """MODEL and how to load it: the same words for every command."""
    parser.add_argument("model", metavar="MODEL", help="a GGUF file, a name in the library, or 'guide'")
    load = parser.add_argument_group("loading")
    load.add_argument(
        "--ctx", type=_context, metavar="TOKENS", help="context length (default: what fits well, 4096 to 16384)"
    )
    load.add_argument(
        "--gpu-layers",
        type=_layers,
        metavar="auto|all|N",
        help="layers on the GPU, output layer included (default: auto, as many as fit)",
    )
    load.add_argument(
        "--cpu-experts", type=_count, metavar="N", help="keep the experts of the first N layers in RAM (default: auto)"
    )
    load.add_argument("--threads", type=threads, metavar="N", help="CPU threads (default: physical cores)")
    load.add_argument(
        "--kv", choices=[one.value for one in KvType], help="how the KV cache is stored (default: f16, where that fits)"
    )
    load.add_argument(
        "--ubatch", type=positive, metavar="N", help="tokens of a prompt computed together (default: 512)"
    )
    load.add_argument("--no-mmap", action="store_true", help="read the whole file into memory instead of mapping it")
    load.add_argument(
        "--rpc",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="add a llama.cpp RPC server as a device; repeatable",
    )


def chosen_from(arguments: argparse.Namespace, where: Home, **more: Any) -> ToLoad:
    """What to load for these arguments. Raises BadInput or BadFile before any process starts."""
    file = find(arguments.model, where)
    model = facts(file)
    for endpoint in arguments.rpc:
        _check_endpoint(endpoint)
    planned = _planned(arguments, file, where) if arguments.gpu_layers is None else None
    wish = planned or _as_told(arguments, model)
    request = replace(request_of(wish), n_threads=arguments.threads, rpc_endpoints=tuple(arguments.rpc), **more)
    return ToLoad(request, wish)


def _as_told(arguments: argparse.Namespace, model: ModelFacts) -> LoadWish:
    """Every number as it stands on the command line, the others as they always are."""
    return LoadWish(
        model.file,
        arguments.ctx or default_context(model.n_ctx_train),
        min(arguments.gpu_layers or 0, model.n_gpu_layers_max),
        n_cpu_experts=min(arguments.cpu_experts or 0, model.n_layers),
        n_ubatch=arguments.ubatch or DEFAULT_UBATCH,
        kv_type=_kv_type(arguments) or KvType.F16,
        use_mmap=not arguments.no_mmap,
    )


def _planned(arguments: argparse.Namespace, file: ModelFile, where: Home) -> LoadWish | None:
    """The plan's answer for this machine, said on stderr; None for a model that only the engine understands."""
    if arguments.rpc:
        _say("How much memory other machines have is not known; --gpu-layers says how many layers go there.")
        return None
    fitting = Fitting(where)
    try:
        subject = drained(fitting.reading(file.path))
        site = fitting.site(drained(probing_for_plan()))
        made = plan((subject.named,), site, _wishes(arguments, subject.named.quant))
    except Unsupported:
        _say("What this model needs cannot be told beforehand, so it runs on the processor; --gpu-layers changes that.")
        return None
    finally:
        fitting.close()
    _say(f"{verdict_sentence(made.best, made.rooms)} {_chosen_text(made.best)}")
    return planned_wish(file, made.best, site, is_automatic=True)


def _wishes(arguments: argparse.Namespace, quant: str) -> Wishes:
    return Wishes(
        quant=quant,
        n_ctx=arguments.ctx,
        kv_type=_kv_type(arguments),
        n_cpu_experts=arguments.cpu_experts,
        n_ubatch=arguments.ubatch,
        use_mmap=not arguments.no_mmap,
    )


def _kv_type(arguments: argparse.Namespace) -> KvType | None:
    return KvType(arguments.kv) if arguments.kv else None


def _chosen_text(fit: Fit) -> str:
    """What the plan settled beside the layers."""
    placed = fit.placement
    return f"Context {context_text(placed.n_ctx)}, KV cache {placed.kv_type.value}."


@contextmanager
def loaded(chosen: ToLoad, where: Home) -> Iterator[Engine]:
    """The engine with this model, ended whatever happens; what it had to change is said on stderr."""
    start_log(where.logs, "cli")
    engine = drained(start(chosen.request, where.logs), _show_progress)
    try:
        _learn(chosen.wish, where, lambda fitting, fit, site: fitting.loaded(fit, site, engine.ready))
        for notice in engine.ready.notices:
            _say(notice)
        yield engine
    finally:
        engine.end()


def answered(chosen: ToLoad, where: Home, figures: Figures) -> None:
    """Keeps how fast an answer was, for the next prediction."""
    _learn(chosen.wish, where, lambda fitting, fit, site: fitting.answered(fit, site, figures))


def _learn(wish: LoadWish, where: Home, tell: Callable[[Fitting, Fit, Site], None]) -> None:
    """What was not planned has nothing to be compared with."""
    if wish.fit and wish.site:
        fitting = Fitting(where)
        try:
            tell(fitting, wish.fit, wish.site)
        finally:
            fitting.close()


def this_home() -> Home:
    """The home that the environment names."""
    return home()


def _say(words: str) -> None:
    """A line for the person, out of the way of the answer."""
    print(f"carryon: {words}", file=sys.stderr)


def _show_progress(news: Loading | None) -> None:
    """A percentage that erases itself, only where somebody can see it."""
    if news is not None and sys.stderr.isatty():
        sys.stderr.write(f"\rLoading {news.fraction:4.0%}\r" if news.fraction < 1 else "\r            \r")
        sys.stderr.flush()


def tokens(word: str) -> int:
    """'8192', '8,192' and '8k' as the window takes them. How many are too many is the plan's to say."""
    plain = word.strip().lower().replace(",", "")
    digits = plain.removesuffix("k")
    if not digits.lstrip("-").isdecimal() or len(digits) > 30:
        raise BadInput(f"“{word}” is no number of tokens.", "Write it like 8192 or 8k.")
    return int(digits) * (1024 if plain != digits else 1)


def whole(word: str) -> int:
    """Any whole number; whether it makes sense is the plan's to say."""
    if not word.strip().lstrip("-").isdecimal() or len(word) > 30:
        raise BadInput(f"“{word}” is no whole number.", "“carryon fit --help” shows what each option takes.")
    return int(word)


def _context(word: str) -> int:
    value = tokens(word)
    if not 0 < value < 1 << 31:
        raise argparse.ArgumentTypeError(f"{word} is not a number above 0")
    return value


def positive(word: str) -> int:
    """A number above 0 that the engine has room for; for argparse, as the next two."""
    value = int(word)
    if not 0 < value < 1 << 31:
        raise argparse.ArgumentTypeError(f"{word} is not a number above 0")
    return value


def threads(word: str) -> int:
    """With more of them than it can count, the engine would die."""
    value = positive(word)
    if value > _MOST_THREADS:
        raise argparse.ArgumentTypeError(f"{word} threads are more than the engine can have ({_MOST_THREADS})")
    return value


def layers_or_all(word: str) -> int:
    """As the engine counts: below 0 are all."""
    if word == "all":
        return -1
    if not word.isdecimal() or int(word) >= 1 << 31:
        raise argparse.ArgumentTypeError("layers are counted from 0, or say 'all'")
    return int(word)


def _count(word: str) -> int:
    value = int(word)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{word} is not a number from 0 up")
    return value


def _layers(word: str) -> int | None:
    """None leaves it to the plan."""
    if word in _LAYER_WORDS:
        return _LAYER_WORDS[word]
    if not word.isdigit():
        raise argparse.ArgumentTypeError("layers are counted from 0, or say 'all' or 'auto'")
    return int(word)


def _check_endpoint(endpoint: str) -> None:
    name, _, port = endpoint.rpartition(":")
    if not name or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise BadInput(f"“{endpoint}” is no RPC address.", "Write it as HOST:PORT, for example 192.168.1.20:50052.")
