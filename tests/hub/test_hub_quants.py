"""Which quants a repository has, by the names that the makers of such files use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carryon.gguf.mix import QUANTS
from carryon.hub.quants import chosen_quant, gguf_files, nearest_type, quant_named
from carryon.hub.repo import RepoFile

GB = 10**9

# Names as they stand on the Hub (2023 to 2026), and what each of them is.
NAMED = (
    # bartowski
    ("Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
    ("Meta-Llama-3.1-8B-Instruct-Q6_K_L.gguf", "Q6_K_L"),
    ("Meta-Llama-3.1-8B-Instruct-Q3_K_XL.gguf", "Q3_K_XL"),
    ("Meta-Llama-3.1-8B-Instruct-Q4_0_4_4.gguf", "Q4_0_4_4"),
    ("Meta-Llama-3.1-8B-Instruct-f32.gguf", "F32"),
    ("google_gemma-3-12b-it-bf16.gguf", "BF16"),
    ("Meta-Llama-3.1-70B-Instruct-Q8_0/Meta-Llama-3.1-70B-Instruct-Q8_0-00001-of-00002.gguf", "Q8_0"),
    # unsloth
    ("UD-Q2_K_XL/DeepSeek-R1-UD-Q2_K_XL-00001-of-00005.gguf", "UD-Q2_K_XL"),
    ("DeepSeek-R1-UD-IQ1_S/DeepSeek-R1-UD-IQ1_S-00001-of-00003.gguf", "UD-IQ1_S"),
    ("BF16/Qwen3-30B-A3B-BF16-00001-of-00002.gguf", "BF16"),
    ("Qwen3-8B-UD-Q8_K_XL.gguf", "UD-Q8_K_XL"),
    ("Kimi-K2-Instruct-UD-TQ1_0.gguf", "UD-TQ1_0"),
    ("gemma-3n-E4B-it-IQ4_NL.gguf", "IQ4_NL"),
    # mradermacher
    ("Qwen3-8B.Q4_K_M.gguf", "Q4_K_M"),
    ("Qwen3-8B.i1-IQ1_M.gguf", "IQ1_M"),
    ("Qwen3-8B.i1-Q4_K_S.gguf", "Q4_K_S"),
    ("Qwen3-8B.f16.gguf", "F16"),
    # TheBloke
    ("llama-2-7b-chat.Q4_K_M.gguf", "Q4_K_M"),
    ("mistral-7b-instruct-v0.1.Q5_0.gguf", "Q5_0"),
    ("codellama-7b.q3_k_l.gguf", "Q3_K_L"),
    # the makers of models themselves
    ("qwen2.5-7b-instruct-q4_k_m.gguf", "Q4_K_M"),
    ("qwen2.5-7b-instruct-fp16-00001-of-00004.gguf", "F16"),
    ("Phi-3-mini-4k-instruct-q4.gguf", "Q4"),
    ("Phi-3-mini-4k-instruct-fp16.gguf", "F16"),
    ("gpt-oss-20b-mxfp4.gguf", "MXFP4_MOE"),
    ("gpt-oss-20b-MXFP4.gguf", "MXFP4_MOE"),
    ("gemma-3-12b-it-q4_0.gguf", "Q4_0"),
    ("Nemotron-3-Nano-NVFP4.gguf", "NVFP4"),
    ("ggml-model-Q4_K.gguf", "Q4_K"),
    ("ggml-model-i2_s.gguf", ""),
    ("model.gguf", ""),
    ("Q4_K_M/model.gguf", "Q4_K_M"),
    ("Q2-32B-Coder.gguf", "Q2"),  # a name that fools: the size of the file is shown all the same
    ("XQ4_K_Mistral.gguf", ""),
)


@pytest.mark.parametrize(("path", "quant"), NAMED)
def test_the_quant_is_read_from_names_in_use(path, quant):
    assert quant_named(path) == quant


def test_parts_are_one_quant_in_their_order():
    parts = [f"Q8_0/big-Q8_0-{number:05}-of-00003.gguf" for number in (3, 1, 2)]
    (found,) = quants_of([RepoFile(path, 4 * GB) for path in parts])
    assert [one.path for one in found.files] == sorted(parts)
    assert (found.quant, found.size_bytes) == ("Q8_0", 12 * GB)
    assert found.first.path.endswith("-00001-of-00003.gguf")


def test_a_quant_without_one_of_its_parts_is_left_out_with_a_word():
    files = [*_files("a-Q8_0-00001-of-00003.gguf", "a-Q8_0-00003-of-00003.gguf"), *_files("a-Q4_0.gguf")]
    found = gguf_files(files)
    assert [one.quant for one in found.quants] == ["Q4_0"]
    assert found.incomplete == ("Q8_0",)


def test_sets_of_different_lengths_are_not_mixed():
    files = _files("a-Q8_0-00001-of-00002.gguf", "a-Q8_0-00002-of-00003.gguf")
    assert gguf_files(files).quants == ()
    assert gguf_files(files).incomplete == ("Q8_0", "Q8_0")


def test_the_best_quality_comes_first():
    names = ["IQ2_M", "Q4_K_M", "Q8_0", "UD-Q4_K_XL", "f16", "TQ1_0", "Q6_K_L", "Q6_K", "Q2_K_L", "Q2_K"]
    found = quants_of(_files(*(f"m-{name}.gguf" for name in names)))
    assert [one.quant for one in found] == [
        "F16", "Q8_0", "Q6_K_L", "Q6_K", "UD-Q4_K_XL", "Q4_K_M", "IQ2_M", "Q2_K_L", "Q2_K", "TQ1_0",
    ]  # fmt: skip


def test_what_no_name_tells_stands_where_its_size_does():
    files = [RepoFile("m-Q8_0.gguf", 8 * GB), RepoFile("m-Q4_0.gguf", 4 * GB), RepoFile("m.gguf", 5 * GB)]
    assert [one.quant for one in quants_of(files)] == ["Q8_0", "", "Q4_0"]


def test_projectors_adapters_and_matrices_are_no_quants():
    names = (
        "m-Q4_K_M.gguf", "mmproj-BF16.gguf", "mmproj-google_gemma-3-12b-it-f16.gguf", "Qwen-VL.mmproj-Q8_0.gguf",
        "mmproj-model-f16-12B.gguf", "m-mmproj-f16.gguf", "m.imatrix.gguf", "imatrix.gguf", "m-lora-f16.gguf",
        "adapter_model-F16.gguf", "imatrix_unsloth.dat", "README.md",
    )  # fmt: skip
    found = gguf_files(_files(*names))
    assert [one.quant for one in found.quants] == ["Q4_K_M"]
    assert len(found.projectors) == 5
    assert {one.path for one in found.adapters} == {"m-lora-f16.gguf", "adapter_model-F16.gguf"}


def test_models_whose_names_sound_like_something_else_stay_models():
    names = ("Florence-Q4_0.gguf", "explorative-Q8_0.gguf", "m-lora-merged-Q6_K.gguf", "m-Q5_0-imat.gguf")
    assert len(quants_of(_files(*names))) == len(names)


def test_the_smallest_projector_comes_first():
    files = [RepoFile("mmproj-F32.gguf", 3), RepoFile("mmproj-F16.gguf", 2), RepoFile("mmproj-BF16.gguf", 2)]
    names = [one.path for one in gguf_files(files).projectors]
    assert names == ["mmproj-BF16.gguf", "mmproj-F16.gguf", "mmproj-F32.gguf"]


def test_two_files_of_one_quant_have_different_names():
    files = [RepoFile("big-Q4_0.gguf", 8 * GB), RepoFile("draft-Q4_0.gguf", GB), RepoFile("x/draft-Q4_0.gguf", GB)]
    names = [one.quant for one in quants_of(files)]
    assert names == ["Q4_0", "Q4_0 (draft-Q4_0)", "Q4_0 (x/draft-Q4_0)"]


def test_a_quant_is_found_by_the_name_that_a_person_types():
    found = quants_of(_files("m-UD-Q4_K_XL.gguf", "m-fp16.gguf", "m-Q4_K_M.gguf"))
    assert chosen_quant(found, "q4_k_m").first.path == "m-Q4_K_M.gguf"
    assert chosen_quant(found, "Q4_K_XL").first.path == "m-UD-Q4_K_XL.gguf"
    assert chosen_quant(found, "UD-Q4_K_XL").first.path == "m-UD-Q4_K_XL.gguf"
    assert chosen_quant(found, "FP16").first.path == "m-fp16.gguf"
    assert chosen_quant(found, "Q9_Z") is None


@pytest.mark.parametrize(
    ("quant", "nearest"),
    [("Q4_K_M", "Q4_K_M"), ("UD-Q4_K_XL", "Q4_K_M"), ("Q6_K_L", "Q6_K"), ("Q4", "Q4_K_M"), ("", ""), ("F32", "BF16"),
     ("TQ1_0", "IQ1_M"), ("Q4_0 (draft-Q4_0)", "Q4_0"), ("Q4_0_4_8", "Q4_0"), ("NVFP4", "MXFP4_MOE")],
)  # fmt: skip
def test_every_name_has_a_type_that_it_is_like(quant, nearest):
    assert nearest_type(quant) == nearest


def test_every_name_of_the_table_has_one():
    named = {quant for _, quant in NAMED if quant}
    assert all(nearest_type(quant) in QUANTS for quant in named)


@given(st.lists(st.text("aQ48_KM0-.of12ggufmmproj/", max_size=40), max_size=12))
def test_no_file_is_counted_twice_and_no_name_is_given_twice(stems):
    files = [RepoFile(f"{stem}.gguf", index) for index, stem in enumerate(dict.fromkeys(stems))]
    found = gguf_files(files)
    named = [one.quant for one in found.quants]
    counted = [file for one in found.quants for file in one.files] + [*found.projectors, *found.adapters]
    assert len(set(named)) == len(named)
    assert len(set(counted)) == len(counted)


def _files(*paths):
    return [RepoFile(path, GB) for path in paths]


def quants_of(files):
    return gguf_files(files).quants
