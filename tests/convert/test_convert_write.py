"""The header that is written is the header that gguf's own reader finds."""

import gguf
import numpy as np
import pytest

from carryon.convert.forms import GgmlType, OutType
from carryon.convert.write import TensorInfo, header_bytes, padding

SETTINGS = {
    "general.architecture": "llama",
    "a.flag": True,
    "a.number": 7,
    "a.fraction": 0.5,
    "a.text": "größer",
    "some.texts": ["", "ab", "日本"],
    "some.numbers": np.array([-1, 5], np.int32),
    "some.scores": np.array([-1e9, 0.25], np.float32),
}


@pytest.fixture
def read(tmp_path):
    tensors = [TensorInfo("first.weight", (3, 32), GgmlType.Q8_0), TensorInfo("second", (5,), GgmlType.F32)]
    sizes = [tensor.size_bytes + padding(tensor.size_bytes) for tensor in tensors]
    data = bytes(sizes[0]) + b"\x01" * sizes[1]
    path = tmp_path / "x.gguf"
    path.write_bytes(header_bytes(SETTINGS, tensors) + data)
    return gguf.GGUFReader(path)


@pytest.mark.parametrize("key", SETTINGS)
def test_a_setting_comes_back_as_it_was_written(read, key):
    value = SETTINGS[key]
    assert read.fields[key].contents() == (value.tolist() if isinstance(value, np.ndarray) else value)


def test_llama_cpp_is_given_the_types_it_asks_for(read):
    kinds = {key: read.fields[key].types[-1].name for key in SETTINGS}
    assert (kinds["a.number"], kinds["a.fraction"], kinds["a.flag"]) == ("UINT32", "FLOAT32", "BOOL")


def test_tensors_are_where_the_list_says(read):
    first, second = read.tensors
    assert (first.name, first.tensor_type.name, first.shape.tolist()) == ("first.weight", "Q8_0", [32, 3])
    assert (second.name, second.tensor_type.name, second.shape.tolist()) == ("second", "F32", [5])
    assert not first.data.any()
    assert (second.data.view(np.uint8) == 1).all()


def test_every_tensor_starts_at_a_multiple_of_32(read):
    assert all(tensor.data_offset % 32 == 0 for tensor in read.tensors)


def test_text_that_is_no_unicode_cannot_break_the_file():
    assert b"bad?name" in header_bytes({"general.name": "bad\udcffname"}, [])


@pytest.mark.parametrize("out_type", OutType)
def test_sizes_and_file_types_are_ggufs(out_type):
    kind = gguf.GGMLQuantizationType[out_type.name]
    block_values, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    assert out_type.ggml.size_bytes(64) == 64 // block_values * block_bytes
    assert gguf.LlamaFileType(out_type.file_type).name in (f"ALL_{out_type.name}", f"MOSTLY_{out_type.name}")
