"""The families with transforms of their own are the same models in llama.cpp as in transformers."""

import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from fakes import tokenizers_made as made
from own_models import (
    DEEPSEEK_V2,
    DEEPSEEK_V3,
    ENCODER,
    GPT_OSS,
    MODERN_BERT,
    N_VOCAB,
    build,
    change_config,
    in_fp8,
    in_mxfp4,
    put_values,
    say_pooling,
    yarn,
)
from test_convert_parity import MAX_DIVERGENCE, MAX_ERROR_OF_SPREAD, ask_engine, divergence, logits_of
from tokenizers import Tokenizer, processors

from carryon.base.jobs import Done, drive
from carryon.convert.forms import OutType
from carryon.convert.fp8 import GROWN
from carryon.convert.run import convert

pytestmark = pytest.mark.slow

N_IDS = 80  # more than a window and an original context below
TEXT = "the tool of the tools, and what a thing says of the things it is made of"  # more than a window
CASES = {
    "deepseek2-lite": ("DeepseekV2", DEEPSEEK_V2),
    "deepseek3": ("DeepseekV3", DEEPSEEK_V3),
    "deepseek3-yarn": ("DeepseekV3", DEEPSEEK_V3 | yarn(mscale=1.0, mscale_all_dim=1.0)),
    "deepseek3-yarn-0.707": ("DeepseekV3", DEEPSEEK_V3 | yarn(mscale=0.707, mscale_all_dim=0.707)),
    "gpt-oss": ("GptOss", GPT_OSS | yarn(truncate=True)),
}
# ggml's GELU goes by a table of half floats, so vectors agree to three digits and not to six.
MAX_VECTOR_ERROR, LEAST_COSINE = 2e-3, 0.999999


def converted(folder):
    outcome = drive(convert(folder / "hf", folder / "m.gguf", OutType.F32), lambda _: None, lambda: False)
    assert isinstance(outcome, Done), outcome
    return outcome.result


def differences(network, folder):
    """The largest error in units of the logits' spread, and the divergence."""
    ids = [int(one) for one in np.random.default_rng(1).integers(10, N_VOCAB - 10, N_IDS)]
    logits, engine = logits_of(network, ids), ask_engine(folder, ids)["logits"][:, :N_VOCAB]
    error, told = np.abs(logits - engine).max() / logits.std(), divergence(logits, engine)
    print(f"max_abs/std {error:.2e} KL {told:.2e}")
    return error, told


def check(network, folder):
    error, told = differences(network, folder)
    assert error <= MAX_ERROR_OF_SPREAD
    assert told <= MAX_DIVERGENCE


@pytest.mark.parametrize("name", CASES)
def test_logits_are_equal(name, tmp_path):
    family, changes = CASES[name]
    network = build(family, tmp_path / "hf", changes)
    assert not converted(tmp_path).warnings
    check(network, tmp_path)


def test_a_config_that_lost_its_scores_is_still_a_deepseek_v3(tmp_path):
    network = build("DeepseekV3", tmp_path / "hf", DEEPSEEK_V3)
    change_config(tmp_path / "hf", "scoring_func", "topk_method", "norm_topk_prob")
    converted(tmp_path)
    check(network, tmp_path)


def test_bounds_that_are_not_rounded_are_told_and_nearly_the_same(tmp_path):
    real = {"truncate": False, "factor": 32.0, "original": 4096}  # as gpt-oss has them
    network = build("GptOss", tmp_path / "hf", GPT_OSS | yarn(**real))
    (warning,) = converted(tmp_path).warnings
    assert "unrounded" in warning
    _, told = differences(network, tmp_path)
    assert MAX_DIVERGENCE < told < 5e-3


def test_experts_in_mxfp4_are_the_source_exactly(tmp_path):
    network = build("GptOss", tmp_path / "hf", GPT_OSS | yarn(truncate=True))
    values = in_mxfp4(tmp_path / "hf")
    converted(tmp_path)
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    tensors = {one.name: one for one in reader.tensors}
    for layer in range(GPT_OSS["num_hidden_layers"]):
        start = f"model.layers.{layer}.mlp.experts."
        assert np.array_equal(_unpacked(tensors, layer, "gate"), values[start + "gate_up_proj"][:, ::2])
        assert np.array_equal(_unpacked(tensors, layer, "up"), values[start + "gate_up_proj"][:, 1::2])
        assert np.array_equal(_unpacked(tensors, layer, "down"), values[start + "down_proj"])
    assert reader.fields["general.file_type"].contents() == gguf.LlamaFileType.MOSTLY_MXFP4_MOE
    put_values(network, {name: one.swapaxes(1, 2).copy() for name, one in values.items()})
    _, told = differences(network, tmp_path)
    assert told < 5e-3, "ggml rounds what it multiplies with MXFP4 to 8 bits, and nothing else"


def _unpacked(tensors, layer, kind):
    tensor = tensors[f"blk.{layer}.ffn_{kind}_exps.weight"]
    assert tensor.tensor_type == gguf.GGMLQuantizationType.MXFP4
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type)


def test_fp8_is_worth_what_its_scales_say(tmp_path):
    network = build("DeepseekV3", tmp_path / "hf", DEEPSEEK_V3)
    put_values(network, in_fp8(tmp_path / "hf"))
    assert converted(tmp_path).warnings == (GROWN,)
    check(network, tmp_path)


def between_two(folder):
    """A byte-level tokenizer that puts a token before a text and one behind it, as ModernBERT's does."""
    tokenizer = Tokenizer.from_file(str(made.byte_level(folder) / "tokenizer.json"))
    first, last = made.CONTROL[0], made.CONTROL[2]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(one, tokenizer.token_to_id(one)) for one in (first, last)]
    )
    made.save(folder, tokenizer, cls_token=first, sep_token=last)


ENCODERS = {
    "bert": ("Bert", ENCODER, "mean", made.wordpiece),
    "bert, first vector": ("Bert", ENCODER, "cls", made.wordpiece),
    "xlm-r": ("XLMRoberta", ENCODER, "mean", made.unigram),
    "modernbert": ("ModernBert", MODERN_BERT, "mean", between_two),
    "modernbert, silu": ("ModernBert", MODERN_BERT | {"hidden_activation": "silu"}, "cls", between_two),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_vectors_are_equal(name, tmp_path):
    family, changes, way, tokenizer = ENCODERS[name]
    network = build(family, tmp_path / "hf", changes, auto="AutoModel")
    tokenizer(tmp_path / "hf")
    say_pooling(tmp_path / "hf", pooling_mode_mean_tokens=way == "mean", pooling_mode_cls_token=way == "cls")
    assert not converted(tmp_path).warnings
    answer = vector_of_engine(tmp_path)
    tokens = Tokenizer.from_file(str(tmp_path / "hf" / "tokenizer.json")).encode(TEXT).ids
    assert answer["tokens"].tolist() == tokens
    assert len(tokens) > 24
    ours, theirs = answer["vector"], vector_of(network, tokens, way)
    print(f"max_abs {np.abs(ours - theirs).max():.2e} cosine {ours @ theirs:.9f}")
    assert np.abs(ours - theirs).max() <= MAX_VECTOR_ERROR
    assert ours @ theirs > LEAST_COSINE


def vector_of(network, tokens, way):
    import torch

    with torch.no_grad():
        states = network.double()(torch.tensor([tokens])).last_hidden_state[0].numpy()
    whole = states.mean(0) if way == "mean" else states[0]
    return whole / np.linalg.norm(whole)


def vector_of_engine(folder):
    script, answer = Path(__file__).with_name("engine_vectors.py"), folder / "a.npz"
    subprocess.run([sys.executable, str(script), str(folder / "m.gguf"), TEXT, str(answer)], check=True, timeout=120)
    found = dict(np.load(answer))
    return found | {"vector": found["vector"] / np.linalg.norm(found["vector"])}
