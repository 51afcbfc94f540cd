"""An estimate by the first bytes of a file is near what its whole header tells."""

from dataclasses import replace

import pytest
from fakes import header_models, machines
from fakes.header_writer import HeaderWriter

from carryon.base.errors import AppError
from carryon.fit.calibration import Learnt
from carryon.fit.plan import Site, plan
from carryon.fit.room import rooms_of
from carryon.fit.speed import speeds_of
from carryon.gguf.header import FIRST_BYTES, begun_header
from carryon.gguf.outline import Known, likeness, outlined, scaled
from carryon.gguf.shape import shape_of

ROOMS = rooms_of(machines.WITH_GPU, {})
SITE = Site(ROOMS, speeds_of(machines.WITH_GPU, ROOMS, None, Learnt()))
# Where a sketch is no likeness: a state instead of attention (its weights are scaled to the file's size all the same).
OFF_BY = {"mamba-1.4b": 0.08}


@pytest.fixture(scope="module")
def model():
    made = {}

    def make(name, quant="Q4_K_M"):
        if (name, quant) not in made:
            fields, tensors = (header_models.MODELS | header_models.MORE_MODELS)[name]()
            made[name, quant] = header_models.header_from(*header_models.as_quantized(fields, tensors, quant))
        return made[name, quant]

    return make


@pytest.mark.parametrize("name", [*header_models.MODELS, *header_models.MORE_MODELS])
def test_the_memory_is_within_three_percent(model, name):
    header = model(name)
    true = shape_of([header])
    guessed = outlined(replace(header, tensors=()), Known("Q4_K_M", true.size_bytes, true.n_params))
    fit, about = plan(true, SITE).best, plan(guessed, SITE).best
    assert about.verdict is fit.verdict
    assert about.need.total_bytes == pytest.approx(fit.need.total_bytes, rel=OFF_BY.get(name, 0.03))


def test_what_is_kept_of_a_conversation_is_exact(model):
    header = model("gemma3-12b")
    true = shape_of([header])
    guessed = outlined(replace(header, tensors=()), Known("Q4_K_M", true.size_bytes))
    assert [one.attention for one in guessed.layers] == [one.attention for one in true.layers]
    assert guessed.size_bytes == true.size_bytes


def test_the_first_bytes_of_a_file_are_enough(tmp_path):
    fields, tensors = header_models.MODELS["qwen3-8b"]()
    tokens = [f"token number {index}" for index in range(20_000)]
    path = HeaderWriter().write(tmp_path / "m.gguf", fields | {"tokenizer.ggml.tokens": tokens}, tensors)
    with path.open("rb") as file:
        start = begun_header(file.read(FIRST_BYTES), path.stat().st_size, "m.gguf")
    assert start.tensors == ()
    assert start.array_lengths["tokenizer.ggml.tokens"] == 20_000
    assert outlined(start, Known("F16", path.stat().st_size)).n_vocab == 20_000


def test_a_scaled_model_has_the_size_of_its_file(model):
    shape = shape_of([model("llama31-8b")])
    larger = scaled(shape, shape.size_bytes + 300_000_000)
    grown_bytes = larger.weights_bytes - shape.weights_bytes
    assert grown_bytes == pytest.approx(300_000_000, abs=1000)
    assert larger.family is shape.family


def test_too_little_is_no_outline(model):
    header = model("llama31-8b")
    bare = replace(header, fields={"general.architecture": "llama"}, tensors=())
    with pytest.raises(AppError):
        outlined(bare, Known("Q4_K_M", 1 << 30))


@pytest.mark.parametrize("n_params", [6e8, 1.7e9, 4e9, 8.2e9, 3.05e10, 7e10, 6.71e11])
def test_a_likeness_has_about_so_many_parameters(n_params):
    made = likeness(int(n_params), 32768, "m")
    assert made.n_params == pytest.approx(n_params, rel=0.01)
    assert made.size_bytes == 2 * int(n_params)
    assert plan(made, SITE).best.need.total_bytes > 0
