"""The first split uses a GPU that is there, and never more of it than is free."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carryon.app.models import ModelFacts, ModelFile
from carryon.app.split import first_split

GB = 1 << 30


def model(size_bytes, n_layers=32):
    return ModelFacts(ModelFile(Path("m.gguf"), "m", "m.gguf"), "llama", n_layers, 8192, int(size_bytes))


@pytest.mark.parametrize(
    ("size_gb", "free_gb", "layers"),
    [(4.6, 8, 33), (4.6, 4, 16), (40, 8, 4), (4.6, 0.5, 0), (4.6, 0, 0), (0.006, 2, 33)],
)
def test_what_fits_goes_to_the_gpu(size_gb, free_gb, layers):
    assert first_split(model(size_gb * GB), int(free_gb * GB)) == layers


@given(st.integers(1, 1 << 42), st.integers(0, 1 << 40), st.integers(1, 200))
def test_a_split_is_always_possible_and_leaves_the_reserve(size_bytes, free_bytes, n_layers):
    split = first_split(model(size_bytes, n_layers), free_bytes)
    assert 0 <= split <= n_layers + 1
    assert split == 0 or size_bytes * min(split, n_layers) / n_layers <= free_bytes - GB
