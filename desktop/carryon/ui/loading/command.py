"""What the load dialog says as a command for a terminal. No Qt."""

import shlex

from carryon.app.wishes import LoadWish
from carryon.fit.memory import DEFAULT_UBATCH


def command_line(wish: LoadWish) -> str:
    """`carryon run … --ctx … --gpu-layers …`: the same load, with a question to try it."""
    model = "guide" if wish.file.is_guide else str(wish.file.path)
    words = ["carryon", "run", model, "--ctx", str(wish.n_ctx), "--gpu-layers", str(wish.n_gpu_layers)]
    if wish.n_cpu_experts:
        words += ["--cpu-experts", str(wish.n_cpu_experts)]
    words += ["--kv", wish.kv_type.value]
    if wish.n_ubatch != DEFAULT_UBATCH:
        words += ["--ubatch", str(wish.n_ubatch)]
    if not wish.use_mmap:
        words.append("--no-mmap")
    return shlex.join([*words, "-p", "Hello"])
