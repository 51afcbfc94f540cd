"""llama.cpp's own tools, built by packaging/peers.py, as the peers of a benchmark."""

import json
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
