"""Every test lives in a home of its own."""

from pathlib import Path

import pytest

from carryon.base.paths import Home


@pytest.fixture(autouse=True)
def carryon_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A fresh CARRYON_HOME, for this process and every child of it."""
    root = tmp_path / "home"
    monkeypatch.setenv("CARRYON_HOME", str(root))
    return Home(root)
