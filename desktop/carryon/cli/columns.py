"""Tables on a terminal: how wide it is, and names that give way to the width."""

import shutil
import sys

EVERYTHING = 1000  # what is written into a file or another program has room for all


def width() -> int:
    """Of the terminal, in letters."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else EVERYTHING


def cut(text: str, most: int) -> str:
    """Without its middle where it is too long: the end tells quants and variants apart."""
    if len(text) <= most:
        return text
    before = (most - 1) // 2
    return f"{text[:before]}…{text[len(text) - (most - 1 - before) :]}"
