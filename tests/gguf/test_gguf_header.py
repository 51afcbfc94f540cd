"""The header reader agrees with the gguf package and survives whatever a file holds."""

import struct

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carryon.base.errors import BadFile
from carryon.gguf.header import read_header


def write_model(path, *, layers=3, context=2048, endian=gguf.GGUFEndian.LITTLE):
    writer = gguf.GGUFWriter(path, "llama", endianess=endian)
    writer.add_name("Test model")
    writer.add_block_count(layers)
    writer.add_context_length(context)
    writer.add_token_list([f"token {i}" for i in range(300)])
    writer.add_array("nested.numbers", [1, 2, 3])
    writer.add_tensor("token_embd.weight", np.zeros((300, 64), np.float32))
    writer.add_tensor("blk.0.ffn_up.weight", np.zeros((64, 64), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("gguf") / "model.gguf")


def test_the_facts_of_a_model(model):
    header = read_header(model)
    assert (header.architecture, header.name, header.n_layers, header.n_ctx_train) == ("llama", "Test model", 3, 2048)
    assert header.n_tensors == 2
    assert header.is_whole


def test_scalars_equal_what_the_gguf_package_reads(model):
    fields = gguf.GGUFReader(model).fields
    for name, value in read_header(model).fields.items():
        assert fields[name].contents() == value


def test_big_endian_files_are_read_too(tmp_path):
    header = read_header(write_model(tmp_path / "big.gguf", endian=gguf.GGUFEndian.BIG))
    assert header.n_layers == 3


@pytest.mark.parametrize("missing", [1, 1000, 20_000])
def test_a_file_cut_in_its_tensors_is_not_whole(model, tmp_path, missing):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model.read_bytes()[:-missing])
    header = read_header(cut)
    assert not header.is_whole
    assert header.data_end_bytes >= header.size_bytes + missing - 32


def test_a_file_cut_in_its_header_says_so(model, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model.read_bytes()[:200])
    with pytest.raises(BadFile, match="ends in the middle"):
        read_header(cut)


@pytest.mark.parametrize("content", [b"", b"GG", b"PK\x03\x04 a zip file", b"{}"])
def test_other_files_are_named_as_such(tmp_path, content):
    other = tmp_path / "other.gguf"
    other.write_bytes(content)
    with pytest.raises(BadFile, match="not a GGUF"):
        read_header(other)


def test_a_missing_file_and_a_folder_are_said(tmp_path):
    for path in (tmp_path / "absent.gguf", tmp_path):
        with pytest.raises(BadFile):
            read_header(path)


def test_an_unknown_version_is_said(model, tmp_path):
    future = tmp_path / "future.gguf"
    future.write_bytes(b"GGUF" + struct.pack("<I", 9) + model.read_bytes()[8:])
    with pytest.raises(BadFile, match="version 9"):
        read_header(future)


@pytest.mark.parametrize("count", [1 << 21, 1 << 40, (1 << 64) - 1])
def test_impossible_counts_cost_nothing(tmp_path, count):
    hostile = tmp_path / "hostile.gguf"
    hostile.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, count, count))
    with pytest.raises(BadFile, match="impossible"):
        read_header(hostile)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 3000), st.binary(min_size=1, max_size=12))
def test_a_mutated_header_is_read_or_refused(model, tmp_path_factory, position, change):
    content = bytearray(model.read_bytes()[:40_000])
    content[position : position + len(change)] = change
    mutated = tmp_path_factory.mktemp("mutated") / "m.gguf"
    mutated.write_bytes(content)
    try:
        header = read_header(mutated)
    except BadFile:
        return
    assert header.n_layers >= 0
    assert header.n_ctx_train >= 0
