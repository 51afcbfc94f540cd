"""What is to be measured, and how the child process is asked for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

USUAL_CONTEXT = 512  # llama-perplexity's own, so that figures can be compared
SMALLEST_CONTEXT, LARGEST_CONTEXT = 32, 1 << 20
LEAST_CHUNKS = 2  # llama-perplexity wants as much


@dataclass(frozen=True)
class EvaluateRequest:
    """A base, which is the measure of all others, and the files that are compared with it."""

    base: Path
    others: tuple[Path, ...] = ()
    text: Path | None = None  # None: the text that comes with Carryon
    n_ctx: int = USUAL_CONTEXT  # the text is read in chunks of so many tokens
    n_chunks: int | None = None  # the first so many; None: all of them
    n_threads: int | None = None  # None: one for each physical core
    n_gpu_layers: int = 0  # as llama.cpp counts them; negative: all
    measures_speed: bool = True  # a few seconds more for each file


@dataclass(frozen=True)
class Task:
    """The same as the child process has it: every path is there, every file has a name for people."""

    models: tuple[str, ...]  # the base first
    labels: tuple[str, ...]  # 'Q4_K_M', or the file's name
    text: str
    n_ctx: int
    n_chunks: int | None
    n_threads: int | None
    n_gpu_layers: int
    measures_speed: bool


def encode(task: Task) -> dict[str, Any]:
    """For the pipe."""
    return {**vars(task), "models": list(task.models), "labels": list(task.labels)}


def decode(told: dict[str, Any]) -> Task:
    """The same read by the child."""
    return Task(**{**told, "models": tuple(told["models"]), "labels": tuple(told["labels"])})
