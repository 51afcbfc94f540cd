"""Tests that a predicted quantization is the engine's own: every tensor's type, every byte, every published size."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.header_models import MODELS, header_from
from fakes.header_writer import HeaderWriter
from fakes.quantizer_models import SPECIAL

from carryon.base.errors import BadInput
from carryon.gguf.mix import QUANTS, USUAL_QUANTS, padded_bytes, requantized, requantized_each
from carryon.gguf.quants import GGML_TYPES, file_type_name
from carryon.gguf.recipes import FILE_TYPES
from carryon.gguf.shape import shape_of

ENGINE = Path(__file__).with_name("engine_types.py")
# Trained in these types or in none of them: Q1_0 has no fallback in the engine, which stops at rows of another length.
ASKED = tuple(name for name in FILE_TYPES if name not in ("F32", "Q1_0"))


ALL = MODELS | SPECIAL
SOME = ("smollm2-1.7b", "qwen3-30b-a3b", "mixtral-8x7b", "falcon-7b", "odd-rows", "odd-names", "ling-3")


def shape_named(name):
    return shape_of([header_from(*ALL[name]())])


def asked(folder, names, imatrix=(False, True)):
    """What the engine answers, by (model, file type, with imatrix)."""
    for name in names:
        HeaderWriter().write(folder / f"{name}.gguf", *ALL[name]())
    keys = [(name, quant, given) for name in names for quant in ASKED for given in imatrix]
    questions = [[str(folder / f"{name}.gguf"), FILE_TYPES[quant], given] for name, quant, given in keys]
    (folder / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    command = [sys.executable, str(ENGINE), str(folder / "questions.json"), str(folder / "answers.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(keys, json.loads((folder / "answers.json").read_text(encoding="utf-8")), strict=True))


def types_of(shape):
    return {one.name: GGML_TYPES[one.type_id].name for one in shape.tensors}


def differences(answers):
    """(model, file type, with imatrix) with the first tensors of another type than the engine's, or another size."""
    found = {}
    for name, given in dict.fromkeys((name, given) for name, _, given in answers):
        for mine in requantized_each(shape_named(name), ASKED, with_imatrix=given):
            answer = answers[name, mine.quant, given]
            types, mib = types_of(mine), mine.weights_bytes / 2**20
            wrong = sorted(set(types.items()) ^ set(answer["types"].items()))
            if wrong or abs(mib - answer["mib"]) > 0.0051:
                found[name, mine.quant, given] = (wrong[:6], mib, answer["mib"])
    return found


def test_every_tensor_gets_the_type_that_llama_quantize_gives_it(tmp_path):
    assert differences(asked(tmp_path, SOME, imatrix=(False,))) == {}


@pytest.mark.slow
def test_all_models_in_all_types_with_and_without_an_importance_matrix(tmp_path):
    assert differences(asked(tmp_path, ALL)) == {}


def test_a_quantized_source_predicts_what_the_original_does():
    original = shape_named("qwen3-30b-a3b")
    source = requantized(original, "Q3_K_M")
    assert types_of(requantized(source, "Q6_K")) == types_of(requantized(original, "Q6_K"))
    assert requantized(source, "F16").size_bytes == original.size_bytes


def test_a_file_is_its_header_and_its_tensors_each_padded():
    shape = shape_named("qwen3-8b")
    header = shape.size_bytes - sum(padded_bytes(one.size_bytes) for one in shape.tensors)
    bigger = replace(shape, size_bytes=shape.size_bytes + 7_000_000)  # a vocabulary
    made = requantized(bigger, "Q4_K_M")
    assert made.size_bytes == header + 7_000_000 + sum(padded_bytes(one.size_bytes) for one in made.tensors)
    assert padded_bytes(33) == 64


def test_only_tensors_change():
    shape = shape_named("gemma3-12b")
    made = requantized(shape, "Q4_K_M")
    assert made.quant == "Q4_K_M"
    assert [one.attention for one in made.layers] == [one.attention for one in shape.layers]
    assert [one.name for one in made.tensors] == [one.name for one in shape.tensors]
    assert made.n_params == shape.n_params
    assert (made.n_ctx_train, made.n_vocab, made.architecture) == (shape.n_ctx_train, shape.n_vocab, "gemma3")


def test_several_types_are_the_same_as_one_by_one():
    shape = shape_named("dsv2-lite")
    together = list(requantized_each(shape, QUANTS))
    assert [one.quant for one in together] == list(QUANTS)
    assert together == [requantized(shape, quant) for quant in QUANTS]


# GiB that llama.cpp publishes for Llama-3.1-8B (tools/quantize/README.md).
PUBLISHED_8B = {
    "F16": 14.96, "Q8_0": 7.95, "Q6_K": 6.14, "Q5_K_M": 5.33, "Q5_K_S": 5.21, "Q4_K_M": 4.58, "Q4_K_S": 4.36,
    "IQ4_XS": 4.17, "Q3_K_L": 4.02, "Q3_K_M": 3.74, "IQ3_M": 3.52, "Q3_K_S": 3.41, "IQ3_XS": 3.27, "Q2_K": 2.95,
    "IQ2_M": 2.74,
}  # fmt: skip


@pytest.mark.parametrize(("quant", "gib"), PUBLISHED_8B.items())
def test_llama_31_8b_is_as_large_as_llama_cpp_says(quant, gib):
    assert requantized(shape_named("llama31-8b"), quant).weights_bytes / 2**30 == pytest.approx(gib, abs=0.0101)


# GB (10**9) on the Hub, files as a whole; "im": made with an importance matrix.
PUBLISHED = [
    ("llama33-70b", "Q8_0", "", 74.98), ("llama33-70b", "Q6_K", "", 57.89), ("llama33-70b", "Q5_K_M", "", 49.95),
    ("llama33-70b", "Q4_K_M", "", 42.52), ("llama33-70b", "Q4_0", "im", 40.12),
    ("llama33-70b", "IQ4_XS", "im", 37.90), ("llama33-70b", "Q3_K_M", "", 34.27), ("llama33-70b", "IQ3_M", "im", 31.94),
    ("qwen3-8b", "BF16", "", 16.39), ("qwen3-8b", "Q8_0", "", 8.71), ("qwen3-8b", "Q6_K", "", 6.73),
    ("qwen3-30b-a3b", "Q8_0", "", 32.48), ("qwen3-30b-a3b", "Q6_K", "", 25.10),
    ("qwen3-30b-a3b", "Q5_K_M", "", 21.74), ("qwen3-30b-a3b", "Q5_K_S", "", 21.10),
    ("gemma3-12b", "Q5_K_S", "", 8.23), ("gemma3-12b", "IQ3_XS", "", 5.21),
    ("phi4", "F16", "", 29.32), ("phi4", "Q8_0", "", 15.58), ("phi4", "Q6_K", "", 12.03),
    ("dsv3", "Q8_0", "", 713.29), ("dsv3", "Q4_K_M", "", 404.43), ("gptoss-20b", "MXFP4_MOE", "", 12.1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "quant", "made_with", "gb"), PUBLISHED)
def test_published_files_are_as_large_as_predicted(name, quant, made_with, gb):
    """Within 0.25 %: what they have beside tensors is a vocabulary, which these models lack."""
    made = requantized(shape_named(name), quant, with_imatrix=made_with == "im")
    assert made.weights_bytes / 1e9 == pytest.approx(gb, rel=0.0025)


def test_names_are_those_of_the_engine():
    assert {number: file_type_name(number) for number in FILE_TYPES.values()} == {
        number: name for name, number in FILE_TYPES.items()
    }
    assert set(QUANTS) < set(FILE_TYPES)


def test_the_usual_ones_stand_in_the_list_from_large_to_small():
    shape = shape_named("llama31-8b")
    sizes = [requantized(shape, quant).size_bytes for quant in USUAL_QUANTS]
    assert [quant for quant in QUANTS if quant in USUAL_QUANTS] == list(USUAL_QUANTS)
    assert sizes == sorted(sizes, reverse=True)


def test_an_unknown_type_is_named_with_the_known_ones():
    with pytest.raises(BadInput, match="“Q9_K” is no quant type") as raised:
        requantized(shape_named("smollm2-1.7b"), "Q9_K")
    assert "Q4_K_M" in raised.value.hint
