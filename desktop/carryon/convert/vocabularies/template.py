"""Where a model folder keeps its chat templates, and which wins (transformers: the .jinja file before the JSON)."""

import re
from pathlib import Path
from typing import Any

from carryon.base.errors import BadFile
from carryon.base.files import disk_errors
from carryon.convert.advice import DOWNLOAD_AGAIN

MAX_TEMPLATE_BYTES = 1_000_000


def read_templates(folder: Path, tokenizer_config: dict[str, Any]) -> dict[str, str]:
    """Templates by name; 'default' is the one for chatting. Empty for a model that was not trained to chat."""
    file = folder / "chat_template.jinja"
    if not file.is_file():
        return _from_config(tokenizer_config.get("chat_template"))
    more = sorted((folder / "additional_chat_templates").glob("*.jinja"))
    return {"default": _read(file), **{_plain(one.stem): _read(one) for one in more}}


def _from_config(value: Any) -> dict[str, str]:
    match value:
        case None:
            return {}
        case str():
            return {"default": value}
        case list():
            return dict(map(_named, value))
        case _:
            raise BadFile("The chat template in tokenizer_config.json is damaged.", DOWNLOAD_AGAIN)


def _named(entry: Any) -> tuple[str, str]:
    match entry:
        case {"name": str() as name, "template": str() as template}:
            return _plain(name), template
        case _:
            raise BadFile("A chat template in tokenizer_config.json is damaged.", DOWNLOAD_AGAIN)


def _plain(name: str) -> str:
    """A name that can stand in a GGUF key, the way llama.cpp's converter writes it."""
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def _read(file: Path) -> str:
    with disk_errors(file):
        if file.stat().st_size > MAX_TEMPLATE_BYTES:
            raise BadFile(f"{file.name} is far too large for a chat template.", DOWNLOAD_AGAIN)
        content = file.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(f"{file.name} is not text.", DOWNLOAD_AGAIN) from error
