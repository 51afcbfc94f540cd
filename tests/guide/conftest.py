"""What the guide's tests share: the makers' code of packaging/, the topics, the shipped folder."""

import sys
from importlib import resources
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "packaging"))

from guide import questions


@pytest.fixture(scope="session")
def topics():
    return questions.load()


@pytest.fixture(scope="session")
def folder():
    return Path(str(resources.files("carryon.resources").joinpath("guide")))
