"""`carryon serve`: the engine as an OpenAI-compatible server on a port of the person's choice."""

import argparse
import secrets
from typing import Any

from carryon.base.errors import AppError
from carryon.base.jobs import drained
from carryon.cli.loading import add_model_options, chosen_from, loaded, this_home
from carryon.engine.process import Engine

DEFAULT_PORT = 8080
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EXAMPLES = """examples:
  carryon serve guide
  carryon serve ~/models/qwen3-8b-Q5_K_M.gguf --gpu-layers all --port 9000
"""


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "serve",
        help="serve a model to other programs (OpenAI protocol)",
        description="Loads a model and serves it over the OpenAI protocol until Ctrl+C. Every request needs the key.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser)
    server = parser.add_argument_group("server")
    server.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)"
    )
    server.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        help=f"port to listen on, 0 for any free one (default: {DEFAULT_PORT})",
    )
    server.add_argument("--api-key", metavar="KEY", help="the key clients must send (default: a fresh random one)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serves until Ctrl+C; an engine that dies is an error."""
    where = this_home()
    key = arguments.api_key or secrets.token_urlsafe(24)
    chosen = chosen_from(arguments, where, host=arguments.host, port=arguments.port, api_key=key)
    with loaded(chosen, where) as engine:
        _say_how(engine, key)
        died: AppError | None = drained(engine.watch())
    if died:
        raise died
    return 0


def _say_how(engine: Engine, key: str) -> None:
    ready = engine.ready
    print(f"{ready.model_name} is served at {engine.client.base_url}/v1")
    print(f"API key: {key}")
    print(f"Context: {ready.n_ctx:,} tokens. GPU layers: {ready.n_gpu_layers} of {ready.n_layers + 1}. Ctrl+C ends it.")
    if engine.client.host not in _LOOPBACK:
        print("Other machines can reach it; the connection is not encrypted.")
    print(flush=True)


def _port(word: str) -> int:
    value = int(word)
    if not 0 <= value < 1 << 16:
        raise argparse.ArgumentTypeError(f"{word} is not a port; ports go from 0 to 65535")
    return value
