"""What the converter's tests share: a tiny model folder, and conversion as the CLI drives it."""

import gguf
import pytest
from model_folders import write_folder

from carryon.base.jobs import Done, drive
from carryon.convert.forms import OutType
from carryon.convert.run import convert


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "Tiny-Llama")


@pytest.fixture
def converted(tmp_path):
    """Converts a folder and gives the GGUF back as an independent reader sees it."""

    def run(source, out_type=OutType.F32, **more):
        outcome = drive(convert(source, tmp_path / "model.gguf", out_type, **more), lambda _: None, lambda: False)
        assert isinstance(outcome, Done), outcome
        return gguf.GGUFReader(outcome.result.path)

    return run
