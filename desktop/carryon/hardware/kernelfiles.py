"""The kernel's small text files (proc, sysfs, control groups): what cannot be read is None, whatever the reason."""

from pathlib import Path


def text_in(path: Path) -> str | None:
    """The stripped content; None when the file is missing, forbidden or its device does not answer."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def number_in(path: Path) -> int | None:
    """The content as a whole number of bytes or a flag; None for anything else, such as "max"."""
    return number_of(text_in(path))


def number_of(text: str | None) -> int | None:
    """A whole number in decimal digits; None for anything else."""
    return int(text) if text and text.isascii() and text.isdecimal() else None
