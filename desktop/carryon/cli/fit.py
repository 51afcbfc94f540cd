"""`carryon fit`: what a model needs on this machine or another, how fast it would run, and what would make it fit."""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from carryon.app.fitting import Fitting, Subject, confirmed
from carryon.app.machine_file import read_machine_file
from carryon.base.errors import AppError, BadInput
from carryon.base.jobs import drained
from carryon.base.log import start_log
from carryon.cli import columns
from carryon.cli.fit_report import as_json, as_text
from carryon.cli.loading import this_home, tokens, whole
from carryon.cli.subjects import subject_of
from carryon.fit.answers import Fit, Plan, Site, Wishes
from carryon.fit.plan import plan
from carryon.gguf.quants import KvType
from carryon.hardware.machine import Machine
from carryon.hardware.probe import probe

_DESCRIPTION = """\
Says whether a model fits, what it needs on each device, how fast it would run and
what would make it fit or make it faster. Only the file's header is read; nothing is
loaded. The verdict is one of: fits on the GPU, fits split, fits in RAM, runs from disk
(slow), too big. Whatever it says, “carryon run” will try to load it.
"""
_EXAMPLES = """\
examples:
  carryon fit model-Q5_K_M.gguf                      on this machine
  carryon fit model-Q5_K_M.gguf --ctx 32768 --kv q8_0
  carryon fit owner/repo                             every quant of a repository on the Hub
  carryon fit model-Q5_K_M.gguf --quant Q4_K_M       as if it were another quant
  carryon fit model-Q5_K_M.gguf --exact --json       with the engine's own plan
  carryon fit model-Q5_K_M.gguf --machine other.json what another machine would do

A machine file is what “carryon machine --json” prints, or {"gpus": ["RTX 4090"], "ram_gb": 64}.
"""


_KV_TYPES = ", ".join(one.value for one in KvType)


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "fit",
        help="say whether a model fits, how fast it would run and what would help",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="a GGUF file, a name in the library, owner/repo[:QUANT] on the Hub, or 'guide'"
    )
    parser.add_argument("--quant", metavar="TYPE", help="judge this quant type instead of the file's own; 'best' picks")
    parser.add_argument("--ctx", type=tokens, metavar="N", help="context length in tokens (default: chosen)")
    parser.add_argument("--kv", type=_kv_type, metavar="TYPE", help=f"how the KV cache is stored: {_KV_TYPES}")
    parser.add_argument("--gpu-layers", default="auto", metavar="N", help="layers on the GPU, 'auto' or 'all'")
    parser.add_argument("--cpu-experts", type=whole, metavar="N", help="keep the experts of the first N layers in RAM")
    parser.add_argument("--ubatch", type=whole, metavar="N", help="tokens computed together when a prompt is read")
    parser.add_argument("--parallel", type=whole, default=1, metavar="N", help="conversations that share the context")
    parser.add_argument("--machine", type=Path, metavar="FILE", help="another machine, as JSON")
    parser.add_argument("--exact", action="store_true", help="wait for the engine's own plan")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the answer; every verdict is an answer, so the exit code is 0."""
    where = this_home()
    start_log(where.logs, "cli")
    machine = read_machine_file(arguments.machine) if arguments.machine else None
    fitting = Fitting(where)
    try:
        subject = subject_of(arguments.source, where, fitting)
        found = machine or probe()
        if machine is None:
            drained(fitting.measuring(found))
        site = fitting.site(found, is_here=machine is None)
        made = plan(subject.candidates, site, _wishes(arguments, subject))
        if arguments.exact:
            made = confirmed(made, _exact(fitting, made.best, site, found, is_here=machine is None), site)
    finally:
        fitting.close()
    _print(arguments, subject, made)
    return 0


def _wishes(arguments: argparse.Namespace, subject: Subject) -> Wishes:
    return Wishes(
        quant=_quant(arguments.quant, subject),
        n_ctx=arguments.ctx,
        kv_type=arguments.kv,
        n_gpu_layers=_layers(arguments.gpu_layers, subject),
        n_cpu_experts=arguments.cpu_experts,
        n_ubatch=arguments.ubatch,
        n_parallel=arguments.parallel,
    )


def _kv_type(word: str) -> KvType:
    try:
        return KvType(word.lower())
    except ValueError:
        raise BadInput(f"There is no KV cache type “{word}”.", f"Known are {_KV_TYPES}.") from None


def _quant(named: str | None, subject: Subject) -> str | None:
    """The candidate of that name, whatever its letters' case; None lets the plan pick."""
    if named is None:
        return subject.chosen
    if named.lower() == "best":
        return None
    known = {one.quant.lower(): one.quant for one in subject.candidates}
    if named.lower() not in known:
        raise BadInput(f"There is no quant type “{named}”.", f"Known are {', '.join(known.values())}, or 'best'.")
    return known[named.lower()]


def _layers(word: str, subject: Subject) -> int | None:
    if word == "auto":
        return None
    if word == "all":
        return subject.named.shape.n_gpu_layers_max
    try:
        return int(word)
    except ValueError:
        raise BadInput(f"“{word}” is no number of GPU layers.", "Give a number, 'auto' or 'all'.") from None


def _exact(fitting: Fitting, fit: Fit, site: Site, machine: Machine, *, is_here: bool) -> Fit:
    """The engine's own plan; where it cannot be had, the instant answer and a word why."""
    if not is_here or fit.candidate.path is None:
        why = "another machine" if not is_here else "a quant that is not here"
        print(f"carryon: the engine cannot plan for {why}, so the instant answer stands.", file=sys.stderr)
        return fit
    try:
        return drained(fitting.confirming(fit, site, machine))
    except AppError as error:
        print(f"carryon: the engine gave no plan, so the instant answer stands. {error.message}", file=sys.stderr)
        return fit


def _print(arguments: argparse.Namespace, subject: Subject, made: Plan) -> None:
    if arguments.json:
        print(json.dumps(as_json(subject, made), indent=2))
    else:
        asked = ["carryon", "fit", arguments.source]
        asked += ["--machine", str(arguments.machine)] if arguments.machine else []
        print(as_text(subject, made, shlex.join(asked), columns.width()))
