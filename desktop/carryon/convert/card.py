"""What a model's README says about it in its head: licence, languages, tags and the models it was made from.

The head is YAML between two lines of '---' (huggingface.co/docs/hub/model-cards); of it only plain values and lists
of them are read, so a stranger's README cannot ask for more.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from carryon.convert.write import Setting

FILE = "README.md"
MAX_HEAD_CHARACTERS = 65_536
MAX_ITEMS, MAX_ITEM_CHARACTERS = 200, 200
KEY = re.compile(r"([A-Za-z_]+):(?:\s+(.*))?")
ITEM = re.compile(r"\s*-\s+(.*)")
REPO = re.compile(r"([\w.-]+)/([\w.-]+)")
TEXTS = {"license": "general.license", "license_name": "general.license.name", "license_link": "general.license.link"}
LISTS = {"tags": "general.tags", "language": "general.languages"}


def card_settings(folder: Path) -> dict[str, Setting]:
    """GGUF's general.* keys for what the README says; none if there is no README or no head."""
    said = _read(_head(folder / FILE))
    settings: dict[str, Setting] = {ours: said[theirs][0] for theirs, ours in TEXTS.items() if said.get(theirs)}
    settings |= {ours: said[theirs] for theirs, ours in LISTS.items() if said.get(theirs)}
    return {**settings, **_base_models(said.get("base_model", []))}


def base_models(folder: Path) -> list[str]:
    """The repositories, 'owner/name', that a folder's README says the model was made from."""
    return [name for name in _read(_head(folder / FILE)).get("base_model", []) if REPO.fullmatch(name)]


def _head(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8", errors="replace") as card:
            text = card.read(MAX_HEAD_CHARACTERS)
    except OSError:
        return []  # a model without a README is as good as one with it
    first, *lines = text.splitlines() or [""]
    ends = [number for number, line in enumerate(lines) if line.rstrip() == "---"]
    return lines[: ends[0]] if first.rstrip() == "---" and ends else []


def _read(lines: list[str]) -> dict[str, list[str]]:
    """Every key at the margin with its value or values; what is nested deeper is passed over."""
    said: dict[str, list[str]] = {}
    key = ""
    for line in lines:
        if found := KEY.fullmatch(line.rstrip()):
            key = found[1]
            said[key] = list(_values(found[2] or ""))
        elif found := ITEM.fullmatch(line.rstrip()):
            said.setdefault(key, []).extend(_values(found[1]))
        elif line[:1].strip():
            key = ""
    return {name: values[:MAX_ITEMS] for name, values in said.items()}


def _values(text: str) -> Iterator[str]:
    """A plain value, or those of a list in brackets."""
    text = re.sub(r"\s+#.*$", "", text).strip()
    entries = text[1:-1].split(",") if text.startswith("[") and text.endswith("]") else [text]
    for entry in entries:
        value = entry.strip().strip("'\"")
        if value and not value.startswith(("{", "[", "|", ">", "&", "*", "!")):
            yield value[:MAX_ITEM_CHARACTERS]


def _base_models(names: list[str]) -> dict[str, Setting]:
    settings: dict[str, Setting] = {}
    repos = [found for name in names if (found := REPO.fullmatch(name))]
    for index, repo in enumerate(repos):
        start = f"general.base_model.{index}."
        settings[f"{start}name"] = repo[2]
        settings[f"{start}organization"] = repo[1]
        settings[f"{start}repo_url"] = f"https://huggingface.co/{repo[0]}"
    return {"general.base_model.count": len(repos), **settings} if repos else {}
