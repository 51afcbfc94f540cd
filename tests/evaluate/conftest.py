"""Small models to be measured: random ones whose answers are as unsure as a real model's, and quants of them."""

import pytest
from fakes.unsure_models import unsure_model


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return unsure_model(tmp_path_factory.mktemp("measured") / "base.gguf")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"Line {index}: the heron two stood five in the ditch.\n" for index in range(12)), "utf-8")
    return path
