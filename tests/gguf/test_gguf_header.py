"""The header reader agrees with the gguf package about every sound file: both versions, both byte orders."""

import gguf
import numpy as np
import pytest
from fakes.header_writer import HeaderWriter, Typed
from hypothesis import given, settings
from hypothesis import strategies as st

from carryon.gguf.header import read_header
from carryon.gguf.quants import GGML_TYPES, GGML_TYPES_BY_NAME, file_type_name

TOKENS = [f"token {number}" for number in range(5000)]
ORDERS = (gguf.GGUFEndian.LITTLE, gguf.GGUFEndian.BIG)


def write_model(path, *, layers=3, context=2048, endian=gguf.GGUFEndian.LITTLE):
    writer = gguf.GGUFWriter(path, "llama", endianess=endian)
    writer.add_name("Test model")
    writer.add_block_count(layers)
    writer.add_context_length(context)
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.5] * len(TOKENS))
    writer.add_head_count_kv([8, 8, 4])
    writer.add_array("a.pattern", [True, False, True])
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


@pytest.mark.parametrize("endian", ORDERS)
def test_the_gguf_package_reads_the_same(tmp_path, endian):
    assert_same(write_model(tmp_path / "m.gguf", endian=endian))


def test_short_lists_are_kept_and_long_ones_counted(model):
    header = read_header(model)
    assert header.arrays == {"llama.attention.head_count_kv": (8, 8, 4), "a.pattern": (True, False, True)}
    assert header.array_lengths["tokenizer.ggml.tokens"] == len(TOKENS)


def test_token_arrays_are_there_when_asked_for(model):
    arrays = read_header(model, with_arrays=True).arrays
    assert list(arrays["tokenizer.ggml.tokens"]) == TOKENS
    assert arrays["tokenizer.ggml.scores"] == (0.5,) * len(TOKENS)


@pytest.mark.parametrize("missing", [1, 1000, 20_000])
def test_a_file_cut_in_its_tensors_is_not_whole(model, tmp_path, missing):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(model.read_bytes()[:-missing])
    header = read_header(cut)
    assert not header.is_whole
    assert header.data_end_bytes >= header.size_bytes + missing - 32


def test_a_type_of_tensor_from_the_future_leaves_the_end_open(tmp_path):
    fields = {"general.architecture": "llama"}
    header = read_header(HeaderWriter().write(tmp_path / "m.gguf", fields, [("t", [32], 250), ("u", [32], "F32")]))
    assert header.data_end_bytes is None
    assert header.is_whole
    assert [one.size_bytes for one in header.tensors] == [0, 128]


def test_every_type_of_the_gguf_package_has_the_same_size_here():
    for kind, (elements, size) in gguf.GGML_QUANT_SIZES.items():
        if kind.value in GGML_TYPES and kind.name != "Q8_1":  # 36 bytes in ggml-common.h, 40 there; in no file
            assert (GGML_TYPES[kind.value].block_elements, GGML_TYPES[kind.value].block_bytes) == (elements, size)
            assert GGML_TYPES[kind.value].name == kind.name


def test_the_file_types_have_the_names_that_the_gguf_package_gives_them():
    theirs = {kind.value: kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in gguf.LlamaFileType}
    ours = {number: file_type_name(number) for number in range(100) if file_type_name(number)}
    both = ours.keys() & theirs.keys()
    assert {number: ours[number] for number in both} == {number: theirs[number] for number in both}
    assert file_type_name(15 | gguf.LlamaFileType.GUESSED) == "Q4_K_M"


@pytest.mark.parametrize("unknown", [-1, 4, 5, 6, 33, 500, 1 << 40])
def test_a_file_type_that_nobody_knows_has_no_name(unknown):
    assert file_type_name(unknown) == ""


names = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=20)
scalars = st.one_of(
    st.booleans(), st.text(max_size=50), st.integers(0, (1 << 32) - 1),
    st.floats(width=32, allow_nan=False),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda value: Typed("i64", value)),
    st.integers(0, 255).map(lambda value: Typed("u8", value)),
    st.integers(-(1 << 15), (1 << 15) - 1).map(lambda value: Typed("i16", value)),
    st.floats(allow_nan=False).map(lambda value: Typed("f64", value)),
)  # fmt: skip
lists = st.one_of(
    st.lists(st.integers(0, 99), min_size=1, max_size=9), st.lists(st.text(max_size=9), min_size=1, max_size=9),
    st.lists(st.booleans(), min_size=1, max_size=9),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=9),
)  # fmt: skip
# Without NVFP4, Q1_0 and Q2_0: an older gguf package does not know them.
kinds = st.sampled_from([name for name in GGML_TYPES_BY_NAME if name in gguf.GGMLQuantizationType.__members__
                         and name != "Q8_1"])  # fmt: skip


@st.composite
def tensors(draw):
    """(name, shape, type); a row is whole blocks."""
    kind = draw(kinds)
    blocks = draw(st.integers(1, 3))
    more = draw(st.lists(st.integers(1, 5), max_size=3))
    return draw(names), [blocks * GGML_TYPES_BY_NAME[kind].block_elements, *more], kind


@settings(max_examples=60, deadline=None)
@given(
    fields=st.dictionaries(names, st.one_of(scalars, lists), max_size=12),
    wanted=st.lists(tensors(), max_size=6, unique_by=lambda one: one[0]),
    order=st.sampled_from("<>"), version=st.sampled_from([2, 3]), alignment=st.sampled_from([None, 8, 32, 64, 4096]),
)  # fmt: skip
def test_whatever_is_sound_is_read_as_it_was_written(tmp_path_factory, fields, wanted, order, version, alignment):
    own = {f"x.{name}": value for name, value in fields.items()} | {"general.architecture": "llama"}
    if alignment:
        own["general.alignment"] = alignment
    writer = HeaderWriter(order, version, alignment or 32)
    path = writer.write(tmp_path_factory.mktemp("any") / "m.gguf", own, wanted)
    header = read_header(path, with_arrays=True)
    read = header.fields | {name: list(values) for name, values in header.arrays.items()}
    assert read == {name: value.value if isinstance(value, Typed) else value for name, value in own.items()}
    assert [(one.name, list(one.shape), GGML_TYPES[one.type_id].name) for one in header.tensors] == wanted
    assert 0 <= header.size_bytes - header.data_end_bytes < writer.alignment
    assert_same(path)


def assert_same(path):
    """As the gguf package, which maps and trusts the file, has it."""
    header, theirs = read_header(path, with_arrays=True), gguf.GGUFReader(path)
    own = {name: field for name, field in theirs.fields.items() if not name.startswith("GGUF.")}
    assert set(own) == set(header.fields) | set(header.arrays)
    for name, value in header.fields.items():
        assert own[name].contents() == value
    for name, values in header.arrays.items():
        assert [own[name].contents(index) for index in range(len(own[name].data))] == list(values)
    for ours, one in zip(header.tensors, theirs.tensors, strict=True):
        assert (ours.name, list(ours.shape), ours.type_id) == (one.name, one.shape.tolist(), one.tensor_type.value)
        assert ours.size_bytes == one.n_bytes
        assert header.data_start_bytes + ours.offset_bytes == one.data_offset
