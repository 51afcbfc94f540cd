"""What a quantized file says of its making, in the facts of its header; what the source says of itself stays there."""

from carryon import __version__
from carryon.quantize.imatrix_file import TEXT_SUM, Importance
from carryon.quantize.request import Wish

QUANTIZER, SOURCE, SOURCE_TYPE, RECIPE = (
    "carryon.quantizer", "carryon.quantized_from", "carryon.quantized_from_type", "carryon.quantize.recipe",
)  # fmt: skip


def facts_of(
    wish: Wish, importance: Importance | None, engine: str, source_name: str, source_type: str
) -> dict[str, str | int]:
    """Facts by key, texts of any length; those of the importance matrix are called as llama-quantize calls them."""
    facts: dict[str, str | int] = {
        QUANTIZER: f"Carryon {__version__} (llama.cpp {engine})",
        SOURCE: source_name,
        SOURCE_TYPE: source_type,
        RECIPE: _recipe(wish),
        **_imatrix_facts(wish, importance),
        **dict(wish.facts),
    }
    return {key: value for key, value in facts.items() if value != ""}


def _imatrix_facts(wish: Wish, importance: Importance | None) -> dict[str, str | int]:
    if wish.imatrix is None or importance is None:
        return {}
    return {
        "quantize.imatrix.file": wish.imatrix.name,
        "quantize.imatrix.dataset": importance.datasets[0] if importance.datasets else "",
        "quantize.imatrix.entries_count": len(importance.entries),
        "quantize.imatrix.chunks_count": importance.n_chunks,
        TEXT_SUM: importance.text_sha256,
    }


def _recipe(wish: Wish) -> str:
    """'' for the usual one; else the wishes in the words of the command line."""
    words = [f"output={wish.output_type}"] if wish.output_type else []
    words += [f"embedding={wish.embedding_type}"] if wish.embedding_type else []
    words += [f"{pattern}={storage}" for pattern, storage in wish.overrides]
    return " ".join([*words, *(["pure"] if wish.is_pure else [])])
