"""A model's folder as llama.cpp's converter may see it: its data, and no program that came with it.

The converter asks transformers to trust code that lies in the folder; so none is there: no *.py and no "auto_map",
which would name such code. Weights are linked, small files copied; the model's own folder is never written.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from carryon.base.files import disk_errors
from carryon.convert.config import read_json

_LINKED = (".safetensors",)
_COPIED = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".md")
_CODE = "auto_map"
_OLD_CLASS = "PreTrainedTokenizerFast"  # what transformers before version 5 calls a TokenizersBackend


@contextmanager
def staged(model: Path, beside: Path) -> Iterator[Path]:
    """A folder of the model's name below `beside` for as long as it is needed. Raises BadFile and NoRoom."""
    with disk_errors(beside):
        beside.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".staged-", dir=beside, ignore_cleanup_errors=True) as folder:
            stage = Path(folder) / (model.name or "model")
            _fill(model, stage)
            yield stage


def _fill(source: Path, stage: Path) -> None:
    stage.mkdir()
    for file in sorted(source.iterdir()):
        name = file.name
        if file.is_dir() and name in ("additional_chat_templates", "1_Pooling"):
            _fill(file, stage / name)
        elif name.endswith(_LINKED):
            _link(file, stage / name)
        elif name.endswith(".json") and not name.endswith(".index.json"):
            _write_json(file, stage / name)
        elif name.endswith(_COPIED):
            shutil.copyfile(file, stage / name)


def _link(file: Path, link: Path) -> None:
    """Windows lets not everybody make links of the one kind, and no link of the other leaves a disk."""
    whole = file.resolve()
    try:
        link.symlink_to(whole)
    except OSError:
        os.link(whole, link)


def _write_json(file: Path, target: Path) -> None:
    """As it is, but for what names code, and for the tokenizer class that older transformers do not know."""
    try:
        json.loads(file.read_bytes())
        told = read_json(file) if file.name.endswith("config.json") else None
    except ValueError:
        told = None
    if told is None:
        shutil.copyfile(file, target)
        return
    target.write_text(json.dumps(_without_code(told), ensure_ascii=False), "utf-8")


def _without_code(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_code(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_code(one) for key, one in value.items() if key != _CODE}
    if kept.get("tokenizer_class") == "TokenizersBackend":
        kept["tokenizer_class"] = _OLD_CLASS
    return kept
