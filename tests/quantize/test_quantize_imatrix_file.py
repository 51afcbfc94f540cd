"""Importance matrices are read as llama.cpp wrote them; damaged and foreign ones are named, never believed."""

import io
import random
import struct

import gguf
import numpy as np
import pytest

from carryon.base.errors import AppError, BadFile
from carryon.quantize.imatrix_file import Entry, Importance, read_importance, write_importance

ENTRIES = {
    "blk.0.attn_q.weight": Entry(np.array([[4.0, 8.0, 0.0]], np.float32), np.array([4.0], np.float32)),
    "blk.0.ffn_up_exps.weight": Entry(np.array([[2.0, 6.0], [0.0, 0.0]], np.float32), np.array([2.0, 0.0], np.float32)),
}
WHOLE = Importance(ENTRIES, ("wörter.txt",), 7, 512, "ab" * 32, "Tiny")


def content_of(importance=WHOLE):
    out = io.BytesIO()
    write_importance(out, importance)
    return out.getvalue()


def read(tmp_path, content):
    path = tmp_path / "m.imatrix"
    path.write_bytes(content)
    return read_importance(path)


def test_what_is_written_is_read(tmp_path):
    found = read(tmp_path, content_of())
    assert (found.datasets, found.n_chunks, found.chunk_tokens) == (("wörter.txt",), 7, 512)
    assert (found.text_sha256, found.model) == ("ab" * 32, "Tiny")
    assert found.entries.keys() == ENTRIES.keys()
    for name, entry in ENTRIES.items():
        np.testing.assert_array_equal(found.entries[name].sums, entry.sums)
        np.testing.assert_array_equal(found.entries[name].counts, entry.counts)


def test_weights_are_means_and_an_idle_expert_has_no_preference():
    np.testing.assert_array_equal(ENTRIES["blk.0.attn_q.weight"].weights, [1, 2, 0])
    np.testing.assert_array_equal(ENTRIES["blk.0.ffn_up_exps.weight"].weights, [1, 3, 1, 1])
    assert ENTRIES["blk.0.ffn_up_exps.weight"].n_idle == 1


def test_an_independent_reader_finds_what_llama_cpp_looks_for(tmp_path):
    """common_imatrix_load: these three keys, and pairs of F32 tensors; counts are [1, experts]."""
    path = tmp_path / "m.gguf"
    path.write_bytes(content_of())
    found = gguf.GGUFReader(path)
    assert found.get_field("general.type").contents() == "imatrix"
    assert found.get_field("imatrix.datasets").contents() == ["wörter.txt"]
    assert found.get_field("imatrix.chunk_count").contents() == 7
    assert found.get_field("imatrix.chunk_size").contents() == 512
    shapes = {one.name: tuple(map(int, one.shape)) for one in found.tensors}
    assert shapes["blk.0.ffn_up_exps.weight.in_sum2"] == (2, 2)
    assert shapes["blk.0.ffn_up_exps.weight.counts"] == (1, 2)
    assert shapes["blk.0.attn_q.weight.in_sum2"] == (3, 1)


def legacy(entries, tail=b""):
    """As save_imatrix_legacy of tools/imatrix writes it."""
    content = struct.pack("<i", len(entries))
    for name, n_calls, values in entries:
        encoded = name.encode()
        content += struct.pack("<i", len(encoded)) + encoded + struct.pack("<ii", n_calls, len(values))
        content += np.array(values, "<f4").tobytes()
    return content + tail


def test_the_older_form_is_read(tmp_path):
    tail = struct.pack("<ii", 9, 5) + b"t.txt"
    found = read(tmp_path, legacy([("blk.0.attn_q.weight", 4, [4.0, 8.0])], tail))
    np.testing.assert_array_equal(found.entries["blk.0.attn_q.weight"].weights, [1, 2])
    assert (found.n_chunks, found.datasets) == (9, ("t.txt",))
    assert read(tmp_path, legacy([("a", 0, [3.0])])).entries["a"].weights == [3]


def packed(name, sums, counts):
    return Importance({name: Entry(np.array(sums, np.float32), np.array(counts, np.float32))}, ("t",), 1, 512)


@pytest.mark.parametrize(("content", "words"), [
    (b"", "ends too early"),
    (b"GG", "ends too early"),
    (b"PK\x03\x04 a zip file", "no importance matrix"),
    (struct.pack("<i", -1), "no importance matrix"),
    (struct.pack("<ii", 1, 1 << 30), "name of an impossible length"),
    (struct.pack("<ii", 1, 5) + b"ab", "ends inside a name"),
    (struct.pack("<ii", 1, 1) + b"a" + struct.pack("<ii", 1, 1 << 28), "impossible number of values"),
    (struct.pack("<ii", 1, 1) + b"a" + struct.pack("<ii", 1, -1), "impossible number of values"),
    (legacy([("a", 1, [float("nan")])]), "values that cannot be"),
    (legacy([("a", 1, [-1.0])]), "values that cannot be"),
    (content_of(packed("a", [[float("inf")]], [1])), "values that cannot be"),
    (content_of(packed("a", [[1.0]], [-1])), "values that cannot be"),
    (content_of(packed("a", [[1.0]], [float("nan")])), "values that cannot be"),
    (content_of(Importance({}, ("t",), 1, 512)), "holds no values"),
    (content_of()[:-40], "ends before its last values"),
    (content_of().replace(b".counts", b".kounts"), "no pair of sums and counts"),
    (content_of().replace(b"imatrix.chunk_count", b"imatrix.chunk_kount"), "but no importance matrix"),
])  # fmt: skip
def test_what_cannot_be_believed_is_named(tmp_path, content, words):
    with pytest.raises(BadFile) as error:
        read(tmp_path, content)
    assert words in error.value.message
    assert error.value.hint


def test_a_model_is_no_importance_matrix(dense):
    with pytest.raises(BadFile, match=r"dense.gguf is a GGUF file, but no importance matrix"):
        read_importance(dense)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadFile, match="is not there"):
        read_importance(tmp_path / "none")


@pytest.mark.parametrize("sound", [content_of(), legacy([("blk.0.attn_q.weight", 4, [4.0, 8.0])] * 3)])
def test_no_mutation_breaks_the_reader(tmp_path, sound):
    """Read, or refused in our words; what was read is finite."""
    dice = random.Random(5)
    for _ in range(400):
        content = bytearray(sound)
        for _ in range(dice.randint(1, 4)):
            content[dice.randrange(len(content))] = dice.choice((0, 1, 0x7F, 0xFF, dice.randrange(256)))
        cut = bytes(content[: dice.choice((len(content), dice.randrange(len(content))))])
        try:
            found = read(tmp_path, cut)
        except AppError:
            continue
        assert all(np.isfinite(one.weights).all() for one in found.entries.values())
