"""Turns the guide's Hugging Face folder into the GGUF that we ship, by our own converter: `python -m guide.pack`."""

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

from carryon.convert.forms import OutType
from carryon.convert.run import Converted, convert
from guide import export

GGUF = "guide-Q8_0.gguf"


def pack(folder: Path = export.FOLDER) -> Converted:
    """Writes guide-Q8_0.gguf beside the files it is made from. Raises the converter's errors."""
    return _result(convert(folder, folder / GGUF, OutType.Q8_0, export.NAME))


def _result(work: Generator[Any, None, Converted]) -> Converted:
    while True:
        try:
            next(work)
        except StopIteration as end:
            made: Converted = end.value
            return made


if __name__ == "__main__":
    done = pack(Path(sys.argv[1]) if len(sys.argv) > 1 else export.FOLDER)
    print(f"{done.path}: {done.size_bytes:,} bytes, {done.n_tensors} tensors", *done.warnings, sep="\n")
