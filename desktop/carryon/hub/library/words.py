"""The words about models of the library, for the window and for commands: states come in, words go out. No Qt."""

import time
from pathlib import Path

from carryon.base.units import NOT_MEASURED, context_text
from carryon.gguf.cursor import shown
from carryon.hub.library.entry import Entry, Kind
from carryon.hub.library.shelves import Program

PROGRAMS = {
    Program.CARRYON: "Carryon",
    Program.HUGGING_FACE: "Hugging Face",
    Program.LM_STUDIO: "LM Studio",
    Program.OLLAMA: "Ollama",
    Program.JAN: "Jan",
    Program.GPT4ALL: "GPT4All",
}
KINDS = {
    Kind.MODEL: "model",
    Kind.PROJECTOR: "projector",
    Kind.ADAPTER: "LoRA",
    Kind.OTHER: "no model",
}
_LONGEST_PATH = 4096
_DAY_S = 86400.0


def where_text(entry: Entry) -> str:
    """'LM Studio', or the name of a folder that the person added."""
    return PROGRAMS.get(entry.shelf.program) or shown(entry.shelf.root.name or str(entry.shelf.root))


def path_text(path: Path) -> str:
    """A path as it can be shown, whatever bytes it has."""
    return shown(str(path), _LONGEST_PATH)


def quant_text(entry: Entry) -> str:
    """'Q4_K_M'; for what is no model, what it is."""
    if entry.is_broken:
        return "broken"
    if entry.known.kind is not Kind.MODEL:
        return KINDS[entry.known.kind]
    return entry.known.quant or NOT_MEASURED


def context_of(entry: Entry) -> str:
    """'40k'."""
    return context_text(entry.known.n_ctx_train) if entry.known.n_ctx_train else NOT_MEASURED


def parameters_of(entry: Entry) -> str:
    """'8.2 B'."""
    count = entry.known.n_params
    if not count:
        return NOT_MEASURED
    for step, name in ((1e9, "B"), (1e6, "M")):
        if count >= step:
            return f"{count / step:.1f} {name}"
    return f"{count:,}"


def template_text(entry: Entry) -> str:
    """Whether the file brings its chat format."""
    match entry.known.has_template:
        case None:
            return NOT_MEASURED
        case True:
            return "in the file"
        case False:
            return "none: answers may be poor in a chat"


def when_text(when_s: float | None, now_s: float | None = None) -> str:
    """'today', 'yesterday', '5 days ago', '20 Mar 2026'; a dash where it is not known."""
    if when_s is None:
        return NOT_MEASURED
    now_s = time.time() if now_s is None else now_s
    days = int((_midnight(now_s) - _midnight(when_s)) / _DAY_S + 0.5)
    if days <= 0:
        return "today"
    if days == 1:
        return "yesterday"
    if days < 30:
        return f"{days} days ago"
    date = time.localtime(when_s)
    return f"{date.tm_mday} {time.strftime('%b %Y', date)}"


def _midnight(when_s: float) -> float:
    date = time.localtime(when_s)
    return time.mktime((date.tm_year, date.tm_mon, date.tm_mday, 0, 0, 0, 0, 0, -1))
