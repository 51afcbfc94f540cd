"""`carryon evaluate`: how much quants of a model lost, measured with a text, and kept for the Fit page."""

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

from carryon.app.evaluations import Evaluations
from carryon.app.models import find
from carryon.base.errors import BadInput
from carryon.base.log import start_log
from carryon.base.paths import Home
from carryon.cli import progress_bar
from carryon.cli.columns import cut, width
from carryon.cli.fit_report import table
from carryon.cli.loading import layers_or_all, positive, this_home, threads
from carryon.evaluate import texts
from carryon.evaluate.job import evaluating
from carryon.evaluate.request import USUAL_CONTEXT, EvaluateRequest
from carryon.evaluate.result import Evaluation, Measured

_DESCRIPTION = f"""\
Reads a text with the base and with the other files side by side and says what the others
lost: perplexity, KL divergence, how often both would say the same, speed and memory. The
definitions are those of llama.cpp's llama-perplexity. The figures are kept, and
“carryon fit” and the Fit page show them.

{textwrap.fill(texts.OWN_TEXT_IS_BETTER, 90)}
"""
_EXAMPLES = """\
examples:
  carryon evaluate model-F16.gguf model-Q4_K_M.gguf model-Q8_0.gguf
  carryon evaluate guide                           perplexity and speed of one file
  carryon evaluate f16.gguf q4.gguf --text mine.txt --chunks 20 --json
"""
_NARROWEST_NAME = 16
_SPEEDS = (7, 8)  # columns that give way first, then the size in bits
_BITS = 2


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "evaluate",
        help="measure what quantizing lost",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", metavar="BASE", help="what the others are measured against: the F16 or BF16 file")
    parser.add_argument("others", metavar="OTHER", nargs="*", help="quants of the same model")
    parser.add_argument("--text", type=Path, metavar="F", help="a text file (default: the one that comes with Carryon)")
    parser.add_argument(
        "--ctx", type=positive, default=USUAL_CONTEXT, metavar="N", help="tokens in a chunk (default: 512)"
    )
    parser.add_argument("--chunks", type=positive, metavar="N", help="read only the first N chunks (default: all)")
    parser.add_argument("--threads", type=threads, metavar="N", help="CPU threads (default: physical cores)")
    parser.add_argument(
        "--gpu-layers", type=layers_or_all, default=0, metavar="all|N", help="layers on the GPU (default: 0)"
    )
    parser.add_argument("--no-speed", action="store_true", help="do not measure speed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measures, keeps and prints."""
    where = this_home()
    start_log(where.logs, "cli")
    asked = _request(arguments, where)
    files = 1 + len(asked.others)
    title = f"Measuring {files} files" if files > 1 else f"Measuring {asked.base.name}"
    work = evaluating(asked, where.logs / "evaluate.log")
    evaluation = progress_bar.show(work, title, progress_bar.counted("tokens"))
    _keep(evaluation, where)
    print(json.dumps(_as_json(evaluation), indent=2) if arguments.json else as_text(evaluation, width()))
    return 0


def as_text(evaluation: Evaluation, columns: int) -> str:
    """The table, in so many columns where names and speeds can give way, and what should be known of it."""
    rows = [texts.COLUMNS, *map(texts.row, evaluation.all)]
    shown = table(rows)
    for column in (*_SPEEDS, _BITS):
        if _wide(shown) > columns:
            rows = [(*row[:column], "", *row[column + 1 :]) for row in rows]
            shown = table(rows)
    if (over := _wide(shown) - columns) > 0:
        longest = max(len(row[0]) for row in rows)
        rows = [(cut(row[0], max(longest - over, _NARROWEST_NAME)), *row[1:]) for row in rows]
        shown = table(rows)
    return "\n".join([shown, texts.scored_text(evaluation.base), *evaluation.notices])


def _wide(shown: str) -> int:
    return max(map(len, shown.splitlines()))


def _request(arguments: argparse.Namespace, where: Home) -> EvaluateRequest:
    """Raises BadInput, BadFile."""
    base, *others = (find(named, where).path for named in (arguments.base, *arguments.others))
    if base in others or len(set(others)) < len(others):
        raise BadInput("A file is named twice.", "Name each once: the base first, then what is compared with it.")
    return EvaluateRequest(
        base,
        tuple(others),
        arguments.text.expanduser() if arguments.text else None,
        arguments.ctx,
        arguments.chunks,
        arguments.threads,
        arguments.gpu_layers,
        measures_speed=not arguments.no_speed,
    )


def _keep(evaluation: Evaluation, where: Home) -> None:
    kept = Evaluations(where.library)
    try:
        kept.keep(evaluation)
    finally:
        kept.close()


def _as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Sizes in bytes, speeds in tokens per second, divergence in nats; what was not measured is null."""
    return {
        "base": _measured_json(evaluation.base),
        "others": [_measured_json(one) for one in evaluation.others],
        "text_sha256": evaluation.base.text_sha256,
        "ctx": evaluation.base.n_ctx,
        "engine": evaluation.base.engine_version,
        "notices": list(evaluation.notices),
    }


def _measured_json(one: Measured) -> dict[str, Any]:
    return {
        "path": str(one.path),
        "quant": one.quant,
        "size_bytes": one.size_bytes,
        "bits_per_weight": round(one.bits_per_weight, 4),
        "perplexity": one.perplexity,
        "perplexity_error": one.perplexity_error,
        "kl_divergence": one.kl_divergence,
        "kl_error": one.kl_error,
        "same_top": one.same_top,
        "rms_probability_change": one.rms_probability_change,
        "prompt_tokens_per_s": one.prefill_tokens_per_s,
        "tokens_per_s": one.decode_tokens_per_s,
        "memory_bytes": one.memory_bytes,
        "tokens": one.n_tokens,
    }
