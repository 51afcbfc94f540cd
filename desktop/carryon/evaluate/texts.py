"""The words of an evaluation: its refusals, its running figures, its table."""

from carryon.base.units import NOT_MEASURED, bytes_text, memory_text
from carryon.evaluate.result import Measured
from carryon.fit.words import divergence_text as divergence_text

COLUMNS = (
    "File", "Size", "Bits/weight", "Perplexity", "KL divergence", "Same top", "RMS Δp", "Reads", "Writes", "Memory",
)  # fmt: skip
NO_CHUNKS = ("At least one chunk of the text must be read.", "Leave it out to read all of it.")
OWN_TEXT_IS_BETTER = (
    "Parts of the text that comes with Carryon are famous: large models know them by heart, so their perplexity on it "
    "is too good. Differences between quants of one model are fair; for more, measure with a text of your own."
)
READINGS = (
    "Not all files were in memory at once: the base read the text {n} times, beside some of the others each time."
)
READS_BOTH_WAYS, GIVES_EMBEDDINGS = "it reads a text in both directions", "it gives embeddings"
BEYOND_TRAINING = "{name} was trained with {trained:,} tokens of context; chunks of {n_ctx:,} are longer than that."


def too_short(name: str, n_tokens: int, n_ctx: int) -> tuple[str, str]:
    """Message and hint."""
    return (
        f"{name} has {n_tokens:,} tokens for this model; two chunks of {n_ctx:,} are the least.",
        "Choose a longer text, or shorter chunks (--ctx).",
    )


def other_vocabulary(name: str, base: str) -> tuple[str, str]:
    """Message and hint."""
    return (
        f"{name} has another vocabulary than {base}, so their answers cannot be compared.",
        "Compare quants of the same model.",
    )


def ends_by_itself(name: str) -> tuple[str, str]:
    """Message and hint, of a vocabulary that adds an end to every text."""
    return (
        f"{name} puts an end after every text, so chunks of a text cannot be measured with it.",
        "Perplexity is for models that continue a text.",
    )


def no_continuing(name: str, why: str) -> tuple[str, str]:
    """Message and hint, of a model that cannot continue a text."""
    return f"{name} cannot be measured like this: {why}.", "Perplexity is for models that continue a text."


def no_numbers(name: str) -> tuple[str, str]:
    """Message and hint, of NaN or infinity among the answers."""
    return (
        f"{name} computes values that are no numbers, so it is damaged or was made wrongly.",
        "Get the file again, or convert or quantize it anew.",
    )


def bad_context(n_ctx: int, least: int, most: int) -> tuple[str, str]:
    """Message and hint."""
    return f"Chunks of {n_ctx:,} tokens make no sense.", f"Choose from {least:,} to {most:,}; usual are 512."


def loading_text(label: str) -> str:
    """While a file is opened."""
    return f"loading {label}"


def timing_text(label: str) -> str:
    """While speed is measured, a few seconds a file."""
    return f"measuring the speed of {label}"


def running_text(perplexity: float, label: str = "", other: float = 0.0, divergence: float | None = None) -> str:
    """'perplexity 12.341', 'perplexity 12.341, Q4_K_M 12.612, KL 0.021'."""
    said = f"perplexity {_perplexity(perplexity)}"
    return said if divergence is None else f"{said}, {label} {_perplexity(other)}, KL {divergence_text(divergence)}"


def row(measured: Measured) -> tuple[str, ...]:
    """One line of the table, as COLUMNS."""
    name = measured.path.name if not measured.is_base else f"{measured.path.name} (base)"
    return (
        name,
        bytes_text(measured.size_bytes),
        f"{measured.bits_per_weight:.2f}",
        f"{_perplexity(measured.perplexity)} ± {_perplexity(measured.perplexity_error)}",
        NOT_MEASURED if measured.kl_divergence is None else divergence_text(measured.kl_divergence),
        _percent(measured.same_top),
        _percent(measured.rms_probability_change),
        _speed(measured.prefill_tokens_per_s),
        _speed(measured.decode_tokens_per_s),
        memory_text(measured.memory_bytes),
    )


def scored_text(base: Measured) -> str:
    """'3,060 tokens scored, in chunks of 512; ± is one standard deviation.'"""
    return f"{base.n_tokens:,} tokens scored, in chunks of {base.n_ctx:,}; ± is one standard deviation."


def _perplexity(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3f}"


def _percent(share: float | None) -> str:
    return NOT_MEASURED if share is None else f"{share * 100:.2f} %"


def _speed(tokens_per_s: float | None) -> str:
    return NOT_MEASURED if tokens_per_s is None else f"{tokens_per_s:,.1f} t/s"
