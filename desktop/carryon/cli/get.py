"""`carryon get`: downloads a model from the Hub, and goes on where the last try ended."""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carryon.app.discovery import Discovery, Look
from carryon.app.download_list import Download, DownloadWish
from carryon.app.download_work import Fetched, Step, Terms, fetching, here_bytes, is_all_here, room_missing_for
from carryon.app.fitting import Fitting
from carryon.app.hub_access import HubAccess
from carryon.app.services import probing_for_plan
from carryon.base.errors import AppError, BadInput, NoRoom
from carryon.base.jobs import drained
from carryon.base.log import start_log
from carryon.base.paths import Home
from carryon.base.settings import SettingsFile
from carryon.base.units import bytes_text, done_text
from carryon.cli.download_bar import Shown, shown_on
from carryon.cli.loading import this_home
from carryon.fit.answers import Wishes
from carryon.fit.plan import plan
from carryon.fit.words import verdict_sentence
from carryon.gguf.mix import QUANTS
from carryon.hub.names import Reference, reference_of, safe_parts
from carryon.hub.quants import chosen_quant, gguf_files, nearest_type
from carryon.hub.repo import Gate, QuantFiles, Repo, RepoFile
from carryon.hub.repository import file_of, opening

_DESCRIPTION = """\
Downloads a model, checks every byte of it, and puts it where the window and the other
commands find it. Without a quant it takes what fits this machine best and says why.
Ctrl+C keeps what is here; the same command goes on from there.
"""
_EXAMPLES = """\
examples:
  carryon get Qwen/Qwen3-8B-GGUF                    the quant that fits this machine best
  carryon get Qwen/Qwen3-8B-GGUF:Q5_K_M             this quant, all of its parts
  carryon get Qwen/Qwen3-8B-GGUF:qwen3-8b-q8_0.gguf this file
  carryon get Qwen/Qwen3-8B-GGUF --to /mnt/models   elsewhere than in the library

“carryon search OWNER/REPO” shows the quants of a repository.
"""
_USUAL = "Q4_K_M"  # a good half of all downloads, and near the knee of size against quality (fit/quality.py)


@dataclass(frozen=True)
class Choice:
    """What is downloaded and, where the person did not say it, why."""

    repo: Repo
    files: tuple[RepoFile, ...]
    named: str  # "Q4_K_M" or a file's path: what would be typed to mean the same
    why: str = ""


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "get",
        help="download a model",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="OWNER/REPO[:QUANT|:FILE]", help="a repository on the Hub, or its address")
    parser.add_argument("--to", type=Path, metavar="DIR", help="the folder (default: owner/repo in the library)")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Downloads and says where it is; what is here already is no error."""
    where = this_home()
    start_log(where.logs, "cli")
    settings = SettingsFile(where.settings)
    access = HubAccess(where, settings)
    choice = _chosen(where, access, arguments.source)
    wish = _wish(choice, arguments.to or where.models.joinpath(*safe_parts(choice.repo.repo_id)))
    was_here = is_all_here(wish)
    if not was_here:
        _say_choice(choice, wish)
        _check_room(wish)
        _fetch(wish, Terms(access, settings), _command(arguments, choice))
    _print_end(arguments, wish, choice, was_here=was_here)
    return 0


def _chosen(where: Home, access: HubAccess, source: str) -> Choice:
    site = access.site()
    reference = reference_of(source, site.hosts)
    if reference.file or reference.quant:
        return _as_told(drained(opening(site, reference)), reference)
    look = drained(Discovery(where, access.site).looking_into(reference))
    if not look.files.quants:
        raise _no_quants(look.repo)
    return _recommended(where, look) or _usual(look)


def _as_told(repo: Repo, reference: Reference) -> Choice:
    quants = gguf_files(repo.files).quants
    found = chosen_quant(quants, reference.quant or reference.file) or _set_of(quants, reference.file)
    if found:
        return _choice(repo, found)
    if reference.file:
        return Choice(repo, (file_of(repo, reference.file),), reference.file)
    if not quants:
        raise _no_quants(repo)
    known = ", ".join(map(_typed, quants))
    raise BadInput(f"{repo.repo_id} has no {reference.quant}.", f"It has {known}.")


def _set_of(quants: Sequence[QuantFiles], path: str) -> QuantFiles | None:
    """All parts of the model that this file is a part of: one alone cannot be loaded."""
    return next((one for one in quants if any(file.path == path for file in one.files)), None)


def _choice(repo: Repo, quant: QuantFiles, why: str = "") -> Choice:
    return Choice(repo, quant.files, _typed(quant), why)


def _typed(quant: QuantFiles) -> str:
    """What a person types to mean it: its name, or a file of it where the name says nothing or means several."""
    return quant.quant if quant.quant and " " not in quant.quant else quant.first.path


def _recommended(where: Home, look: Look) -> Choice | None:
    """What the plan for this machine picks; None where nothing can be planned."""
    if look.subject is None:
        return None
    fitting = Fitting(where)
    try:
        made = plan(look.subject.candidates, fitting.site(drained(probing_for_plan())), Wishes())
    except AppError:
        return None
    finally:
        fitting.close()
    found = look.quant(made.best.candidate.quant)
    if found is None:
        return None
    why = f"{_typed(found)} is the best choice for this machine. {verdict_sentence(made.best, made.rooms)}"
    return _choice(look.repo, found, why)


def _usual(look: Look) -> Choice:
    """Q4_K_M, else the quant that is nearest to it in the order of quality."""
    quants = look.files.quants
    found = look.quant(_USUAL) or _nearest(quants)
    return _choice(look.repo, found, f"{_typed(found)} is taken: how it fits this machine cannot be told.")


def _nearest(quants: Sequence[QuantFiles]) -> QuantFiles:
    """To Q4_K_M in the order of quality; the largest where no name says what it is."""
    known = [one for one in quants if nearest_type(one.quant)]
    wanted = QUANTS.index(_USUAL)
    return min(known, key=lambda one: abs(QUANTS.index(nearest_type(one.quant)) - wanted), default=quants[0])


def _no_quants(repo: Repo) -> BadInput:
    return BadInput(
        f"{repo.repo_id} has no GGUF file that could be loaded.",
        "Look for a repository of the same model with “GGUF” in its name: carryon search.",
    )


def _wish(choice: Choice, folder: Path) -> DownloadWish:
    name = choice.repo.repo_id.split("/")[-1]
    return DownloadWish(
        choice.repo.repo_id, choice.repo.commit, f"{name} · {choice.named}", choice.files,
        folder.expanduser().absolute(), choice.repo.found.licence,
    )  # fmt: skip


def _check_room(wish: DownloadWish) -> None:
    missing_bytes = room_missing_for(wish, ())
    if missing_bytes:
        raise NoRoom(
            f"{bytes_text(missing_bytes)} are missing on the disk that holds {wish.folder}.",
            "Free some space there, or name another folder with --to.",
        )


def _fetch(wish: DownloadWish, terms: Terms, command: str) -> None:
    shown = shown_on(sys.stderr)
    terms.hold()
    try:
        drained(fetching(wish, terms), lambda news: _show(shown, wish, news))
    except KeyboardInterrupt:
        shown.end()
        shown.say(f"Stopped. {done_text(here_bytes(wish), wish.total_bytes)} are here and stay.")
        shown.say(f"To go on: {command}")
        raise
    except AppError:
        shown.end()
        raise
    shown.end()


def _show(shown: Shown, wish: DownloadWish, news: Step | Fetched | None) -> None:
    if not isinstance(news, Step):
        return
    if news.notice:
        shown.say(news.notice)
    shown.show(Download("", wish, news.state, news.done_bytes))


def _say_choice(choice: Choice, wish: DownloadWish) -> None:
    parts = f" in {len(choice.files)} files" if len(choice.files) > 1 else ""
    lines = [choice.why] if choice.why else []
    lines.append(f"Downloading {wish.title}, {bytes_text(wish.total_bytes)}{parts}, to {wish.folder}")
    if choice.repo.found.gate is not Gate.OPEN:
        lines.append("Not everybody may have it: the token is sent along, if there is one.")
    for line in lines:
        print(f"carryon: {line}", file=sys.stderr)


def _command(arguments: argparse.Namespace, choice: Choice) -> str:
    """What goes on with the same files, whatever the machine looks like then."""
    to = ["--to", str(arguments.to)] if arguments.to else []
    return shlex.join(["carryon", "get", f"{choice.repo.repo_id}:{choice.named}", *to])


def _print_end(arguments: argparse.Namespace, wish: DownloadWish, choice: Choice, *, was_here: bool) -> None:
    paths = [wish.target(one) for one in wish.files]
    if arguments.json:
        print(json.dumps(_as_json(wish, choice, was_here=was_here), indent=2))
    elif was_here:
        print(f"Already here: {paths[0]}")
    else:
        print(paths[0])


def _as_json(wish: DownloadWish, choice: Choice, *, was_here: bool) -> dict[str, object]:
    files = [{"path": str(wish.target(one)), "size_bytes": one.size_bytes, "sha256": one.sha256} for one in wish.files]
    return {
        "repo": wish.repo_id, "revision": wish.commit, "chosen": choice.named, "why": choice.why or None,
        "was_here": was_here, "files": files,
    }  # fmt: skip
