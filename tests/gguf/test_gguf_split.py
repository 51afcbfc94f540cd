"""A model in several files is found by any of its parts, and a missing or foreign part is named."""

import os

import pytest
from fakes.header_models import write_header_model, write_split_model
from fakes.header_writer import HeaderWriter

from carryon.base.errors import BadFile
from carryon.gguf.shape import read_shape
from carryon.gguf.split import parts_of, read_model

NAME = "smollm2-1.7b"


@pytest.fixture
def parts(tmp_path):
    return write_split_model(NAME, tmp_path, n_parts=3)


def refusal(path):
    with pytest.raises(BadFile) as error:
        read_model(path)
    assert error.value.hint
    return error.value.message


@pytest.mark.parametrize("part", [0, 1, 2])
def test_any_part_names_the_whole(parts, part):
    assert [header.file_name for header in read_model(parts[part])] == [path.name for path in parts]


def test_one_file_is_its_own_whole(tmp_path):
    path = write_header_model(NAME, tmp_path / "one.gguf")
    assert [header.file_name for header in read_model(path)] == ["one.gguf"]


def test_the_engine_reads_our_parts_as_one(parts, engine_plans, tmp_path):
    whole = write_header_model(NAME, tmp_path / "whole.gguf")
    split, one = engine_plans([(parts[0], 4096, 512), (whole, 4096, 512)])
    assert split == one
    assert read_shape(parts[0]).weights_bytes == read_shape(whole).weights_bytes


@pytest.mark.parametrize(("name", "count"), [
    ("a-00001-of-00005.gguf", 5), ("a-00005-of-00005.GGUF", 5), ("a-00001-of-00001.gguf", 1), ("a.gguf", 1),
    ("a-00006-of-00005.gguf", 1), ("a-00000-of-00005.gguf", 1), ("a-1-of-5.gguf", 1), ("a-00001-of-99999.gguf", 1),
    ("-00001-of-00002.gguf", 1),
])  # fmt: skip
def test_how_many_parts_a_name_means(tmp_path, name, count):
    parts = parts_of(tmp_path / name)
    assert len(parts) == count
    assert tmp_path / name in parts


def test_a_missing_part_is_named(parts):
    parts[1].unlink()
    words = refusal(parts[0])
    assert f"{parts[1].name} is missing in {parts[0].parent}" in words


def test_several_missing_parts_are_counted(parts):
    parts[0].unlink()
    parts[1].unlink()
    assert f"{parts[0].name} and 1 more of its 3 parts are missing" in refusal(parts[2])


def test_the_part_that_was_named_is_missing(tmp_path):
    assert "is not there" in refusal(tmp_path / "a-00001-of-00003.gguf")


def test_a_part_under_another_name_is_told(parts, tmp_path):
    alone = parts[0].rename(tmp_path / "renamed.gguf")
    assert "says that it is one of 3 parts, but its name does not" in refusal(alone)


def test_parts_in_the_wrong_order_are_told(parts, tmp_path):
    held = parts[0].rename(tmp_path / "held")
    parts[1].rename(parts[0])
    held.rename(parts[1])
    assert f"{parts[0].name} is part 2 by what it says, and part 1 by its name" in refusal(parts[2])


def test_a_part_of_another_model_is_told(parts, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_split_model("qwen3-8b", other, n_parts=3)[2].rename(parts[2])
    assert "announces 218 tensors, but its parts have" in refusal(parts[0])


def test_one_tensor_in_two_parts_is_told(tmp_path):
    tensor = [("token_embd.weight", [64, 8], "F16")]
    for part in range(2):
        fields = {"general.architecture": "llama", "split.no": part, "split.count": 2, "llama.block_count": 1}
        HeaderWriter().write(tmp_path / f"a-0000{part + 1}-of-00002.gguf", fields, tensor)
    with pytest.raises(BadFile, match="hold the same tensor"):
        read_shape(tmp_path / "a-00001-of-00002.gguf")


def test_a_cut_part_is_named(parts):
    os.truncate(parts[1], parts[1].stat().st_size - 4096)
    assert refusal(parts[0]).startswith(f"{parts[1].name} is not whole")


def test_a_part_that_is_no_model_file_is_named(parts):
    parts[2].write_bytes(b"<html>not found</html>")
    assert f"{parts[2].name} is not a GGUF file" in refusal(parts[0])
