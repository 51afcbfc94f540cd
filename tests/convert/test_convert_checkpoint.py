"""A model folder is read strictly: what is missing, cut off, damaged or hostile is said by name."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_folders import CONFIG, random_weights, write_folder, write_json, write_safetensors, write_shards

from carryon.base.errors import AppError, BadFile, Unsupported
from carryon.convert.checkpoint import INDEX, MAX_HEADER_BYTES, open_checkpoint, read_header


def write_header(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def refusal(read, *arguments):
    with pytest.raises(AppError) as caught:
        read(*arguments)
    assert caught.value.hint, "a person needs a next step"
    return str(caught.value)


def test_tensors_come_with_their_bytes(tmp_path):
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    path = write_safetensors(tmp_path / "x.safetensors", {"a": ("U8", np.zeros(3, "u1")), "b": ("F32", values)})
    a, b = read_header(path)
    assert (a.name, b.name, b.shape, b.number.name) == ("a", "b", (2, 3), "F32")
    assert np.array_equal(b.raw().view("<f4"), values)


def test_the_bytes_are_mapped_not_read(folder):
    tensor = open_checkpoint(folder).tensors["model.embed_tokens.weight"]
    assert isinstance(tensor.raw(), np.memmap)


def test_a_scalar_and_an_empty_tensor_are_no_trouble(tmp_path):
    tensors = {"one": ("F32", np.float32(7)[None].reshape(())), "none": ("F32", np.zeros((0, 4), "<f4"))}
    one, none = sorted(read_header(write_safetensors(tmp_path / "x", tensors)), key=lambda t: -t.size_bytes)
    assert one.raw().view("<f4").item() == 7
    assert none.raw().shape == (0, 0)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"a": entry(offsets=(4, 12))}, "wrong place"),
        ({"a": entry(), "b": entry(offsets=(0, 8))}, "wrong place"),
        ({"a": entry(offsets=(0, 4))}, "size that does not match"),
        ({"a": entry(offsets=(8, 0))}, "size that does not match"),
        ({"a": entry(offsets=(-8, 0))}, "size that does not match"),
        ({"a": entry(shape=(-2,))}, "impossible shape"),
        ({"a": entry(shape=(2.0,))}, "impossible shape"),
        ({"a": entry(shape=(2**60,) * 3)}, "impossible shape"),
        ({"a": entry(shape=(1,) * 9, offsets=(0, 4))}, "impossible shape"),
        ({"a": entry(dtype="Q9_X")}, "Q9_X"),
        ({"a": [1, 2]}, "'a' properly"),
        ({"a": entry(offsets=(0, 8, 16))}, "'a' properly"),
        ([], "damaged"),
        (b"[" * 5000, "damaged"),
        (b"\xff\xfe{}", "damaged"),
        (b'{"a": {"dtype": "F32"}, "a": 1}', "damaged"),
        (b"[" + b"1," * 2_000_001 + b"1]", "larger than any model's"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, header, said):
    path = write_header(tmp_path / "weights.safetensors", header, bytes(8))
    message = refusal(read_header, path)
    assert said in message
    assert "weights.safetensors" in message


@pytest.mark.parametrize("content", [b"", b"1234", (2**63).to_bytes(8, "little"), (9).to_bytes(8, "little") + b"{}"])
def test_a_header_that_is_cut_off_is_refused(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    assert "cut off" in refusal(read_header, path)


def test_a_header_that_claims_to_be_huge_is_not_read(tmp_path):
    path = tmp_path / "weights.safetensors"
    with path.open("wb") as out:
        out.write((MAX_HEADER_BYTES + 1).to_bytes(8, "little"))
        out.truncate(MAX_HEADER_BYTES + 100)  # sparse: no bytes on the disk
    tracemalloc.start()
    assert "cut off" in refusal(read_header, path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


def test_a_shard_that_is_too_short_or_too_long_is_named_with_the_difference(folder):
    write_shards(folder, random_weights(CONFIG))
    shard = folder / "model-00002-of-00002.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1000])
    assert refusal(open_checkpoint, folder) == f"{shard.name} is cut off: 1.0 kB are missing at its end."
    shard.write_bytes(whole + bytes(2000))
    assert refusal(open_checkpoint, folder) == f"{shard.name} has 2.0 kB more than its header describes."


def test_a_shard_that_is_missing_is_named(folder):
    write_shards(folder, random_weights(CONFIG), 3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    assert refusal(open_checkpoint, folder) == "model-00002-of-00003.safetensors is missing."


def test_shards_hold_what_one_file_held(folder, tmp_path):
    one = open_checkpoint(folder).tensors
    sharded = write_folder(tmp_path / "sharded")
    write_shards(sharded, random_weights(CONFIG), 3)
    many = open_checkpoint(sharded).tensors
    assert set(many) == set(one)
    assert all(np.array_equal(many[name].raw(), one[name].raw()) for name in one)


@pytest.mark.parametrize(
    "place", ["../other.safetensors", "/etc/passwd", "a\\b.safetensors", "config.json", 7, ["x.safetensors"]]
)
def test_an_index_cannot_point_out_of_the_folder(folder, place):
    (folder / "model.safetensors").unlink()
    write_json(folder / INDEX, {"weight_map": {"a": place}})
    assert "no file of this folder" in refusal(open_checkpoint, folder)


def test_an_index_that_promises_what_no_shard_holds_is_refused(folder):
    write_shards(folder, random_weights(CONFIG))
    index = json.loads((folder / INDEX).read_bytes())
    index["weight_map"]["model.extra.weight"] = "model-00001-of-00002.safetensors"
    write_json(folder / INDEX, index)
    assert "model.extra.weight" in refusal(open_checkpoint, folder)


def test_a_tensor_in_two_shards_is_refused(folder):
    weights = random_weights(CONFIG)
    write_shards(folder, weights)
    write_safetensors(folder / "model-00001-of-00002.safetensors", weights)
    assert "both hold" in refusal(open_checkpoint, folder)


def test_consolidated_weights_beside_the_usual_ones_are_left_alone(folder):
    write_safetensors(folder / "consolidated.safetensors", {"tok_embeddings": ("F32", np.zeros(3, "<f4"))})
    assert "tok_embeddings" not in open_checkpoint(folder).tensors


def test_folders_of_another_kind_say_what_they_are(tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    write_json(adapter / "adapter_config.json", {})
    assert "LoRA adapter" in refusal(open_checkpoint, adapter)
    pickled = write_folder(tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(Unsupported, match="PyTorch files"):
        open_checkpoint(pickled)
    (pickled / "pytorch_model.bin").unlink()
    assert "no .safetensors" in refusal(open_checkpoint, pickled)
    assert "not a folder" in refusal(open_checkpoint, tmp_path / "nowhere")
    assert "no config.json" in refusal(open_checkpoint, tmp_path)


def test_a_snapshot_in_the_hubs_cache_is_called_like_its_repository(tmp_path):
    folder = write_folder(tmp_path / "models--someone--Some-Model" / "snapshots" / "0a1b2c")
    assert open_checkpoint(folder).name == "Some-Model"
    assert open_checkpoint(write_folder(tmp_path / "My-Model")).name == "My-Model"


@pytest.fixture(scope="module")
def whole_file_bytes(tmp_path_factory):
    tensors = {"a.weight": ("F32", np.ones((3, 4), "<f4")), "b.bias": ("BF16", np.ones(5, "<u2"))}
    return write_safetensors(tmp_path_factory.mktemp("fuzz") / "whole", tensors).read_bytes()


def reads_within_bounds(path):
    """Either our error, or tensors that lie inside the file."""
    try:
        tensors = read_header(path)
    except AppError:
        return
    size_bytes = path.stat().st_size
    assert all(0 <= one.offset_bytes <= one.offset_bytes + one.size_bytes <= size_bytes for one in tensors)
    assert sum(one.raw().nbytes for one in tensors) <= size_bytes


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_flipped_bytes_never_crash_the_reader(whole_file_bytes, tmp_path_factory, data):
    content = bytearray(whole_file_bytes)
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    reads_within_bounds(path)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["F32", "BF16"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
entries = st.fixed_dictionaries({"dtype": anything, "shape": anything, "data_offsets": anything}) | anything


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(st.text(max_size=8), entries, max_size=5) | anything)
def test_headers_of_any_json_never_crash_the_reader(tmp_path_factory, header):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    reads_within_bounds(write_header(path, header, bytes(64)))


def test_a_file_that_cannot_be_opened_is_our_error(tmp_path):
    with pytest.raises(BadFile):
        read_header(tmp_path / "nothing.safetensors")
