"""Loading a model for a command: its options, its progress on the terminal, its end."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from carryon.app.host import default_context
from carryon.app.models import facts, find
from carryon.base.errors import BadInput
from carryon.base.jobs import drained
from carryon.base.log import start_log
from carryon.base.paths import Home, home
from carryon.engine.process import Engine, start
from carryon.engine.protocol import KvType, Loading, LoadRequest


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """MODEL and how to load it: the same words for every command."""
    parser.add_argument("model", metavar="MODEL", help="a GGUF file, a name in the library, or 'guide'")
    load = parser.add_argument_group("loading")
    load.add_argument(
        "--ctx", type=_positive, metavar="TOKENS", help="context length (default: the trained one, at most 8192)"
    )
    load.add_argument(
        "--gpu-layers",
        type=_layers,
        default=0,
        metavar="N",
        help="layers on the GPU, output layer included, or 'all' (default: 0)",
    )
    load.add_argument("--threads", type=_positive, metavar="N", help="CPU threads (default: physical cores)")
    load.add_argument(
        "--kv", type=KvType, choices=list(KvType), default=KvType.F16, help="how the KV cache is stored (default: f16)"
    )
    load.add_argument(
        "--rpc",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="add a llama.cpp RPC server as a device; repeatable",
    )


def request_from(arguments: argparse.Namespace, where: Home, **more: Any) -> LoadRequest:
    """The engine's request for these arguments. Raises BadInput or BadFile before any process starts."""
    file = find(arguments.model, where)
    model = facts(file)
    for endpoint in arguments.rpc:
        _check_endpoint(endpoint)
    return LoadRequest(
        model_path=str(file.path),
        n_ctx=arguments.ctx or default_context(model.n_ctx_train),
        n_gpu_layers=min(arguments.gpu_layers, model.n_gpu_layers_max),
        n_threads=arguments.threads,
        kv_type=arguments.kv,
        rpc_endpoints=tuple(arguments.rpc),
        model_name=file.name,
        **more,
    )


@contextmanager
def loaded(request: LoadRequest, where: Home) -> Iterator[Engine]:
    """The engine with this model, ended whatever happens; what it had to change is said on stderr."""
    start_log(where.logs, "cli")
    engine = drained(start(request, where.logs), _show_progress)
    try:
        for notice in engine.ready.notices:
            print(f"carryon: {notice}", file=sys.stderr)
        yield engine
    finally:
        engine.end()


def this_home() -> Home:
    """The home that the environment names."""
    return home()


def _show_progress(news: Loading | None) -> None:
    """A percentage that erases itself, only where somebody can see it."""
    if news is not None and sys.stderr.isatty():
        sys.stderr.write(f"\rLoading {news.fraction:4.0%}\r" if news.fraction < 1 else "\r            \r")
        sys.stderr.flush()


def _positive(word: str) -> int:
    value = int(word)
    if not 0 < value < 1 << 31:
        raise argparse.ArgumentTypeError(f"{word} is not a number above 0")
    return value


def _layers(word: str) -> int:
    if word == "all":
        return 1 << 30
    value = int(word)
    if value < 0:
        raise argparse.ArgumentTypeError("layers are counted from 0, or say 'all'")
    return value


def _check_endpoint(endpoint: str) -> None:
    name, _, port = endpoint.rpartition(":")
    if not name or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise BadInput(f"“{endpoint}” is no RPC address.", "Write it as HOST:PORT, for example 192.168.1.20:50052.")
