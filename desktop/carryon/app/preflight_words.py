"""What a preflight says: one finding for each question, with the next step where something is in the way."""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

from carryon.app.workshop_list import Converter, Finding, Level, Subject
from carryon.base.errors import AppError, Unsupported
from carryon.base.units import bytes_text, memory_text
from carryon.convert.checkpoint import PickledWeights
from carryon.convert.compressed import Way
from carryon.convert.preflight import Examined, Weights
from carryon.convert.run import Recipe
from carryon.gguf.architectures import KNOWN
from carryon.gguf.header import Header

_MORE_NEEDED = "Close other programs, or work on a machine with more memory."
_SPACE = "Free some space, or choose another folder."


def source_findings(examined: Examined, header: Header | None, is_here: bool) -> Iterator[Finding]:
    """Weights, architecture, vocabulary and template of a checkpoint, in this order."""
    yield _weights(examined, is_here)
    if isinstance(examined.weights, AppError):
        return
    yield _architecture(examined)
    if not isinstance(examined.architecture, str):
        return
    yield _vocabulary(examined, header)
    if isinstance(examined.recipe, Recipe):
        yield from (Finding(_subject_of(one), Level.NOTE, one) for one in examined.recipe.warnings)
    if header:
        yield template_finding(header)


def converter_of(examined: Examined, *, is_here: bool = True) -> Converter:
    """Who can make the file: llama.cpp's own converter only where ours says that it does not know how.

    PyTorch's files are read where they lie here, and never downloaded.
    """
    if is_here and is_pickled_and_readable(examined):
        return Converter.OURS
    if isinstance(examined.weights, AppError) or _wants_original(examined):
        return Converter.IMPOSSIBLE
    if isinstance(examined.recipe, Recipe) and examined.architecture in KNOWN:
        return Converter.OURS
    errors = [one for one in (examined.architecture, examined.recipe) if isinstance(one, AppError)]
    if errors and all(isinstance(one, Unsupported) for one in errors) and examined.is_known_upstream:
        return Converter.UPSTREAM
    return Converter.IMPOSSIBLE


def is_pickled_and_readable(examined: Examined) -> bool:
    """Whether the weights are PyTorch's and PyTorch is here, which reads them without running what is in them."""
    return isinstance(examined.weights, PickledWeights) and importlib.util.find_spec("torch") is not None


def file_findings(header: Header, quant: str, is_quantized: bool) -> Iterator[Finding]:
    """The same of a GGUF file."""
    size = bytes_text(header.size_bytes)
    if is_quantized:
        yield Finding(
            Subject.WEIGHTS, Level.NOTE, f"It is a {quant or 'quantized'} file already ({size}): what that type lost "
            "stays lost, and another type loses more.", "The model it was made from gives a better result.",
        )  # fmt: skip
    else:
        yield Finding(Subject.WEIGHTS, Level.GOOD, f"A whole {quant or 'GGUF'} file of {size}.")
    if header.architecture in KNOWN:
        yield Finding(Subject.ARCHITECTURE, Level.GOOD, f"The engine knows {header.architecture} models.")
    yield _vocabulary_of(header)
    yield template_finding(header)


def template_finding(header: Header) -> Finding:
    """Whether it is a model to chat with."""
    if "tokenizer.chat_template" in header.fields or "tokenizer.chat_template" in header.array_lengths:
        return Finding(Subject.TEMPLATE, Level.GOOD, "It has a chat template.")
    return Finding(
        Subject.TEMPLATE, Level.NOTE, "It has no chat template: it goes on with a text rather than answering.",
        "Its “Instruct” or “Chat” version, if there is one, answers.",
    )  # fmt: skip


def memory_finding(ram_bytes: int, free_bytes: int | None) -> Finding:
    """Of the work itself, not of running the model."""
    need = memory_text(ram_bytes)
    if free_bytes is None:
        return Finding(Subject.MEMORY, Level.GOOD, f"The work takes up to {need} of memory.")
    words = f"The work takes up to {need} of memory; {memory_text(free_bytes)} are free."
    if ram_bytes <= free_bytes:
        return Finding(Subject.MEMORY, Level.GOOD, words)
    return Finding(Subject.MEMORY, Level.NOTE, f"{words} It may get very slow.", _MORE_NEEDED)


def disk_finding(parts: Sequence[tuple[int, str]], free_bytes: int | None, folder: Path) -> Finding:
    """What it takes at its peak, part by part: (bytes, for what)."""
    total_bytes = sum(size for size, _ in parts)
    said = " + ".join(f"{bytes_text(size)} {what}" for size, what in parts if size)
    words = f"It takes {bytes_text(total_bytes)} of the disk for a while ({said})"
    if free_bytes is None:
        return Finding(Subject.DISK, Level.NOTE, f"{words}; how much of {folder} is free cannot be told.")
    if total_bytes <= free_bytes:
        return Finding(Subject.DISK, Level.GOOD, f"{words}; {bytes_text(free_bytes)} are free at {folder}.")
    missing = bytes_text(total_bytes - free_bytes)
    return Finding(Subject.DISK, Level.BAD, f"{words}, and {missing} are missing at {folder}.", _SPACE)


def time_finding(duration_s: float | None, is_measured: bool, download_bytes: int) -> Finding:
    """Of converting and quantizing to one type."""
    first = f"{bytes_text(download_bytes)} must be downloaded first. " if download_bytes else ""
    if duration_s is None:
        return Finding(Subject.TIME, Level.NOTE, f"{first}How long it takes here is not known yet.")
    basis = "by what it took here before" if is_measured else "a cautious guess: nothing was measured here yet"
    return Finding(Subject.TIME, Level.GOOD, f"{first}The work takes {_about(duration_s)} ({basis}).")


def estimate_finding() -> Finding:
    """The table of targets is no promise."""
    return Finding(Subject.WEIGHTS, Level.NOTE, "The sizes of the types are estimates, by its config.json.")


def _weights(examined: Examined, is_here: bool) -> Finding:
    weights = examined.weights
    if is_here and is_pickled_and_readable(examined):
        return Finding(
            Subject.WEIGHTS, Level.NOTE, "Its weights are PyTorch files, which Carryon reads without running what is "
            "in them; what they hold shows when they are read.",
        )  # fmt: skip
    if isinstance(weights, AppError):
        return _bad(Subject.WEIGHTS, weights)
    if _wants_original(examined) and isinstance(examined.architecture, AppError):
        return _bad(Subject.WEIGHTS, examined.architecture)
    files = "1 file" if weights.n_files == 1 else f"{weights.n_files} files"
    how = "whole" if is_here else "whole, by the headers"
    words = f"{files} of weights, {bytes_text(weights.size_bytes)}, {how}: {_numbers(weights)}."
    if examined.compression:
        return Finding(Subject.WEIGHTS, Level.NOTE, f"{words} {examined.compression.sentence}")
    return Finding(Subject.WEIGHTS, Level.GOOD, words)


def _numbers(weights: Weights) -> str:
    from carryon.fit.words import parameters_text

    kinds = " and ".join(number.name for number, _ in weights.numbers[:2])
    return f"{parameters_text(weights.n_values)} in {kinds}"


def _wants_original(examined: Examined) -> bool:
    """Whether nobody can unpack this copy."""
    return examined.compression is not None and examined.compression.way is Way.NOBODY


def _architecture(examined: Examined) -> Finding:
    found, name = examined.architecture, examined.class_name or "This model"
    if isinstance(found, str):
        if found in KNOWN:
            return Finding(Subject.ARCHITECTURE, Level.GOOD, f"{name}: converted by Carryon, run as {found}.")
        return Finding(
            Subject.ARCHITECTURE, Level.BAD, f"{name} would become {found}, which this engine does not know.",
            "A newer version of Carryon may run it.",
        )  # fmt: skip
    assert isinstance(found, AppError)
    if _wants_original(examined):
        return Finding(Subject.ARCHITECTURE, Level.NOTE, f"{name}: what it becomes depends on the original.")
    if converter_of(examined) is Converter.UPSTREAM:
        return _by_upstream(Subject.ARCHITECTURE, found)
    return _bad(Subject.ARCHITECTURE, found)


def _vocabulary(examined: Examined, header: Header | None) -> Finding:
    if isinstance(examined.recipe, AppError):
        is_upstream = converter_of(examined) is Converter.UPSTREAM
        return (_by_upstream if is_upstream else _bad)(Subject.VOCABULARY, examined.recipe)
    assert header
    return _vocabulary_of(header)


def _vocabulary_of(header: Header) -> Finding:
    model = header.fields.get("tokenizer.ggml.model")
    if not model:
        return Finding(Subject.VOCABULARY, Level.BAD, "It has no vocabulary.", "Look for a whole copy of the model.")
    splitting = header.fields.get("tokenizer.ggml.pre")
    kind = f"{model}, {splitting}" if splitting and splitting != "default" else model
    count = header.array_lengths.get("tokenizer.ggml.tokens", 0)
    return Finding(Subject.VOCABULARY, Level.GOOD, f"Its vocabulary of {count:,} tokens is known ({kind}).")


def _by_upstream(subject: Subject, error: AppError) -> Finding:
    from carryon.convert.upstream.component import fetching_words
    from carryon.convert.upstream.job import missing_libraries

    lacking = missing_libraries()
    hint = f"It needs {' and '.join(lacking)}: pip install 'carryon[torch]'." if lacking else fetching_words()
    return Finding(subject, Level.NOTE, f"{error.message} llama.cpp's own converter could do it.", hint)


def _bad(subject: Subject, error: AppError) -> Finding:
    return Finding(subject, Level.BAD, error.message, error.hint)


def _subject_of(warning: str) -> Subject:
    return Subject.WEIGHTS if "tensors" in warning else Subject.VOCABULARY


def _about(duration_s: float) -> str:
    if duration_s < 10:
        return "a few seconds"
    if duration_s < 90:
        return f"about {round(duration_s, -1):.0f} s"
    minutes = round(duration_s / 60)
    return f"about {minutes} min" if minutes < 90 else f"about {duration_s / 3600:.1f} h"
