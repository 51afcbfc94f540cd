"""llama.cpp's own tools, built by packaging/peers.py, as the peers of a benchmark."""

import json
import re
import subprocess
import sys
from pathlib import Path

_BUILDER = Path(__file__).parents[2] / "packaging" / "peers.py"


def folder() -> Path:
    """Where the tools are; builds them if they are not there yet (about 25 minutes of CPU)."""
    printed = subprocess.run([sys.executable, _BUILDER], stdout=subprocess.PIPE, text=True, check=True).stdout
    return Path(printed.strip().splitlines()[-1])


def llama_bench(
    tools: Path, model: Path, n_threads: int, *, n_prompt: int, n_answer: int, depth: int = 0
) -> dict[str, float]:
    """Tokens per second of reading ("prompt") and writing ("answer") behind `depth` tokens; 0 tokens: left out."""
    words = ["-m", model, "-t", n_threads, "-p", n_prompt, "-n", n_answer, "-d", depth, "-r", 1, "-ngl", 0, "-fa", 1]
    command = [str(tools / "llama-bench"), *map(str, words), "-o", "json"]
    tests = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {"prompt" if one["n_prompt"] else "answer": one["avg_ts"] for one in tests}


_PERPLEXITY = re.compile(r"Final estimate: PPL = (?P<perplexity>[\d.]+) \+/- (?P<perplexity_error>[\d.]+)")
_COMPARED = (
    re.compile(r"Mean PPL\(Q\)\s*:\s*(?P<perplexity>[\d.]+) ±\s*(?P<perplexity_error>[\d.]+)"),
    re.compile(r"Mean\s+KLD:\s*(?P<kl_divergence>-?[\d.]+) ±\s*(?P<kl_error>[\d.]+)"),
    re.compile(r"RMS Δp\s*:\s*(?P<rms_percent>[\d.]+)"),
    re.compile(r"Same top p:\s*(?P<same_percent>[\d.]+)"),
)


def llama_perplexity(
    tools: Path, model: Path, text: Path, n_threads: int, *, n_chunks: int = -1, base: Path | None = None
) -> dict[str, float]:
    """Its final figures. With `base`, a file that is not there yet gets this model's logits, else they are compared."""
    words = ["-m", model, "-t", n_threads, "-ngl", 0, "--chunks", n_chunks]
    is_compared = base is not None and base.exists()
    words += [] if is_compared else ["-f", text]
    words += ["--kl-divergence-base", base] if base else []
    words += ["--kl-divergence"] if is_compared else []
    command = [str(tools / "llama-perplexity"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = done.stdout + done.stderr
    found = [pattern.search(said) for pattern in (_COMPARED if is_compared else (_PERPLEXITY,))]
    assert all(found), said[-2000:]
    return {name: float(value) for one in found if one for name, value in one.groupdict().items()}
