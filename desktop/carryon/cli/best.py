"""`carryon best`: the file of the highest quality that fits this machine, from a model in any form, in one go."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from carryon.app.best import Best, Choice, making_best
from carryon.app.workshop_run import News
from carryon.app.workshop_source import source_of
from carryon.base.log import start_log
from carryon.cli.loading import this_home, tokens
from carryon.cli.preflight_report import target_json
from carryon.cli.workshop_desk import Screen, desk

_DESCRIPTION = """\
Looks at a model, chooses the type of the highest quality that fits this machine with the
wished context, makes it, tries it, and says how to chat with it. Ctrl+C keeps what is
whole; the same command goes on from there.
"""
_EXAMPLES = """\
examples:
  carryon best owner/name                            a repository on the Hub
  carryon best ./SmolLM2-135M-Instruct --ctx 16k     a Hugging Face folder
  carryon best owner/name --out ~/models
"""


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "best",
        help="make the best file for this machine of a model",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SRC", help="a Hugging Face folder, owner/name[@REVISION], or a GGUF file")
    parser.add_argument("--ctx", type=tokens, metavar="N", help="context length in tokens (default: chosen)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the file goes (default: the library)")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Makes it, and says what was chosen, why, and what comes next."""
    where = this_home()
    start_log(where.logs, "cli")
    folder = (arguments.out or where.models).expanduser().absolute()
    with desk(where) as made, Screen() as screen:
        source = source_of(arguments.source)
        work = making_best(source, arguments.ctx, folder, made.inspector, made.bench)
        best = screen.shown(work, lambda news: _say(news, screen))
    print(json.dumps(_as_json(best), indent=2, ensure_ascii=False) if arguments.json else _as_text(best))
    return 0


def _say(news: Choice | News, screen: Screen) -> None:
    if isinstance(news, Choice):
        for sentence in news.why:
            screen.say(sentence)


def _as_json(best: Best) -> dict[str, Any]:
    choice = best.choice
    return {
        "path": str(best.path),
        "was_here": best.was_here,
        "why": list(choice.why),
        "revision": choice.preflight.revision or None,
        "chosen": target_json(choice.target),
    }


def _as_text(best: Best) -> str:
    start = "Here already" if best.was_here else "Made"
    return f"{start}: {best.path}\nChat with it: carryon run {shlex.quote(str(best.path))}"
