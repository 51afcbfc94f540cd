"""The JSON files of a model folder, read with types: a wrong or missing value is a sentence, never a KeyError."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carryon.base.errors import BadFile
from carryon.base.files import disk_errors
from carryon.convert.advice import DOWNLOAD_AGAIN

MAX_JSON_BYTES = 64_000_000  # the largest tokenizer.json in use are about 35 MB
FLOAT32_MAX = 3.4e38


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises BadFile naming the file."""
    value = _read_value(path)
    if not isinstance(value, dict):
        raise BadFile(f"{path.name} is damaged.", DOWNLOAD_AGAIN)
    return value


def read_json_list(path: Path) -> list[Any]:
    """The list in a JSON file. Raises BadFile naming the file."""
    value = _read_value(path)
    if not isinstance(value, list):
        raise BadFile(f"{path.name} is damaged.", DOWNLOAD_AGAIN)
    return value


def _read_value(path: Path) -> Any:
    with disk_errors(path):
        if path.stat().st_size > MAX_JSON_BYTES:
            raise BadFile(f"{path.name} is far too large.", DOWNLOAD_AGAIN)
        content = path.read_bytes()
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{path.name} is damaged.", DOWNLOAD_AGAIN) from error


def read_optional_json(path: Path) -> dict[str, Any]:
    """As `read_json`; a file that is not there is empty."""
    return read_json(path) if path.is_file() else {}


@dataclass(frozen=True)
class Config:
    """Settings by name. A null counts as absent, as transformers writes nulls for what is not set."""

    values: Mapping[str, Any]
    file_name: str = "config.json"
    path: str = field(default="")

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def whole(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number that fits GGUF's 32 bits."""
        value = self._value(key, default)
        if type(value) is not int or not least <= value < 2**32:
            self._refuse(key, value)
        return int(value)

    def number(self, key: str, default: float | None = None) -> float:
        """A number that fits GGUF's 32-bit floats."""
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < FLOAT32_MAX:
            self._refuse(key, value)
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._value(key, default)
        if not isinstance(value, bool):
            self._refuse(key, value)
        return bool(value)

    def text(self, key: str, default: str) -> str:
        value = self._value(key, default)
        if not isinstance(value, str):
            self._refuse(key, value)
        return str(value)

    def section(self, key: str) -> "Config":
        """A nested object; an absent one is empty."""
        value = self._value(key, {})
        if not isinstance(value, dict):
            self._refuse(key, value)
        return Config(value, self.file_name, f"{self.path}{key}.")

    def _value(self, key: str, default: Any) -> Any:
        value = self.values.get(key)
        if value is not None:
            return value
        if default is None:
            raise BadFile(f"{self.file_name} does not say {self.path}{key}.", DOWNLOAD_AGAIN)
        return default

    def _refuse(self, key: str, value: Any) -> None:
        raise BadFile(f"{self.file_name} says {self.path}{key} = {str(value)[:40]!r}, which cannot be.", DOWNLOAD_AGAIN)
