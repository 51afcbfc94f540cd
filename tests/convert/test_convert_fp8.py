"""Weights in 8-bit floats are worth what their bytes and scales say, whatever rows of them are asked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_folders import write_folder, write_safetensors

from carryon.base.errors import AppError, BadFile
from carryon.convert.checkpoint import Checkpoint, Number, open_checkpoint
from carryon.convert.config import Config
from carryon.convert.fp8 import E4M3, dequantized

CHANCE = np.random.default_rng(0)


def stored(tmp_path, shape, scale_shape, *, block=None, suffix="_scale_inv", number="F32", **more):
    """A folder with one weight of random bytes, as this module sees it, and its bytes and scales."""
    values = CHANCE.integers(0, 126, shape, np.uint8) | CHANCE.choice(np.array([0, 128], np.uint8), shape)
    scales = CHANCE.uniform(0.5, 2, scale_shape).astype("<f4" if number == "F32" else "<f2")
    file = tmp_path / "model.safetensors"
    weights = {"x.weight": ("F8_E4M3", values), f"x.weight{suffix}": (number, scales)}
    write_safetensors(file, weights | {"x.input_scale": ("F32", np.ones(1, "<f4"))})
    told = {"quantization_config": {"quant_method": "fp8", "weight_block_size": block, **more}}
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    return Checkpoint(tmp_path, Config(told), open_checkpoint(tmp_path).tensors), values, scales.astype(np.float32)


def floats(source, which=slice(None)):
    return source.rows(which).view(np.float32)


@pytest.mark.slow
def test_every_byte_has_the_value_that_torch_gives_it():
    torch = pytest.importorskip("torch")
    theirs = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float().numpy()
    assert np.array_equal(E4M3, theirs, equal_nan=True)


def test_e4m3_by_its_definition():
    assert (E4M3[0], E4M3[0x38], E4M3[0x7E], E4M3[0x01], E4M3[0xB8]) == (0.0, 1.0, 448.0, 2.0**-9, -1.0)
    assert np.isnan(E4M3[[0x7F, 0xFF]]).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_are_those_of_the_whole(tmp_path_factory, data):
    height, width = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    block = (data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)))
    shape = (-(-height // block[0]), -(-width // block[1]))
    whole, values, scales = stored(tmp_path_factory.mktemp("x"), (height, width), shape, block=list(block))
    source = dequantized(whole).tensors["x.weight"]
    spread = np.repeat(np.repeat(scales, block[0], 0), block[1], 1)[:height, :width]
    expected = E4M3[values] * spread
    start, stop = sorted(data.draw(st.tuples(st.integers(0, height), st.integers(0, height))))
    some = np.array(data.draw(st.lists(st.integers(0, height - 1), min_size=1)))
    assert np.array_equal(floats(source), expected)
    assert np.array_equal(floats(source, slice(start, stop, 2)), expected[start:stop:2])
    assert np.array_equal(floats(source, some), expected[some])
    assert (source.number, source.shape, source.n_values) == (Number.F32, (height, width), height * width)


@pytest.mark.parametrize(("scale_shape", "number"), [((6, 1), "F16"), ((6,), "F32"), ((1,), "F32"), ((), "F32")])
def test_one_scale_for_each_row_or_for_all(tmp_path, scale_shape, number):
    whole, values, scales = stored(tmp_path, (6, 10), scale_shape, suffix="_scale", number=number)
    expected = E4M3[values] * scales.reshape(-1, 1)
    assert np.array_equal(floats(dequantized(whole).tensors["x.weight"]), expected)


def test_scales_that_are_powers_of_two(tmp_path):
    values, powers = CHANCE.integers(0, 126, (4, 8), np.uint8), np.array([[120, 130]], np.uint8)
    weights = {"x.weight": ("F8_E4M3", values), "x.weight_scale_inv": ("F8_E8M0", powers)}
    write_safetensors(tmp_path / "model.safetensors", weights)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    told = Config({"quantization_config": {"weight_block_size": [4, 4]}})
    source = dequantized(Checkpoint(tmp_path, told, open_checkpoint(tmp_path).tensors)).tensors["x.weight"]
    assert np.array_equal(floats(source), E4M3[values] * np.repeat([[2.0**-7, 2.0**3]], 4, 1))


def test_experts_in_one_tensor_have_blocks_of_their_own(tmp_path):
    whole, values, scales = stored(tmp_path, (3, 5, 6), (3, 2, 2), block=[4, 4])
    spread = np.repeat(np.repeat(scales, 4, 1), 4, 2)[:, :5, :6]
    found = floats(dequantized(whole).tensors["x.weight"])
    assert np.array_equal(found.reshape(3, 5, 6), E4M3[values] * spread)


def test_blocks_as_compressed_tensors_says_them(tmp_path):
    groups = {"group_0": {"weights": {"block_structure": [4, 4]}}}
    whole, values, scales = stored(tmp_path, (4, 8), (1, 2), suffix="_scale", config_groups=groups)
    found = floats(dequantized(whole).tensors["x.weight"])
    assert np.array_equal(found, E4M3[values] * np.repeat(scales, 4, 1))


def test_scales_are_tensors_no_more(tmp_path):
    whole, *_ = stored(tmp_path, (4, 8), (1, 2), block=[4, 4])
    assert set(dequantized(whole).tensors) == {"x.weight"}


def test_a_model_without_8_bit_floats_is_left_alone(tmp_path):
    whole = open_checkpoint(write_folder(tmp_path / "x"))
    assert dequantized(whole) is whole


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"scale_shape": (1, 3)}, "does not fit"),
        ({"scale_shape": (4, 8)}, "does not fit"),
        ({"suffix": "_scales"}, "no scales"),
        ({"block": [0, 4]}, "weight_block_size"),
        ({"block": "128"}, "weight_block_size"),
        ({"block": [4]}, "weight_block_size"),
        ({"block": [4, 2**70]}, "weight_block_size"),
        ({"shape": (8,), "scale_shape": (2,)}, "no matrix"),
        ({"block": None, "config_groups": {"group_0": {"weights": {"block_structure": "x"}}}}, "weight_block_size"),
    ],
)
def test_scales_that_do_not_fit_are_said(tmp_path, case, said):
    with pytest.raises(BadFile, match=said):
        dequantized(stored(tmp_path, **{"shape": (4, 8), "scale_shape": (1, 2), "block": [4, 4]} | case)[0])


def test_a_config_without_the_section_is_no_crash(tmp_path):
    whole, *_ = stored(tmp_path, (4, 8), (1, 2))
    with pytest.raises(AppError):
        dequantized(Checkpoint(Path("x"), Config({"quantization_config": 7}), whole.tensors))
