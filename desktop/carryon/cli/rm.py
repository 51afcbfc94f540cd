"""`carryon rm`: moves a model of Carryon into its trash, and takes it out again."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from carryon.app.library import checked_entry, files_of, others_text
from carryon.app.model_trash import ModelTrash, Trashed
from carryon.app.models import find
from carryon.base.errors import BadInput
from carryon.base.paths import Home
from carryon.base.units import bytes_text
from carryon.cli.loading import this_home
from carryon.hub.library.words import path_text

_DESCRIPTION = """\
Moves a model out of Carryon's folder into its trash, from where it can be put back.
Files of other programs are never deleted. The trash takes its space until it is emptied.
"""
_EXAMPLES = """\
examples:
  carryon rm qwen3-8b-Q4_K_M          asks first
  carryon rm qwen3-8b-Q4_K_M --yes
  carryon rm --undo                   puts the latest one back
  carryon rm --empty-trash            deletes what is in the trash, for good
"""


def add_parser(commands: Any) -> None:
    """Registers the command."""
    parser = commands.add_parser(
        "rm",
        help="move a model of Carryon to its trash",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a name in the library, or its file")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--undo", action="store_true", help="put back what went into the trash last")
    parser.add_argument("--empty-trash", action="store_true", help="delete what is in the trash, for good")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, ask: Callable[[str], bool] | None = None) -> int:
    """0 where it was done, 1 where the person said no."""
    where, trash = this_home(), ModelTrash(this_home().models)
    said_yes = ask or _asked
    if arguments.undo:
        return _put_back(trash)
    if arguments.empty_trash:
        return _empty(trash, is_sure=arguments.yes, ask=said_yes)
    if not arguments.model:
        raise BadInput("No model is named.", "Name one that “carryon list” shows.")
    return _move(arguments.model, where, trash, is_sure=arguments.yes, ask=said_yes)


def _move(named: str, where: Home, trash: ModelTrash, *, is_sure: bool, ask: Callable[[str], bool]) -> int:
    file = find(named, where)
    if file.is_guide:
        raise BadInput("The guide comes with Carryon and cannot be deleted.", "“carryon list” shows what can.")
    entry = checked_entry(file.path, file.name, where)
    if not entry.is_own:
        raise BadInput(*others_text(entry))
    if not is_sure and not ask(f"Move {path_text(entry.path)} ({bytes_text(entry.size_bytes)}) to the trash?"):
        return 1
    trash.put(entry.name, files_of(entry))
    print(f"Moved {entry.name} to the trash. “carryon rm --undo” puts it back.")
    return 0


def _put_back(trash: ModelTrash) -> int:
    content = trash.content()
    if not content:
        raise BadInput("The trash is empty.")
    trash.put_back(content[0])
    print(f"Put {content[0].name} back: {path_text(content[0].files[0][0])}")
    return 0


def _empty(trash: ModelTrash, *, is_sure: bool, ask: Callable[[str], bool]) -> int:
    content = trash.content()
    if not content:
        print("The trash is empty.")
        return 0
    if not is_sure and not ask(f"Delete {_count(content)} for good?"):
        return 1
    print(f"Freed {bytes_text(trash.empty())}.")
    return 0


def _count(content: tuple[Trashed, ...]) -> str:
    size = bytes_text(sum(one.size_bytes for one in content))
    return f"{content[0].name} ({size})" if len(content) == 1 else f"{len(content)} models ({size})"


def _asked(question: str) -> bool:
    """Only a person at a terminal can say yes."""
    if not sys.stdin.isatty():
        raise BadInput("There is nobody to ask.", "Add --yes.")
    print(f"{question} [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
