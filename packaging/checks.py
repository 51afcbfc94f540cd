"""What `--test` runs in the environment: style, types, layers, then every test."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from narration import say
from virtual_env import VirtualEnv


def run(root: Path, env: VirtualEnv, pytest_words: Sequence[str] = ()) -> int:
    """Runs all of them, also after one has failed; 0 only when all passed.

    pytest comes last and alone: its closing line is the last word, and its timings are not disturbed.
    """
    failed = [title for title, command in before_pytest(env) if not _passes(title, command, root)]
    if failed:
        say(f"{' and '.join(failed)} failed, see above: this run fails whatever the tests say.")
    say("Tests: pytest")
    tests = subprocess.call([env.python, "-m", "pytest", *pytest_words], cwd=root, env=quiet_environment())
    return tests or (1 if failed else 0)


def before_pytest(env: VirtualEnv) -> list[tuple[str, list[str | Path]]]:
    """The quick checks: what they are called, and their commands."""
    return [("Style (ruff)", [env.python, "-m", "ruff", "check", "."]),
            ("Types (mypy)", [env.python, "-m", "mypy"]),
            ("Layers (import-linter)", [env.program("lint-imports")])]


def _passes(title: str, command: Sequence[str | Path], root: Path) -> bool:
    """Shows the output of a check only when it fails."""
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    say(f"{title}: {'passed' if ended.returncode == 0 else 'FAILED'}")
    if ended.returncode != 0:
        say((ended.stdout + ended.stderr).rstrip())
    return ended.returncode == 0


def quiet_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """No windows pop up in the face of who runs the tests; QT_QPA_PLATFORM=xcb shows them all the same."""
    quiet = {} if sys.platform in ("win32", "darwin") else {"QT_QPA_PLATFORM": "offscreen"}
    return {**quiet, **environment}
