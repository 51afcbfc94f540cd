"""A checkout in small: the true packaging/ files around a project that pip installs in a second, with no network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "carryon"
version = "0.1.0"
dependencies = ["llama-cpp-python==0.3.36"]
"""
BACKEND = '''
"""Builds an editable install without setuptools, which no index of the tests has."""
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from wheel_yard import wheel
def build_editable(folder, settings=None, metadata=None):
    files = {"carryon.pth": str(pathlib.Path("desktop").absolute())}
    return wheel(pathlib.Path(folder), "carryon", "0.1.0", files, requires=["llama-cpp-python==0.3.36"]).name
'''
WINDOW = "import llama_cpp.llama_cpp as engine; print('window open, engine flags', repr(engine.CMAKE_ARGS))"


def checkout(folder: Path) -> Path:
    """Writes it; returns the folder."""
    shutil.copytree(PACKAGING, folder / "packaging", ignore=shutil.ignore_patterns("guide", "__pycache__"))
    (folder / "packaging" / "constraints.txt").write_text("llama-cpp-python==0.3.36\ntorch==2.13.0\n")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    shutil.copy(Path(__file__).with_name("wheel_yard.py"), folder)
    package = folder / "desktop" / "carryon"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(WINDOW)
    return folder


def bootstrap(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the true command as a person does, with a display that nobody opens."""
    command = [sys.executable, "packaging/bootstrap.py", *words]
    return subprocess.run(command, cwd=folder, env={**os.environ, "DISPLAY": ":99", **environment}, capture_output=True,
                          text=True, check=False)
