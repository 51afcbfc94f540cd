"""Every test lives in a home of its own."""

from pathlib import Path

import pytest
from fakes import tiny_gguf

from carryon.base.paths import Home


@pytest.fixture(autouse=True)
def carryon_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A fresh CARRYON_HOME, for this process and every child of it, and a person without models or secrets."""
    root = tmp_path / "home"
    monkeypatch.setenv("CARRYON_HOME", str(root))
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "person"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HOME", "HF_HUB_CACHE", "OLLAMA_MODELS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return Home(root)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real GGUF model that says ' one two three ... ten' and then ends, whatever it is asked."""
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    tiny_gguf.speaking_model(path)
    return path
