"""What a model folder tells before a weight is read: weights, architecture, vocabulary, each with its own error."""

import json

import numpy as np
import pytest
from model_folders import CONFIG as TINY
from model_folders import random_weights, write_folder, write_shards

from carryon.base.errors import BadFile, Unsupported
from carryon.base.jobs import drained
from carryon.convert.checkpoint import Number
from carryon.convert.forms import OutType
from carryon.convert.preflight import direct_size, examining, write_sketch
from carryon.convert.run import Recipe, convert
from carryon.convert.vocabularies.splitting import QWEN2
from carryon.gguf.shape import read_shape


def examined(folder):
    return drained(examining(folder, "tiny"))


def test_a_whole_folder_tells_everything(tmp_path):
    found = examined(write_folder(tmp_path / "m"))
    assert (found.class_name, found.architecture, found.out_type) == ("LlamaForCausalLM", "llama", OutType.BF16)
    assert isinstance(found.recipe, Recipe)
    assert found.is_known_upstream
    assert found.compression is None
    assert [number for number, _ in found.weights.numbers] == [Number.BF16]
    assert found.weights.size_bytes == 2 * found.weights.n_values


@pytest.mark.parametrize(("number", "middle"), [("F32", OutType.BF16), ("F16", OutType.F16), ("BF16", OutType.BF16)])
def test_the_file_in_between_keeps_what_the_weights_have(tmp_path, number, middle):
    assert examined(write_folder(tmp_path / "m", number=number)).out_type is middle


@pytest.mark.parametrize("out_type", list(OutType))
def test_the_size_of_every_direct_type_is_that_of_the_file(tmp_path, out_type):
    folder = write_folder(tmp_path / "m")
    converted = drained(convert(folder, tmp_path / "x.gguf", out_type, "tiny"))
    assert direct_size(examined(folder).recipe, out_type) == converted.path.stat().st_size


def test_a_sketch_has_the_shape_of_the_file_and_takes_no_room(tmp_path):
    folder = write_folder(tmp_path / "m", hidden_size=256, intermediate_size=4096, num_attention_heads=8)
    sketch = tmp_path / "sketch.gguf"
    write_sketch(examined(folder).recipe, sketch)
    converted = drained(convert(folder, tmp_path / "x.gguf", OutType.BF16, "tiny"))
    assert read_shape(sketch).is_quant_of(read_shape(converted.path))
    assert sketch.stat().st_size == converted.size_bytes
    assert sketch.stat().st_blocks * 512 < converted.size_bytes / 10


def test_a_missing_shard_is_named(tmp_path):
    folder = write_folder(tmp_path / "m")
    write_shards(folder, random_weights(TINY))
    (folder / "model-00002-of-00002.safetensors").unlink()
    found = examined(folder)
    assert isinstance(found.weights, BadFile)
    assert "model-00002-of-00002.safetensors is missing" in found.weights.message
    assert found.architecture is None


def test_an_unknown_architecture_leaves_the_weights_known(tmp_path):
    found = examined(write_folder(tmp_path / "m", architectures=["NobodyForCausalLM"]))
    assert found.weights.n_files == 1
    assert isinstance(found.architecture, Unsupported)
    assert not found.is_known_upstream


def test_llama_cpps_converter_knows_more(tmp_path):
    found = examined(write_folder(tmp_path / "m", architectures=["BloomForCausalLM"]))
    assert isinstance(found.architecture, Unsupported)
    assert found.is_known_upstream


def test_a_vocabulary_that_is_not_known_is_an_error_of_its_own(tmp_path):
    folder = write_folder(tmp_path / "m")
    told = json.loads((folder / "tokenizer.json").read_text())
    told["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Isolated", "invert": False}
    (folder / "tokenizer.json").write_text(json.dumps(told))
    found = examined(folder)
    assert found.architecture == "llama"
    assert isinstance(found.recipe, Unsupported)


def test_a_compressed_copy_is_told_as_such(tmp_path):
    found = examined(write_folder(tmp_path / "m", quantization_config={"quant_method": "awq", "bits": 4}))
    assert found.compression.label == "AWQ, 4 bits"
    assert isinstance(found.architecture, Unsupported)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_damaged_files_are_errors_and_no_crashes(tmp_path, name):
    folder = write_folder(tmp_path / "m")
    content = bytearray((folder / name).read_bytes())
    chance = np.random.default_rng(5)
    for _ in range(40):
        broken = bytearray(content)
        for at in chance.integers(0, min(len(broken), 3000), 8):
            broken[at] = chance.integers(0, 256)
        (folder / name).write_bytes(broken)
        try:
            examined(folder)
        except BadFile:
            assert name == "config.json"


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(BadFile, match=r"no config\.json"):
        examined(tmp_path)


@pytest.mark.slow
def test_cuts_that_no_table_names_are_found_by_trial(tmp_path):
    folder = write_folder(tmp_path / "m")
    told = json.loads((folder / "tokenizer.json").read_text())
    cuts = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    regex = {"type": "Split", "pattern": {"Regex": f"(?:{QWEN2})"}, "behavior": "Isolated", "invert": False}
    told["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [regex, cuts]}
    (folder / "tokenizer.json").write_text(json.dumps(told))
    found = examined(folder)
    assert isinstance(found.recipe, Recipe)
    assert any("found by trial" in one for one in found.recipe.warnings)
