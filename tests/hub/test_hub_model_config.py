"""The sizes of a model by its config.json, whatever its family calls them."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carryon.base.errors import AppError, BadFile
from carryon.hub.model_config import parameters_of

LLAMA = {
    "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
    "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072, "tie_word_embeddings": False,
}  # fmt: skip
MOE = LLAMA | {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "head_dim": 128}
GPT2 = {"n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257, "n_positions": 1024}


def test_a_llama_is_read():
    found = parameters_of(_json(LLAMA), "Llama")
    assert (found.n_layers, found.n_embd, found.n_kv_heads, found.n_ff) == (32, 4096, 8, 14336)
    assert (found.n_ctx_train, found.is_tied, found.name) == (131072, False, "Llama")


def test_experts_are_read():
    found = parameters_of(_json(MOE))
    assert (found.n_experts, found.n_experts_used, found.n_ff_expert) == (128, 8, 768)


def test_other_names_are_known():
    found = parameters_of(_json(GPT2))
    assert (found.n_layers, found.n_heads, found.n_ff, found.n_ctx_train) == (12, 12, 3072, 1024)


def test_the_text_model_of_a_seeing_one_is_meant():
    found = parameters_of(_json({"text_config": LLAMA, "hidden_size": 7, "vision_config": {"hidden_size": 1152}}))
    assert found.n_embd == 4096


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"null", b"[" * 100_000, b'{"hidden_size": "x"}'])
def test_nonsense_is_told(content):
    with pytest.raises(BadFile):
        parameters_of(content)


@given(
    st.dictionaries(
        st.sampled_from([*MOE, *GPT2, "text_config"]),
        st.none() | st.booleans() | st.integers(-5, 1 << 40) | st.floats() | st.text(max_size=3),
    )
)
def test_any_config_is_sizes_or_an_error_of_ours(changes):
    with suppress(AppError):
        assert parameters_of(_json(MOE | changes)).n_layers > 0


def _json(told):
    return json.dumps(told).encode()
