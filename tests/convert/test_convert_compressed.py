"""Which compressed copies can be converted, by whom, and where the original is."""

import pytest
from own_shapes import checkpoint

from carryon.base.errors import BadFile, Unsupported
from carryon.convert.compressed import Way, compression_of, original_of
from carryon.convert.config import Config
from carryon.convert.families import plan_of


def compression(architecture="LlamaForCausalLM", **settings):
    return compression_of(Config({"architectures": [architecture], "quantization_config": settings}))


def test_a_model_in_plain_numbers_is_none():
    assert compression_of(Config({"architectures": ["LlamaForCausalLM"]})) is None
    assert compression_of(Config({"quantization_config": None})) is None


@pytest.mark.parametrize(
    ("settings", "label", "way"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "FP8", Way.OURS),
        ({"quant_method": "fbgemm_fp8"}, "FP8", Way.OURS),
        ({"quant_method": "compressed-tensors", "format": "float-quantized"}, "FP8", Way.OURS),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "FP8", Way.OURS),
        ({"quant_method": "gptq", "bits": 4}, "GPTQ, 4 bits", Way.UPSTREAM),
        ({"quant_method": "gptq", "bits": 3}, "GPTQ, 3 bits", Way.NOBODY),
        ({"quant_method": "gptq"}, "GPTQ", Way.NOBODY),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized"}, "pack-quantized", Way.UPSTREAM),
        ({"quant_method": "compressed-tensors", "format": "marlin-24"}, "marlin-24", Way.NOBODY),
        ({"quant_method": "compressed-tensors"}, "compressed-tensors", Way.NOBODY),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "NVFP4", Way.UPSTREAM),
        ({"quant_method": "bitnet"}, "BitNet", Way.UPSTREAM),
        ({"quant_method": "awq", "bits": 4}, "AWQ, 4 bits", Way.NOBODY),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes, 4 bits", Way.NOBODY),
        ({"load_in_8bit": True}, "bitsandbytes, 8 bits", Way.NOBODY),
        ({"quant_method": "hqq"}, "HQQ", Way.NOBODY),
        ({"quant_method": "aqlm"}, "AQLM", Way.NOBODY),
        ({"quant_method": "torchao"}, "torchao", Way.NOBODY),
        ({"quant_method": "quanto"}, "Quanto", Way.NOBODY),
        ({"quant_method": "mxfp4"}, "MXFP4", Way.NOBODY),
        ({}, "an unnamed method", Way.NOBODY),
        ({"quant_method": "new-one", "bits": [4]}, "new-one", Way.NOBODY),
    ],
)
def test_ways_of_compressing(settings, label, way):
    found = compression(**settings)
    assert label in found.label
    assert found.way is way
    assert found.label in found.sentence


def test_mxfp4_is_copied_for_gpt_oss_alone():
    assert compression("GptOssForCausalLM", quant_method="mxfp4").way is Way.OURS


@pytest.mark.parametrize("settings", [{"quant_method": 7}, {"quant_method": []}])
def test_a_damaged_section_is_said(settings):
    with pytest.raises(BadFile):
        compression(**settings)
    with pytest.raises(BadFile):
        compression_of(Config({"quantization_config": "awq"}))


@pytest.mark.parametrize(
    ("name", "bases", "original"),
    [
        ("unsloth/Llama-3.2-1B-Instruct-bnb-4bit", (), "unsloth/Llama-3.2-1B-Instruct"),
        ("unsloth/Qwen3-8B-unsloth-bnb-4bit", (), "unsloth/Qwen3-8B"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", (), "Qwen/Qwen2.5-7B-Instruct"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", (), "Qwen/Qwen2.5-7B-Instruct"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", ("Qwen/Qwen2.5-7B",), "Qwen/Qwen2.5-7B"),
        ("TheBloke/Mistral-7B-AWQ", (), ""),
        ("TheBloke/Mistral-7B-AWQ", ("mistralai/Mistral-7B-v0.1",), "mistralai/Mistral-7B-v0.1"),
        ("someone/merged-AWQ", ("a/b", "c/d"), ""),
        ("someone/plain", (), ""),
        ("folder-AWQ", (), ""),
        ("", (), ""),
    ],
)
def test_the_original_by_the_card_or_the_name(name, bases, original):
    assert original_of(name, bases) == original


def test_the_refusal_of_a_folder_names_the_original(tmp_path):
    (tmp_path / "README.md").write_text("---\nbase_model:\n- mistralai/Mistral-7B-v0.1\n---\n# Hi", encoding="utf-8")
    with pytest.raises(Unsupported, match="AWQ") as caught:
        plan_of(checkpoint("bert", folder=tmp_path, quantization_config={"quant_method": "awq", "bits": 4}))
    assert "mistralai/Mistral-7B-v0.1" in caught.value.hint


def test_the_refusal_of_a_snapshot_names_the_original_by_its_own_name(tmp_path):
    folder = tmp_path / "models--unsloth--Llama-3.2-1B-bnb-4bit" / "snapshots" / "0a1b"
    with pytest.raises(Unsupported) as caught:
        plan_of(checkpoint("bert", folder=folder, quantization_config={"quant_method": "bitsandbytes"}))
    assert "unsloth/Llama-3.2-1B." in caught.value.hint
