"""What the quantizer's tests share: tiny sources, a text and its importance matrix, and work driven to its end."""

import shutil
from importlib import resources
from pathlib import Path

import pytest
from fakes import tiny_gguf, tiny_moe

from carryon.base.jobs import drained
from carryon.convert.forms import OutType
from carryon.convert.run import convert
from carryon.quantize.job import making_imatrix, quantizing
from carryon.quantize.request import ImatrixRequest, QuantizeRequest

WORDS = "one two three four five six seven eight nine ten"


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """The folder of the models that are only read."""
    folder = tmp_path_factory.mktemp("sources")
    tiny_gguf.random_model(folder / "dense.gguf")
    tiny_moe.expert_model(folder / "experts.gguf", layers=2)
    folder.joinpath("text.txt").write_text(f" {WORDS}." * 120, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def dense(sources):
    """A dense model of half floats."""
    return sources / "dense.gguf"


@pytest.fixture(scope="session")
def experts(sources):
    """A model with experts."""
    return sources / "experts.gguf"


@pytest.fixture(scope="session")
def guide(tmp_path_factory):
    """The built-in model as half floats, converted from its Hugging Face folder."""
    folder = tmp_path_factory.mktemp("guide")
    source = Path(str(resources.files("carryon.resources").joinpath("guide")))
    for file in source.iterdir():
        if file.suffix in (".json", ".safetensors", ".jinja"):
            shutil.copy(file, folder / file.name)
    return drained(convert(folder, folder / "guide-F16.gguf", OutType.F16)).path


@pytest.fixture(scope="session")
def importance(sources, tmp_path_factory):
    """The importance matrices of the two models, by their names."""
    folder = tmp_path_factory.mktemp("importance")
    made = {}
    for name in ("dense", "experts"):
        request = ImatrixRequest(
            sources / f"{name}.gguf", sources / "text.txt", folder / f"{name}.imatrix.gguf",
            n_chunks=2, n_ctx=128, n_threads=1,
        )  # fmt: skip
        made[name] = drained(making_imatrix(request, folder / "imatrix.log"))
    return made


@pytest.fixture
def quantized(tmp_path):
    """Quantizes as the window does."""

    def run(source, quant, target=None, **more):
        request = QuantizeRequest(source, target or tmp_path / f"{quant}.gguf", quant, n_threads=1, **more)
        return drained(quantizing(request, tmp_path / "quantize.log"))

    return run
