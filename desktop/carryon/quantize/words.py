"""What quantizing says to people: sentences with the next step, and the notes of its progress."""

from pathlib import Path

from carryon.base.units import bytes_text
from carryon.gguf.cursor import quoted
from carryon.gguf.quants import GGML_TYPES

Words = tuple[str, str]
CHECKING = "checking the new file"


def tensor_note(at: int, count: int) -> str:
    """'tensor 12 of 291'; '' before the first."""
    return f"tensor {at} of {count}" if at else ""


def would_requantize(name: str, type_id: int, quant: str) -> Words:
    """Quality that is lost once does not come back."""
    return (
        f"{name} is quantized already ({GGML_TYPES[type_id].name}): a {quant} made of it is worse than one made of the"
        " original.",
        "Take the F16, BF16 or F32 file, or say that you want it all the same (--requantize).",
    )


def was_requantized(type_id: int) -> str:
    return f"Made of a file that was quantized already ({GGML_TYPES[type_id].name}): worse than made of the original."


def needs_imatrix(quant: str, tensor: str) -> Words:
    return (
        f"{quant} needs an importance matrix: without one {quoted(tensor)} and others would come out useless.",
        "Make one of a text first (carryon imatrix), or choose Q2_K, Q3_K_S or larger.",
    )


def write_failed(folder: Path, written_bytes: int) -> Words:
    return (
        f"Writing to {folder} failed after {bytes_text(written_bytes)}: the disk is full, or a limit was reached.",
        "Free some space, or choose another folder.",
    )


def broken_weights(name: str) -> Words:
    return (
        f"{name} holds values that are no numbers, so it cannot be quantized.",
        "The file is damaged, or was so when it was made: get it again, or convert it again.",
    )


def same_file(target: Path) -> Words:
    return (
        f"{target} is what is read: it would be destroyed.",
        "Choose another name for the new file.",
    )  # fmt: skip


LOADING = "loading the model"


def perplexity_note(perplexity: float) -> str:
    return f"perplexity {perplexity:,.2f}"


def short_text(n_chunks: int) -> str:
    """llama.cpp's own advice (tools/imatrix/README.md) is a hundred chunks or more."""
    chunks = "chunk" if n_chunks == 1 else "chunks"
    return f"The text was only {n_chunks} {chunks} long: a hundred or more tell better what matters."


def idle_experts(n_idle: int, n_all: int) -> str:
    return f"{n_idle:,} of {n_all:,} experts' matrices were never used by this text; a longer one would tell more."
