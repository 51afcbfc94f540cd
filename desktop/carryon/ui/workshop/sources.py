"""What the files of a source are called, and which models are here. No Qt."""

from collections.abc import Sequence
from pathlib import Path

from carryon.app.workshop_list import Source, SourceKind
from carryon.app.workshop_source import SPLIT_PART
from carryon.gguf.mix import QUANTS
from carryon.hub.library.entry import Entry
from carryon.ui.workshop.form import ModelHere

_UNQUANTIZED = ("F32", "F16", "BF16")


def name_for(source: Source) -> str:
    """What the files are called: of “Smol-Q8_0.gguf” no “Smol-Q8_0-Q4_K_M.gguf” shall be made."""
    plain = SPLIT_PART.sub(".gguf", f"{source.name}.gguf").removesuffix(".gguf")
    start, _, end = plain.rpartition("-" if "-" in plain else ".")
    is_quant = end.upper() in QUANTS or end.upper() in _UNQUANTIZED
    return start if source.kind is SourceKind.GGUF and start and is_quant else plain


def models_in(folder: Path) -> frozenset[str]:
    """The names of the GGUF files in a folder, which need not be there."""
    try:
        return frozenset(one.name for one in folder.iterdir() if one.suffix.lower() == ".gguf")
    except OSError:
        return frozenset()


def models_of(entries: Sequence[Entry]) -> tuple[ModelHere, ...]:
    """The GGUF files of the library that something can be made of, by their names."""
    usable = sorted((one for one in entries if one.is_usable), key=lambda one: one.name.lower())
    return tuple(ModelHere(one.path, one.name, one.known.quant, one.size_bytes) for one in usable)
