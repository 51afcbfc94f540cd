"""Makes packaging/'s own files importable, and gives the tests a package index of their own on loopback."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
sys.path.insert(0, str(PACKAGING))

from wheel_yard import IndexServer  # noqa: E402


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexServer]:
    """An empty package index; what is put into its folder is what pip finds."""
    with IndexServer(tmp_path / "index") as server:
        yield server


@pytest.fixture
def bare_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: IndexServer) -> Path:
    """A home of a user who knows no other index than ours; returns the home."""
    for name in [*os.environ]:
        if name.startswith(("PIP_", "CARRYON_", "XDG_")) or name.lower().endswith("_proxy") or name == "CMAKE_ARGS":
            monkeypatch.delenv(name)
    home = tmp_path / "user"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/simple")
    monkeypatch.setenv("CARRYON_TORCH_INDEX", f"{index.url}/torch-cpu")
    return home
