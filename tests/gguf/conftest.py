"""The engine as the oracle: its own plans of header-only files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def engine_plans(tmp_path_factory):
    """A function: [(header path, n_ctx, n_ubatch), ...] -> the engine's answers, all asked in one child."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the engine's own account can only be read on Linux")
    folder = tmp_path_factory.mktemp("plans")

    def ask(questions):
        asked, answered = folder / "questions.json", folder / "answers.json"
        asked.write_text(json.dumps([[str(path), *more] for path, *more in questions]), encoding="utf-8")
        child = Path(__file__).with_name("engine_plans.py")
        subprocess.run([sys.executable, str(child), str(asked), str(answered)], check=True, timeout=150)
        return json.loads(answered.read_text(encoding="utf-8"))

    return ask
