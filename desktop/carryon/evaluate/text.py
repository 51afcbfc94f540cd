"""The text that models are measured with: the person's own, or the one that comes with Carryon."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from carryon.base.errors import BadFile, BadInput
from carryon.base.files import disk_errors
from carryon.base.units import bytes_text

LARGEST_BYTES = 64 << 20  # 50 times wikitext-2; beyond it somebody has named another file than meant
_SHIPPED = "evaluation/text.txt"


@dataclass(frozen=True)
class Text:
    """What is read, and the SHA-256 of the file, which tells texts apart."""

    content: str
    sha256: str


def shipped_text() -> Path:
    """The text that comes with Carryon (resources/evaluation/README.md tells what it is)."""
    return Path(str(resources.files("carryon.resources").joinpath(_SHIPPED)))


def read_text(path: Path) -> Text:
    """The text without its last line break, which llama-perplexity leaves out as well. Raises BadFile, BadInput."""
    with disk_errors(path):
        size_bytes = path.stat().st_size
        if size_bytes > LARGEST_BYTES:
            raise BadInput(
                f"{path.name} has {bytes_text(size_bytes)}, more than a measurement needs.",
                f"Use a text of up to {bytes_text(LARGEST_BYTES)}; a megabyte is plenty.",
            )
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(
            f"{path.name} is no plain text in UTF-8.", "Save it as a text file, or choose another."
        ) from error
    return Text(text.removesuffix("\n"), hashlib.sha256(content).hexdigest())
