"""A file that was just written is opened again and used: what is cut off, incomplete or answers nonsense is told."""

import struct

import gguf
import numpy as np
import pytest
from fakes import tiny_gguf, tiny_moe

from carryon.base.errors import BadFile
from carryon.base.jobs import drained
from carryon.gguf.header import read_header
from carryon.worker.check import check


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_gguf.random_model(tmp_path_factory.mktemp("check") / "model.gguf")


@pytest.fixture
def copy(model, tmp_path):
    """A copy of the model that a test may damage."""
    path = tmp_path / "copy.gguf"
    path.write_bytes(model.read_bytes())
    return path


def n_tensors(path):
    return read_header(path).n_tensors


def test_a_sound_model_passes_and_the_work_gives_heartbeats(model):
    beats = []
    drained(check(model, n_tensors(model)), beats.append)
    assert beats


def test_a_model_of_experts_passes(tmp_path):
    path = tiny_moe.expert_model(tmp_path / "moe.gguf")
    drained(check(path, n_tensors(path)))


@pytest.mark.parametrize("pooling", gguf.PoolingType)
def test_a_model_that_gives_embeddings_passes(tmp_path, pooling):
    path = embedding_model(tmp_path / "bert.gguf", pooling)
    drained(check(path, n_tensors(path)))


def embedding_model(path, pooling):
    """A BERT of one layer, which has no output matrix and reads in both directions."""
    hidden, words = 32, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁a"]
    writer = gguf.GGUFWriter(path, "bert")
    for add in (writer.add_block_count, writer.add_head_count):
        add(1)
    for add in (writer.add_context_length, writer.add_embedding_length, writer.add_feed_forward_length):
        add(hidden)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(pooling)
    writer.add_token_type_count(2)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(words)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(words))
    vectors = (
        "attn_q",
        "attn_k",
        "attn_v",
        "attn_output",
        "attn_output_norm",
        "ffn_up",
        "ffn_down",
        "layer_output_norm",
    )
    shapes = {"token_embd.weight": (len(words), hidden), "token_types.weight": (2, hidden)}
    shapes |= {"position_embd.weight": (hidden, hidden), "cls.weight": (hidden, hidden), "cls.bias": (hidden,)}
    shapes |= {"cls.output.weight": (1, hidden), "cls.output.bias": (1,)}
    for name in ("token_embd_norm", *(f"blk.0.{one}" for one in vectors)):
        shapes[f"{name}.weight"] = (hidden,) if name.endswith("norm") else (hidden, hidden)
        shapes[f"{name}.bias"] = (hidden,)
    random = np.random.default_rng(3)
    for name, shape in shapes.items():
        writer.add_tensor(name, random.standard_normal(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_tensor_too_few_is_told(model):
    with pytest.raises(BadFile, match=rf"{n_tensors(model)} tensors instead of {n_tensors(model) + 1}"):
        drained(check(model, n_tensors(model) + 1))


def test_a_file_that_ends_early_is_told(copy):
    with copy.open("r+b") as file:
        file.truncate(copy.stat().st_size - 100_000)
    with pytest.raises(BadFile, match="ends before its last tensor"):
        drained(check(copy, n_tensors(copy)))


def test_a_model_that_the_engine_does_not_know_is_told(copy):
    name = struct.pack("<Q", 5)
    copy.write_bytes(copy.read_bytes().replace(b"llama.", b"lxama.").replace(name + b"llama", name + b"lxama"))
    with pytest.raises(BadFile, match=r"cannot load copy\.gguf"):
        drained(check(copy, n_tensors(copy)))


def test_answers_that_are_no_numbers_are_told(copy):
    norm = next(one for one in gguf.GGUFReader(copy).tensors if one.name == "output_norm.weight")
    with copy.open("r+b") as file:
        file.seek(norm.data_offset)
        file.write(struct.pack("<f", np.nan))
    with pytest.raises(BadFile, match="no numbers"):
        drained(check(copy, n_tensors(copy)))


def test_a_file_that_is_no_model_is_told(tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"")
    with pytest.raises(BadFile):
        drained(check(tmp_path / "x.gguf", 0))
