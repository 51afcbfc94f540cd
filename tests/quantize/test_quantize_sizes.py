"""What a file will weigh is known to the byte before it is made, from a header alone, for every type at once."""

import json
import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import gguf
import numpy as np
import pytest
from fakes import tiny_gguf
from fakes.header_models import header_from, llama_like, write_split_model
from fakes.header_writer import HeaderWriter
from fakes.quantizer_models import odd_rows

from carryon.base.errors import AppError, BadFile, BadInput
from carryon.base.jobs import drained
from carryon.gguf.header import read_header
from carryon.gguf.mix import padded_bytes, requantized
from carryon.gguf.shape import shape_of
from carryon.quantize.imatrix_file import Entry, Importance, write_importance
from carryon.quantize.kinds import OFFERED, STORAGE
from carryon.quantize.request import Fallback, Override, Wish
from carryon.quantize.sizes import sizing, slab_bytes

BLIND = {"IQ3_XS", "IQ3_XXS", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S", "Q2_K_S"}
CHANGED = ("Q4_0", "Q5_0", "IQ4_NL", "IQ4_XS")  # their recipes are others with an importance matrix


def sizes(source, *wishes):
    return drained(sizing(source, [Wish(one) if isinstance(one, str) else one for one in wishes]))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A model of zeros, which no type takes long for, in all types, planned and written by one child."""
    folder = tmp_path_factory.mktemp("written")
    source, imatrix = zeros_model(folder / "zeros.gguf"), folder / "zeros.imatrix"
    with imatrix.open("wb") as out:
        ones = {one.name: ones_for(one) for one in read_header(source).tensors if one.name.startswith("blk.")}
        write_importance(out, Importance(ones, ("nothing",), 1, 512))
    keys = [(quant, quant in BLIND) for quant in OFFERED] + [(quant, True) for quant in CHANGED]
    questions = [[str(source), quant, str(imatrix) if has else None] for quant, has in keys]
    asked, answered = folder / "questions.json", folder / "answers.json"
    asked.write_text(json.dumps(questions), encoding="utf-8")
    child = Path(__file__).with_name("written_types.py")
    subprocess.run([sys.executable, str(child), str(folder), str(asked), str(answered)], check=True, timeout=170)
    return dict(zip(keys, json.loads(answered.read_text(encoding="utf-8")), strict=True))


def zeros_model(path):
    """With dense matrices and with experts."""
    shape, vocabulary = tiny_gguf.Shape(layers=2, feed_forward=256), tiny_gguf.Vocabulary(tiny_gguf.COUNTING)
    said = np.zeros((len(vocabulary), shape.hidden), np.float32)
    tensors = {name: np.zeros_like(one) for name, one in tiny_gguf.random_tensors(shape, said, said).items()}
    tensors["blk.1.ffn_up_exps.weight"] = np.zeros((4, 256, 256), np.float16)
    return tiny_gguf.write(path, shape, vocabulary, "", tensors)


def ones_for(info):
    n_matrices = info.shape[2] if len(info.shape) > 2 else 1
    return Entry(np.ones((n_matrices, info.shape[0]), np.float32), np.ones(n_matrices, np.float32))


@pytest.mark.slow
def test_every_type_is_as_large_as_was_said(written):
    wrong = {key: one for key, one in written.items() if one["planned"] != one["written"] or not one["types"]}
    assert not wrong
    assert {quant for quant, _ in written} == set(OFFERED)


@pytest.mark.slow
def test_an_importance_matrix_is_wanted_where_llama_cpp_wants_it(written):
    assert all(one["needs"] == one["warned"] for one in written.values())
    assert {quant for (quant, _), one in written.items() if one["needs"]} == BLIND


WORDS = {"tokenizer.ggml.tokens": [f"t{number}" for number in range(4000)]}


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """The header of an 8B with a vocabulary, and a sparse tail."""
    fields, tensors = llama_like("llama", "Eight", 32, 4096, 14336, 32, 8, 8192, 4000)
    return HeaderWriter().write(tmp_path_factory.mktemp("header") / "eight.gguf", fields | WORDS, tensors)


def test_a_header_is_enough_and_our_own_arithmetic_agrees(llama):
    """gguf.mix knows the recipes by heart; what it leaves out are the few facts that are added to the header."""
    fields, tensors = llama_like("llama", "Eight", 32, 4096, 14336, 32, 8, 8192, 4000)
    shape = shape_of([header_from(fields, tensors)])
    found = sizes(llama, *OFFERED)
    assert [one.quant for one in found] == list(OFFERED)
    head_bytes = len(HeaderWriter().header(fields | WORDS, tensors))
    assert llama.stat().st_blocks * 512 < 1 << 20
    for one in found:
        weights_bytes = sum(padded_bytes(info.size_bytes) for info in requantized(shape, one.quant).tensors)
        added_bytes = one.size_bytes - weights_bytes - head_bytes
        assert 0 < added_bytes < 400, one.quant


def test_a_model_in_parts_is_one_file_afterwards(tmp_path, monkeypatch):
    whole = tiny_gguf.random_model(tmp_path / "tiny.gguf")
    monkeypatch.setattr(gguf, "GGUFWriter", partial(gguf.GGUFWriter, split_max_tensors=9))
    tiny_gguf.random_model(tmp_path / "parts.gguf")
    parts = sorted(tmp_path.glob("parts-*.gguf"))
    assert len(parts) == 3
    (first,), (third,), (single,) = (sizes(one, "Q4_K_M") for one in (parts[0], parts[2], whole))
    assert first == third
    assert first.size_bytes - single.size_bytes == pytest.approx(0, abs=64)  # the source's name is in the header


def test_what_does_not_fit_its_rows_is_named(tmp_path):
    fields, tensors = odd_rows()
    source = HeaderWriter().write(tmp_path / "odd.gguf", fields, tensors)
    (size,) = sizes(source, "Q4_K_M")
    got = {one.tensor: one for one in size.fallbacks}
    assert got["blk.1.ffn_down.weight"] == Fallback("blk.1.ffn_down.weight", "Q4_K", "Q5_0")
    assert got["blk.1.attn_k.weight"] == Fallback("blk.1.attn_k.weight", "Q4_K", "F16")


def test_an_impossible_type_is_left_out_and_the_others_told(tmp_path):
    """Q1_0 stores 128 numbers together, and llama.cpp knows no second choice for it."""
    fields, tensors = odd_rows()
    source = HeaderWriter().write(tmp_path / "odd.gguf", fields, tensors)
    assert [one.quant for one in sizes(source, "Q8_0", "Q1_0", "Q6_K")] == ["Q8_0", "Q6_K"]


def test_wishes_for_single_tensors_count(dense):
    plain, output, embedding, down = sizes(
        dense, "Q4_K_M", Wish("Q4_K_M", output_type="Q8_0"), Wish("Q4_K_M", embedding_type="F16"),
        Wish("Q4_K_M", overrides=(Override(r"blk\.\d+\.ffn_down", "Q8_0"), Override(r"blk\..*", "Q2_K"))),
    )  # fmt: skip
    n_words, hidden = 269, 256
    assert output.size_bytes - plain.size_bytes == pytest.approx(n_words * hidden * (34 / 32 - 210 / 256), abs=64)
    assert embedding.size_bytes - plain.size_bytes == pytest.approx(n_words * hidden * (2 - 144 / 256), abs=64)
    assert down.size_bytes < plain.size_bytes


def test_a_name_is_whole(dense):
    """“output” is not “attn_output” too."""
    plain, output, other = sizes(
        dense, "Q4_K_M", Wish("Q4_K_M", overrides=(Override("output", "Q6_K"),)),
        Wish("Q4_K_M", overrides=(Override(r".*output", "Q8_0"),)),
    )  # fmt: skip
    assert output.bits_per_weight == plain.bits_per_weight
    assert other.bits_per_weight > plain.bits_per_weight


@pytest.mark.parametrize("storage", STORAGE)
def test_every_type_of_a_tensor_can_be_wished(all_storages, storage):
    assert all_storages[storage].size_bytes > 0


@pytest.fixture(scope="module")
def all_storages(dense):
    wishes = [Wish("Q4_K_M", overrides=(Override(r"blk\.0\.ffn_up", storage),)) for storage in STORAGE]
    return dict(zip(STORAGE, sizes(dense, *wishes), strict=True))


@pytest.mark.parametrize(("wish", "words"), [
    (Wish("Q4_K_M", overrides=(Override("ffn_down", "Q8_0"),)), "“ffn_down” fits no tensor of this model"),
    (Wish("Q4_K_M", overrides=(Override("(", "Q8_0"),)), "“(” is no regular expression"),
    (Wish("Q4_K_M", overrides=(Override(r"(?<=b)lk.*|blk.*", "Q8_0"),)), "does not understand a name's expression"),
    (Wish("F16", overrides=(Override("blk.*", "Q8_0"),)), "A file of F16 has one type for all of its matrices"),
    (Wish("Q9"), "“Q9” is no quant type"),
    (Wish("Q4_K_M", output_type="Q8_K"), "no type that a tensor can have"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_in_a_sentence(dense, wish, words):
    with pytest.raises(BadInput) as error:
        sizes(dense, wish)
    assert words in error.value.message
    assert error.value.hint


def test_an_output_type_that_does_not_fit_is_refused(tmp_path):
    fields, tensors = odd_rows()
    source = HeaderWriter().write(tmp_path / "odd.gguf", fields, tensors)
    with pytest.raises(BadInput, match=r"has rows of 1,000 numbers, where Q6_K stores 256 together"):
        sizes(source, Wish("Q4_K_M", output_type="Q6_K"))


def test_a_source_that_is_quantized_is_told(dense, tmp_path, quantized):
    eight = quantized(dense, "Q8_0").path
    four, same = sizes(eight, "Q4_K_M", "Q8_0")
    assert (four.requantizes, same.requantizes) == (True, False)


@pytest.mark.parametrize("odd", ["none.gguf", "text.gguf", "cut.gguf", "unknown.gguf", "imatrix.gguf"])
def test_what_is_no_model_is_refused(odd, dense, importance, tmp_path):
    path = tmp_path / odd
    match odd:
        case "text.gguf":
            path.write_text("hello", encoding="utf-8")
        case "cut.gguf":
            path.write_bytes(dense.read_bytes()[:-1000])
        case "unknown.gguf":
            fields, tensors = llama_like("lama", "Unknown", 2, 256, 512, 4, 2, 512, 320)
            HeaderWriter().write(path, fields, tensors)
        case "imatrix.gguf":
            path.write_bytes(importance["dense"].path.read_bytes())
    with pytest.raises(AppError) as error:
        sizes(path, "Q4_K_M")
    assert "went wrong inside" not in error.value.message
    assert path.name in error.value.message
    assert error.value.hint


def test_a_missing_part_is_named(tmp_path):
    first, second = write_split_model("lfm2-1.2b", tmp_path)
    second.unlink()
    with pytest.raises(BadFile, match="missing"):
        sizes(first, "Q4_K_M")


def test_working_memory_is_bounded():
    assert slab_bytes(1) == slab_bytes(2) == 64 << 20
    assert slab_bytes(16) == 512 << 20
    assert slab_bytes(1000) == 2 << 30


def test_a_matrix_that_is_still_to_be_made_counts(dense, importance):
    """Recipes change with one; only its name in the header is not known yet."""
    plain, awaiting, having = sizes(
        dense, "IQ3_XXS", Wish("IQ3_XXS", awaits_imatrix=True), Wish("IQ3_XXS", importance["dense"].path)
    )
    assert awaiting.bits_per_weight == having.bits_per_weight
    assert 0 < having.size_bytes - awaiting.size_bytes < 600
    assert plain.bits_per_weight > awaiting.bits_per_weight
    assert plain.needs_imatrix
    assert awaiting.needs_imatrix


@pytest.mark.slow
def test_no_mutated_header_is_believed_or_breaks_anything(dense, tmp_path):
    """Sizes, or a sentence: the engine may die of a file, and then its death is told."""
    dice, sound, path = random.Random(11), dense.read_bytes(), tmp_path / "mutated.gguf"
    header_bytes, refused = read_header(dense).data_start_bytes, []
    for _ in range(12):
        content = bytearray(sound)
        for _ in range(dice.randint(1, 3)):
            content[dice.randrange(header_bytes)] = dice.choice((0, 1, 0x7F, 0xFF, dice.randrange(256)))
        path.write_bytes(content)
        try:
            sizes(path, "Q4_K_M")
        except AppError as error:
            refused.append(error)
    assert refused
    assert not [one for one in refused if "went wrong inside" in one.message or not one.hint]
