"""What a file tells of its making, and what was measured of it: from true headers, and from nonsense."""

import shutil
from dataclasses import replace

import pytest
from fakes.evaluated import BASE, MEASURED
from fakes.model_shelves import tiny_model
from fakes.workshop_bench import GUIDE, bench_of, folder_source, made, order_of
from hypothesis import given
from hypothesis import strategies as st

from carryon import __version__
from carryon.app.evaluations import Evaluations
from carryon.app.made_here import NOTHING_TOLD, Making, making_of, telling
from carryon.base.jobs import drained
from carryon.evaluate.result import Evaluation
from carryon.gguf.header import Header

TOLD = {
    "carryon.converter": "0.4.0",
    "general.source.huggingface.repository": "HuggingFaceTB/SmolLM2-135M",
    "general.source.huggingface.revision": "a" * 40,
    "carryon.quantizer": "Carryon 0.4.0 (llama.cpp 1)",
    "carryon.quantized_from": "SmolLM2-135M-BF16.gguf",
    "carryon.quantized_from_type": "BF16",
    "carryon.quantize.recipe": "output=Q8_0",
    "quantize.imatrix.file": "smol.imatrix.gguf",
    "quantize.imatrix.dataset": "/home/ada/wiki.txt",
    "carryon.imatrix.text_sha256": "b" * 64,
}


@pytest.fixture
def evaluations(carryon_home):
    made = Evaluations(carryon_home.library)
    yield made
    made.close()


def test_a_file_that_was_made_here_tells_it(tmp_path, evaluations):
    file = tiny_model(tmp_path / "m-Q4_K_M.gguf", **TOLD)
    assert drained(telling(file, evaluations)).making == Making(
        "HuggingFaceTB/SmolLM2-135M", "a" * 40, "0.4.0", "Carryon 0.4.0 (llama.cpp 1)", "SmolLM2-135M-BF16.gguf",
        "BF16", "output=Q8_0", "smol.imatrix.gguf", "/home/ada/wiki.txt", "b" * 64,
    )  # fmt: skip


def test_a_file_of_others_tells_nothing(tmp_path, evaluations):
    story = drained(telling(tiny_model(tmp_path / "m.gguf"), evaluations))
    assert (story.making, story.quality) == (NOTHING_TOLD, None)


def test_what_was_measured_is_part_of_the_story(tmp_path, evaluations):
    base, other = tiny_model(tmp_path / "m-F16.gguf"), tiny_model(tmp_path / "m-Q4_K_M.gguf", n_embd=512)
    measured = replace(MEASURED, path=other, base=base)
    evaluations.keep(Evaluation(replace(BASE, path=base), (measured,)))
    assert drained(telling(other, evaluations)).quality.kl_divergence == pytest.approx(0.0131)
    assert drained(telling(base, evaluations)).quality is None


@pytest.mark.parametrize("content", [b"", b"GGUF", b"<html>404</html>", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64])
def test_what_cannot_be_read_tells_nothing(tmp_path, evaluations, content):
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    assert drained(telling(file, evaluations)).making == NOTHING_TOLD
    assert drained(telling(tmp_path / "none.gguf", evaluations)).making == NOTHING_TOLD


@given(st.dictionaries(st.sampled_from(sorted(TOLD)), st.text() | st.integers() | st.booleans() | st.floats()))
def test_whatever_stands_in_a_header_becomes_one_short_line(fields):
    making = making_of(Header("m.gguf", 3, fields, {}, {}, (), 0, 0))
    said = list(vars(making).values())
    assert all(isinstance(one, str) and len(one) <= 160 and one.isprintable() for one in said)


@pytest.mark.slow
def test_what_the_workshop_makes_tells_where_it_came_from(tmp_path, carryon_home, evaluations):
    snapshot = tmp_path / "models--acme--guide" / "snapshots" / ("c" * 40)  # as the cache of the Hub has it
    snapshot.parent.mkdir(parents=True)
    shutil.copytree(GUIDE, snapshot)
    with bench_of(carryon_home) as bench:
        (file,) = made(bench, order_of(folder_source(snapshot), tmp_path / "out", "Q4_K_M", name="guide"))
    making = drained(telling(file, evaluations)).making
    assert (making.repo_id, making.revision, making.converter) == ("acme/guide", "c" * 40, __version__)
    assert making.quantizer.startswith(f"Carryon {__version__} (llama.cpp ")
    assert making.quantized_from.startswith("guide-")
