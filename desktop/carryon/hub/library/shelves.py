"""Where models lie on this disk already: Carryon's own folder, those of other programs, those that a person adds."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from carryon.hub.library.walking import small_text

_LARGEST_SETTING_BYTES = 1 << 20


class Program(Enum):
    """Whose folder it is, which says how models lie in it."""

    CARRYON = "carryon"
    HUGGING_FACE = "huggingface"
    LM_STUDIO = "lmstudio"
    OLLAMA = "ollama"
    JAN = "jan"
    GPT4ALL = "gpt4all"
    FOLDER = "folder"  # one that a person added


@dataclass(frozen=True)
class Shelf:
    """One folder with models. Only Carryon's own is ever written to."""

    program: Program
    root: Path

    @property
    def is_own(self) -> bool:
        return self.program is Program.CARRYON


@dataclass(frozen=True)
class Surroundings:
    """What decides where the programs of this person keep their models."""

    platform: str = sys.platform
    person: Path = field(default_factory=Path.home)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


_ANY, _LINUX, _MAC, _WINDOWS = "", "linux", "darwin", "win32"
# A place that begins with a variable counts where that variable is set; "~" is the person's folder.
_PLACES = (
    # huggingface_hub/constants.py: HF_HUB_CACHE, or hub in HF_HOME, or huggingface/hub in XDG_CACHE_HOME
    (Program.HUGGING_FACE, _ANY, "$HF_HUB_CACHE"),
    (Program.HUGGING_FACE, _ANY, "$HUGGINGFACE_HUB_CACHE"),  # its name until 0.10
    (Program.HUGGING_FACE, _ANY, "$HF_HOME/hub"),
    (Program.HUGGING_FACE, _ANY, "$XDG_CACHE_HOME/huggingface/hub"),
    (Program.HUGGING_FACE, _ANY, "~/.cache/huggingface/hub"),
    # lmstudio-js, findLMStudioHome.ts; the pointer file and downloadsFolder are read below
    (Program.LM_STUDIO, _ANY, "~/.lmstudio/models"),
    (Program.LM_STUDIO, _ANY, "~/.cache/lm-studio/models"),
    # ollama/docs/faq.md, "Where are models stored?"; the last one is the Linux service's
    (Program.OLLAMA, _ANY, "$OLLAMA_MODELS"),
    (Program.OLLAMA, _ANY, "~/.ollama/models"),
    (Program.OLLAMA, _LINUX, "/usr/share/ollama/.ollama/models"),
    # janhq/jan: ~/jan until 0.5, then Jan/data in the platform's folder for settings; llamacpp/models since 0.6
    (Program.JAN, _ANY, "~/jan/models"),
    (Program.JAN, _LINUX, "$XDG_CONFIG_HOME/Jan/data/models"),
    (Program.JAN, _LINUX, "$XDG_CONFIG_HOME/Jan/data/llamacpp/models"),
    (Program.JAN, _LINUX, "~/.config/Jan/data/models"),
    (Program.JAN, _LINUX, "~/.config/Jan/data/llamacpp/models"),
    (Program.JAN, _LINUX, "~/.local/share/Jan/data/models"),
    (Program.JAN, _LINUX, "~/.local/share/Jan/data/llamacpp/models"),
    (Program.JAN, _MAC, "~/Library/Application Support/Jan/data/models"),
    (Program.JAN, _MAC, "~/Library/Application Support/Jan/data/llamacpp/models"),
    (Program.JAN, _WINDOWS, "$APPDATA/Jan/data/models"),
    (Program.JAN, _WINDOWS, "$APPDATA/Jan/data/llamacpp/models"),
    # gpt4all_desktop/settings.md, "Download Path"; the last one is the Python bindings'
    (Program.GPT4ALL, _LINUX, "$XDG_DATA_HOME/nomic.ai/GPT4All"),
    (Program.GPT4ALL, _LINUX, "~/.local/share/nomic.ai/GPT4All"),
    (Program.GPT4ALL, _MAC, "~/Library/Application Support/nomic.ai/GPT4All"),
    (Program.GPT4ALL, _WINDOWS, "$LOCALAPPDATA/nomic.ai/GPT4All"),
    (Program.GPT4ALL, _ANY, "~/.cache/gpt4all"),
)


def shelves(own: Path, added: Sequence[Path], around: Surroundings) -> tuple[Shelf, ...]:
    """Every folder to look into, Carryon's first, those a person added last; whether it is there is seen later."""
    found = [Shelf(Program.CARRYON, own), *_of_programs(around), *(Shelf(Program.FOLDER, one) for one in added)]
    by_root: dict[Path, Shelf] = {}
    for shelf in (one for one in found if "\0" not in str(one.root)):
        by_root.setdefault(Path(os.path.normpath(shelf.root.absolute())), shelf)
    return tuple(Shelf(shelf.program, root) for root, shelf in by_root.items())


def _of_programs(around: Surroundings) -> Iterator[Shelf]:
    for program, platform, place in _PLACES:
        root = _rooted(place, around)
        if root and platform in (_ANY, around.platform):
            yield Shelf(program, root)
    for root in _chosen_in_lm_studio(around.person):
        yield Shelf(Program.LM_STUDIO, root)


def _rooted(place: str, around: Surroundings) -> Path | None:
    first, _, rest = place.partition("/")
    if first == "~":
        return around.person / rest
    if not first.startswith("$"):
        return Path(place)
    told = around.environment.get(first[1:])
    return Path(told).expanduser() / rest if told else None


def _chosen_in_lm_studio(person: Path) -> Iterator[Path]:
    """Where LM Studio was moved to: its home by a pointer file, its models by a setting."""
    homes = [person / ".lmstudio", person / ".cache" / "lm-studio"]
    pointed = Path(small_text(person / ".lmstudio-home-pointer", _LARGEST_SETTING_BYTES).strip())
    if pointed.is_absolute():
        homes.insert(0, pointed)
        yield pointed / "models"
    for one in homes:
        with suppress(ValueError, RecursionError):
            told = json.loads(small_text(one / "settings.json", _LARGEST_SETTING_BYTES) or "null")
            folder = told.get("downloadsFolder") if isinstance(told, dict) else None
            if isinstance(folder, str) and Path(folder).is_absolute():
                yield Path(folder)
