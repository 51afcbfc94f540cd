"""What the converting process takes from ggml and from PyTorch gives the same bits as numpy does."""

import numpy as np
import pytest

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.checkpoint import Number
from carryon.convert.encode import BY_NUMPY, encode, to_floats
from carryon.convert.forms import GgmlType, OutType
from carryon.worker.convert import _is_exact, ggml_halves
from carryon.worker.pickled import unpickle_here


@pytest.fixture(scope="module")
def halves():
    return ggml_halves()


def test_ggmls_own_loops_are_used_here(halves):
    assert halves is not BY_NUMPY


def test_every_float16_is_read_alike(halves):
    every = np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(256, 512)
    ours, theirs = to_floats(every, Number.F16), to_floats(every, Number.F16, halves)
    assert np.array_equal(ours, theirs, equal_nan=True)


@pytest.mark.parametrize("number", [Number.F32, Number.F16, Number.BF16], ids=lambda number: number.name)
@pytest.mark.parametrize("out_type", OutType, ids=lambda kind: kind.name)
def test_every_form_is_made_alike(halves, number, out_type):
    bits = np.random.default_rng(5).integers(0, 1 << 32, 1 << 18, np.uint32)  # of all sizes, the smallest too
    floats = bits.view(np.float32)
    floats[~(np.abs(floats) < 60_000)] = 1.5
    rows = encode(floats.reshape(64, -1).view(np.uint8), Number.F32, GgmlType[number.name]).content
    ours, theirs = encode(rows, number, out_type.ggml), encode(rows, number, out_type.ggml, halves)
    assert np.array_equal(ours.content, theirs.content)
    assert ours.is_finite is theirs.is_finite is True


def test_numbers_too_large_are_found_behind_ggmls_loops(halves):
    with pytest.raises(FloatingPointError):
        encode(np.full((1, 64), 65520, np.float32).view(np.uint8), Number.F32, GgmlType.F16, halves)
    largest = encode(np.full((1, 64), 65519, np.float32).view(np.uint8), Number.F32, GgmlType.F16, halves)
    assert largest.content.view(np.float16)[0, 0] == 65504


def test_loops_that_round_otherwise_are_not_used():
    def cut(floats, found):
        found[...] = (floats.view(np.uint32) & 0xFFFF_E000).view(np.float32)

    assert _is_exact(BY_NUMPY)
    assert not _is_exact(type(BY_NUMPY)(cut, BY_NUMPY.widen))


torch = pytest.importorskip("torch")


def unpickled(path):
    return unpickle_here()([path])


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "float64"])
def test_a_pickled_tensor_has_the_bytes_that_it_was_saved_with(tmp_path, kind):
    saved = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).to(getattr(torch, kind))
    torch.save({"a.weight": saved, "turned.weight": saved.T, "vector": saved[:, 1], "step": 7}, tmp_path / "m.bin")
    found = unpickled(tmp_path / "m.bin")
    assert list(found) == ["a.weight", "turned.weight", "vector"]
    for name, values in (("a.weight", saved), ("turned.weight", saved.T), ("vector", saved[:, 1:2])):
        source, expected = found[name], values.contiguous().view(torch.uint8).numpy()
        assert source.shape == (tuple(values.shape) if name != "vector" else (6,))
        assert np.array_equal(source.rows(slice(None)), expected)
        assert np.array_equal(source.rows(slice(1, 3)), expected[1:3])
        order = np.array([3, 0], np.intp)
        assert np.array_equal(source.rows(order), expected[order])


class Program:
    def __reduce__(self):
        return print, ("this must never be run",)


def test_a_pickle_with_a_program_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"a": torch.zeros(2), "b": Program()}, tmp_path / "m.bin")
    with pytest.raises(Unsupported, match="could run programs"):
        unpickled(tmp_path / "m.bin")
    assert "never" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x80\x02}q\x00."])
def test_a_damaged_pickle_is_told(tmp_path, content):
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises((BadFile, Unsupported), match=r"m\.bin"):
        unpickled(tmp_path / "m.bin")


def test_other_contents_than_weights_are_told(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "m.bin")
    with pytest.raises(BadFile, match="no list of weights"):
        unpickled(tmp_path / "m.bin")
    torch.save({"a": torch.zeros(2, dtype=torch.complex64)}, tmp_path / "m.bin")
    with pytest.raises(Unsupported, match="complex64"):
        unpickled(tmp_path / "m.bin")
