"""Every test lives in a home of its own."""

from pathlib import Path

import pytest
from fakes import tiny_gguf

from carryon.base.paths import Home


@pytest.fixture(autouse=True)
def carryon_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A fresh CARRYON_HOME, for this process and every child of it."""
    root = tmp_path / "home"
    monkeypatch.setenv("CARRYON_HOME", str(root))
    return Home(root)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real GGUF model that says ' one two three ... ten' and then ends, whatever it is asked."""
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    tiny_gguf.speaking_model(path)
    return path
