"""torch for the tests: its CPU build, and never the gigabytes of CUDA that come with the plain one on Linux."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from narration import SetupFailed
from virtual_env import VirtualEnv, pip_failure
from wheel_index import IndexSilent, WheelIndex

CPU_INDEX = "https://download.pytorch.org/whl/cpu"           # pytorch.org, "Get started", Linux, pip, CPU
GIGABYTES = re.compile(r"nvidia-|cuda-|triton")              # what the CUDA build requires


def install(env: VirtualEnv, constraints: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Puts torch's CPU build into the environment. Raises SetupFailed where only the CUDA build can be had."""
    pinned = pinned_torch(constraints)
    if not sys.platform.startswith("linux"):                 # elsewhere the plain build is the CPU build
        env.pip("Installing torch", "install", "-c", constraints, pinned)
        return
    address = environment.get("CARRYON_TORCH_INDEX") or CPU_INDEX
    index = ["--extra-index-url", address] if _answers(address) else []
    title = "Installing torch (CPU build)"
    ended = env.try_pip(title, "install", "-c", constraints, *index, f"{pinned}+cpu")
    if ended.is_good:
        return
    if not _plain_is_light(env, pinned, constraints):
        raise SetupFailed("Only torch's CUDA build can be had here, and the tests do not need its gigabytes.",
                          f"Make {address} reachable, or name an index that has the CPU build in CARRYON_TORCH_INDEX, "
                          f"and run this again.\n({pip_failure(ended, env.log).message})")
    env.pip(title, "install", "-c", constraints, pinned)


def pinned_torch(constraints: Path) -> str:
    """The line of the constraints that pins torch."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    return next(line.strip() for line in lines if line.startswith("torch=="))


def _answers(address: str) -> bool:
    try:
        return bool(WheelIndex(address).read(f"{address.rstrip('/')}/torch/"))
    except IndexSilent:
        return False


def _plain_is_light(env: VirtualEnv, pinned: str, constraints: Path) -> bool:
    """Whether the plain build comes without CUDA: pip resolves it, and installs nothing."""
    report = env.folder / "torch-report.json"
    ended = env.try_pip("Looking for a plain CPU build", "install", "--dry-run", "--ignore-installed",
                        "-c", constraints, "--report", report, pinned)
    return ended.is_good and is_light(_names(report))


def _names(report: Path) -> list[str]:
    told = json.loads(report.read_text(encoding="utf-8"))
    return [one["metadata"]["name"] for one in told["install"]]


def is_light(names: Sequence[str]) -> bool:
    """Whether none of these packages belongs to CUDA."""
    return not any(map(GIGABYTES.match, names))
