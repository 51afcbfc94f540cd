"""The shipped guide is small, whole, and of a shape that every quantization fits."""

import json
from math import prod

import gguf
import pytest
from safetensors import safe_open

from guide.tokenizer import CHAT_TEMPLATE, CONTROL

HUGGING_FACE_FILES = (
    "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
    "generation_config.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def config(folder):
    return json.loads((folder / "config.json").read_text())


@pytest.fixture(scope="module")
def packed(folder):
    return gguf.GGUFReader(folder / "guide-Q8_0.gguf")


def shapes(folder):
    with safe_open(folder / "model.safetensors", "np") as weights:
        return [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118 (not a dict)


def text_of(packed, key):
    return packed.get_field(key).contents()


def test_both_forms_together_stay_under_20_mb(folder):
    files = [folder / name for name in (*HUGGING_FACE_FILES, "guide-Q8_0.gguf")]
    assert sum(path.stat().st_size for path in files) < 20_000_000


def test_it_has_five_to_eight_million_parameters(folder):
    assert 5_000_000 <= sum(prod(shape) for shape in shapes(folder)) <= 8_000_000


def test_its_widths_fit_every_k_quant(config):
    widths = [config["hidden_size"], config["intermediate_size"], config["vocab_size"]]
    assert all(width % 256 == 0 for width in widths)


def test_it_is_a_llama_with_tied_embeddings(config):
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["tie_word_embeddings"] is True


def test_the_tokenizer_is_as_large_as_the_model(folder, config):
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert len(tokenizer["model"]["vocab"]) == config["vocab_size"]
    assert [one["content"] for one in tokenizer["added_tokens"]] == list(CONTROL)


def test_the_gguf_is_q8_0_and_carries_the_chat_template(packed):
    kinds = {tensor.tensor_type.name for tensor in packed.tensors}
    assert kinds == {"Q8_0", "F32"}
    assert text_of(packed, "tokenizer.chat_template") == CHAT_TEMPLATE
    assert text_of(packed, "general.name") == "Carryon Guide"


def test_the_gguf_holds_the_shipped_weights(folder, packed):
    assert sum(prod(tensor.shape) for tensor in packed.tensors) == sum(prod(shape) for shape in shapes(folder))


def test_an_answer_ends_with_the_turn(packed):
    tokens = text_of(packed, "tokenizer.ggml.tokens")
    assert tokens[text_of(packed, "tokenizer.ggml.eos_token_id")] == "<|im_end|>"
