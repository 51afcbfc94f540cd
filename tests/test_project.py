"""The rules of the house hold: layers, packages, docstrings, a base install without torch."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "desktop" / "carryon"
FILES = sorted(SOURCE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_import_contracts_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_every_package_is_installed():
    found = {"carryon.resources"} | {
        ".".join(("carryon", *file.parent.relative_to(SOURCE).parts)) for file in SOURCE.rglob("__init__.py")
    }
    assert found == set(PROJECT["tool"]["setuptools"]["packages"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_every_file_says_what_lives_in_it(file):
    assert ast.get_docstring(ast.parse(file.read_text()))


def test_the_base_install_has_no_torch():
    names = {re.split(r"[<>=\[;]", one)[0].strip() for one in PROJECT["project"]["dependencies"]}
    assert not names & {"torch", "transformers", "safetensors", "tensorflow", "jax"}
    assert any(one.startswith("torch") for one in PROJECT["project"]["optional-dependencies"]["torch"])


def test_resources_are_found_wherever_carryon_is_installed():
    assert resources.files("carryon.resources").joinpath("__init__.py").is_file()


def test_starting_the_command_line_loads_neither_qt_nor_an_engine():
    code = (
        "import sys, carryon.cli.main; "
        "print([one for one in ('PySide6', 'llama_cpp', 'torch', 'huggingface_hub') if one in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
